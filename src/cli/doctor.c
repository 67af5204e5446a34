/* doctor.c: `dipper doctor` tries out everything that the settings name, and says what is wrong and what to do. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/json.h"
#include "base/masked_url.h"
#include "base/version.h"
#include "cli/accounts.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/linked_model.h"
#include "embed/redis_cache.h"
#include "os/clock.h"
#include "os/cpu.h"
#include "simd/simd.h"
#include "store/store_check.h"

enum {
    ARENA_MAX = 64 << 20,
    LINE_MAX_BYTES = 1200,
    FILES_LEAST = 4096,
    NAMES_MAX = 1000,
    CLOCK_OFF_MS = 5 * 60 * 1000,
    WAIT_MS = 60000
};

struct doctor_options {
    bool json, no_write;
};

enum finding { FINDING_GOOD, FINDING_NOTE, FINDING_BAD };
static const char *const FINDING_NAMES[] = {"ok", "note", "FAULT"};

/* One run of the command. */
struct doctor {
    const struct cli_args *args;
    const struct config *config;
    const struct doctor_options *options;
    struct json_writer json;
    size_t faults;
};

__attribute__((format(printf, 4, 5))) static void report(struct doctor *d, enum finding finding, const char *about,
                                                         const char *format, ...)
{
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    d->faults += finding == FINDING_BAD;
    if (!d->options->json) {
        printf("%-6s %-9s %s\n", FINDING_NAMES[finding], about, text);
        fflush(stdout);
        return;
    }
    json_begin_object(&d->json);
    json_field_str(&d->json, "finding", finding == FINDING_BAD ? "fault" : FINDING_NAMES[finding]);
    json_field_str(&d->json, "about", about);
    json_field_str(&d->json, "text", text);
    json_end_object(&d->json);
}

static double ms_since(int64_t began_ns)
{
    return (double)(os_now_ns() - began_ns) * 1e-6;
}

/* ---- this host ------------------------------------------------------------------------------------------- */

static void check_host(struct doctor *d)
{
    const unsigned cores = os_cpu_count();
    struct rlimit files = {0};
    report(d, FINDING_GOOD, "program", "dipper %s on %u core%s (%s)", version_text(), cores, cores == 1 ? "" : "s",
           simd_ops()->name);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < FILES_LEAST)
        report(d, FINDING_NOTE, "files",
               "a process may open %" PRIu64
               " files, and each connection is one: raise `ulimit -Hn` to %d or more",
               (uint64_t)files.rlim_max, FILES_LEAST);
}

/* ---- the model --------------------------------------------------------------------------------------------- */

static void check_model(struct doctor *d, struct call *call)
{
    const struct embed_input input = {.text = span_str("a river flows into the sea")};
    const struct embed_request request = {.inputs = &input, .count = 1, .kind = TEXT_QUERY, .normalize = true};
    struct embed_response answer;
    struct service *service = NULL;
    int64_t began = os_now_ns();
    if (open_service(program_inputs(d->config), OPEN_MODEL, &service, &call->error) != DP_OK) {
        report(d, FINDING_BAD, "model", "%s", call->error.message);
        return;
    }
    enum dp_status status = service_embed(call, service, &request, &answer);
    const double first_ms = ms_since(began);
    began = os_now_ns();
    if (status == DP_OK)
        status = service_embed(call, service, &request, &answer);
    if (status == DP_OK)
        report(d, FINDING_GOOD, "model", "%.*s: %u dimensions; first text after %.0f ms, the next took %.1f ms",
               SPAN_FMT(answer.model), (unsigned)answer.dim, first_ms, ms_since(began));
    else
        report(d, FINDING_BAD, "model", "%s", call->error.message);
    service_free(service);
}

/* ---- the root ---------------------------------------------------------------------------------------------- */

static void check_clock(struct doctor *d, const struct store_check *check)
{
    if (check->has_clock && llabs(check->clock_ms) > CLOCK_OFF_MS)
        report(d, FINDING_BAD, "clock",
               "this host's clock is %" PRId64 " s %s the store's: stores refuse signatures then; set it by NTP",
               (int64_t)llabs(check->clock_ms) / 1000, check->clock_ms > 0 ? "behind" : "ahead of");
    else if (check->has_clock)
        report(d, FINDING_GOOD, "clock", "agrees with the store's within %" PRId64 " s",
               (int64_t)llabs(check->clock_ms) / 1000 + 1);
}

static void check_writing(struct doctor *d, struct call *call, struct store *store)
{
    struct store_check check;
    int64_t began = os_now_ns();
    if (d->options->no_write) {
        report(d, FINDING_NOTE, "writing", "was not tried (--no-write)");
        return;
    }
    if (store_check_writes(call, store, &check) == DP_OK)
        report(d, FINDING_GOOD, "writing", "conditional puts, reads and removals work (%.0f ms together)",
               ms_since(began));
    else
        report(d, FINDING_BAD, "writing", "%s", call->error.message);
    if (check.left)
        report(d, FINDING_NOTE, "writing", "the object %s of this check is left in the root: remove it",
               check.key);
    check_clock(d, &check);
}

static void check_root(struct doctor *d, struct call *call)
{
    char root[MASKED_URL_MAX];
    struct service *service = NULL;
    struct index_names names;
    int64_t began = os_now_ns();
    if (!*d->config->root) {
        report(d, FINDING_NOTE, "root", "none is named: --root DIR|URL checks a folder or a bucket");
        return;
    }
    masked_url(span_str(d->config->root), root);
    if (open_service(program_inputs(d->config), OPEN_STORE, &service, &call->error) != DP_OK) {
        report(d, FINDING_BAD, "root", "%s", call->error.message);
        return;
    }
    struct store *store = service_store(service);
    const struct span none = span_of(NULL, 0);
    enum dp_status status = index_list(call, store, none, none, NAMES_MAX, &names);
    if (status == DP_UNSUPPORTED && strncmp(d->config->root, "http", 4) == 0) {
        report(d, FINDING_NOTE, "root",
               "%s can only be read, and was not tried: a search opens a namespace by its name", root);
    } else if (status == DP_OK) {
        report(d, FINDING_GOOD, "root", "%s: %zu namespace%s%s (%.0f ms)", root, names.count,
               names.count == 1 ? "" : "s", names.truncated ? ", and more" : "", ms_since(began));
        check_writing(d, call, store);
    } else {
        report(d, FINDING_BAD, "root", "%s", call->error.message);
    }
    service_free(service);
}

/* ---- what servers use beside ------------------------------------------------------------------------------- */

static void check_redis(struct doctor *d, struct call *call)
{
    const struct redis_cache_options options = {
        .urls = span_str(d->config->redis_url),
        .timeouts = {.connect_ms = (int)d->config->redis_connect_timeout_ms,
                     .command_ms = (int)d->config->redis_timeout_ms},
    };
    int64_t began = os_now_ns();
    if (!*d->config->redis_url)
        return;
    if (redis_cache_check(&options, &call->error) == DP_OK)
        report(d, FINDING_GOOD, "redis", "answers (%.1f ms)", ms_since(began));
    else
        report(d, FINDING_BAD, "redis",
               "%s; a server then embeds without this cache (setting embed_cache.redis_url)", call->error.message);
}

static void check_accounts(struct doctor *d, struct call *call)
{
    struct database *db = NULL;
    struct key_records keys;
    if (!d->config->auth && !*d->config->database_url)
        return;
    const char *url = accounts_database_url(call, d->config), *file = url ? database_sqlite_path(url) : NULL;
    if (file && access(file, F_OK) != 0 && errno == ENOENT) {
        report(d, FINDING_NOTE, "accounts", "there is no file %s yet: dipper key create makes it, and a key",
               file);
        return;
    }
    enum dp_status status = url ? open_accounts_database(call, d->config, &db) : call->error.status;
    if (status == DP_OK)
        status = records_usable(call, db, os_wall_ms(), &keys);
    if (status != DP_OK)
        report(d, FINDING_BAD, "accounts", "%s", call->error.message);
    else if (keys.count == 0)
        report(d, FINDING_NOTE, "accounts",
               "the database answers, but no key is valid: dipper key create makes one");
    else
        report(d, FINDING_GOOD, "accounts", "the database answers, and has keys");
    database_close(db);
}

/* Runs a check with a call, memory and time of its own. */
static void run_check(struct doctor *d, void (*check)(struct doctor *, struct call *))
{
    struct arena arena;
    struct call call;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call_limit_ms(&call, WAIT_MS);
    check(d, &call);
    arena_deinit(&arena);
}

static int run_doctor(const struct cli_args *args)
{
    struct doctor d = {.args = args, .config = &args->config, .options = args->options};
    struct dp_error error = {0};
    struct buffer out;
    if (args->position_count > 0)
        return cli_unexpected(args, args->positions[0]);
    buffer_init(&out, 1 << 20);
    json_writer_init(&d.json, &out);
    json_begin_array(&d.json);
    check_host(&d);
    run_check(&d, check_model);
    run_check(&d, check_root);
    run_check(&d, check_redis);
    run_check(&d, check_accounts);
    json_end_array(&d.json);
    if (d.options->json)
        printf("%.*s\n", SPAN_FMT(buffer_span(&out)));
    buffer_deinit(&out);
    if (d.faults)
        dp_fail(&error, DP_UNAVAILABLE, "%zu fault%s", d.faults, d.faults == 1 ? "" : "s");
    return cli_end(args, &error);
}

static const struct cli_option options[] = {
    {"no-write", CLI_FLAG, offsetof(struct doctor_options, no_write),
     .help = "do not put, and remove again, a small object in the root"},
    {"json", CLI_FLAG, offsetof(struct doctor_options, json), .help = "a JSON array of the findings"},
};
static const struct doctor_options defaults;

const struct cli_command cli_doctor_command = {
    .name = "doctor",
    .usage = "[--root DIR|URL] [OPTIONS]",
    .summary = "try out bucket, model, cache, accounts and clock; say what is wrong and what to do",
    .details = "Tries what the settings name: the model, the root (listing, conditional puts, the clock), Redis,\n"
               "and the accounts' database. Ends with status 1 if it finds a fault. A line begins with ok, note\n"
               "or FAULT.\n",
    .example = "  dipper doctor --root s3://my-bucket/dipper\n",
    .main_settings = "--root --model --auth",
    .settings = CONFIG_GROUP_ALL,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_doctor,
};
