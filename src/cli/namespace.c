/* namespace.c: `dipper namespace` lists, describes, deletes, verifies and tidies the namespaces of a root. Each
 * verb prints its cost at the end. */
#include <inttypes.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/namespace.h"
#include "filter/attribute.h"
#include "index/upkeep.h"
#include "service/full_text.h"

enum { ARENA_MAX = 1 << 30, OUTPUT_MAX = 256 << 20, NAMES_PAGE = 1000, PAUSE_MS = 100 };

/* ---- list, info ------------------------------------------------------------------------------------------ */

static enum dp_status list_namespaces(struct namespace_run *run)
{
    struct index_names names = {.truncated = true};
    struct span after = {0};
    const char *prefix = run->args->position_count ? run->args->positions[0] : "";
    if (run->options->json)
        json_field_array(&run->json, "namespaces");
    while (names.truncated) {
        enum dp_status status = index_list(&run->call, run->store, span_str(prefix), after, NAMES_PAGE, &names);
        if (status)
            return status;
        for (size_t i = 0; i < names.count; i++) {
            if (run->options->json)
                json_string(&run->json, names.names[i]);
            else
                buffer_printf(&run->out, "%.*s\n", SPAN_FMT(names.names[i]));
        }
        if (names.count)
            after = names.names[names.count - 1];
    }
    if (run->options->json)
        json_end_array(&run->json);
    return DP_OK;
}

static void print_stats(struct namespace_run *run, const struct index_stats *s)
{
    const char *metric = s->vectors.metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared";
    if (run->options->json) {
        json_field_span(&run->json, "name", run->name);
        json_field_u64(&run->json, "rows", s->rows);
        json_field_u64(&run->json, "segments", s->segments);
        json_field_u64(&run->json, "bytes", s->bytes);
        json_field_u64(&run->json, "branches", s->branches);
        json_field_u64(&run->json, "dimensions", s->vectors.dim);
        json_field_str(&run->json, "metric", metric);
        json_field_span(&run->json, "model", s->vectors.model);
        json_field_u64(&run->json, "created_ms", (uint64_t)s->created_ms);
        json_field_u64(&run->json, "updated_ms", (uint64_t)s->updated_ms);
        return;
    }
    buffer_printf(&run->out,
                  "name        %.*s\nrows        %" PRIu64 "\nsegments    %" PRIu64 "\nbytes       %" PRIu64
                  "\nbranches    %" PRIu64 "\ndimensions  %" PRIu32 "\nmetric      %s\nmodel       %.*s\n",
                  SPAN_FMT(run->name), s->rows, s->segments, s->bytes, s->branches, s->vectors.dim, metric,
                  SPAN_FMT(s->vectors.model.len ? s->vectors.model : span_str("(rows bring their vectors)")));
}

static enum dp_status show_namespace(struct namespace_run *run)
{
    struct index_reader *reader = NULL;
    struct index_stats stats;
    struct span schema;
    enum dp_status status = index_open(&run->call, run->store, run->name, &reader);
    if (status)
        return status;
    status = index_stats(&run->call, reader, &stats);
    if (status == DP_OK)
        status = index_schema_json(&run->call, reader, &schema);
    if (status == DP_OK) {
        print_stats(run, &stats);
        if (run->options->json)
            json_field_raw(&run->json, "schema", schema);
        else
            buffer_printf(&run->out, "schema      %.*s\n", SPAN_FMT(schema));
    }
    index_close(reader);
    return status;
}

/* ---- rm -------------------------------------------------------------------------------------------------- */

/* Reads an id of the namespace's kind. If that kind is mixed or unknown, digits are an integer. */
static struct index_id read_id(const char *text, enum id_kind kind)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool digits = *text >= '0' && *text <= '9' && *end == 0 && errno == 0;
    if (digits && (kind == ID_ANY || kind == ID_UINT))
        return (struct index_id){.number = number};
    return (struct index_id){.is_string = true, .is_uuid = kind == ID_UUID, .text = span_str(text)};
}

static enum dp_status remove_rows(struct namespace_run *run, struct index_reader *reader)
{
    struct index_write_row rows[CLI_POSITIONS_MAX];
    struct index_write write = {.rows = rows, .count = run->args->position_count - 1, .unthrottled = true};
    struct index_write_result result;
    struct schema schema;
    enum dp_status status = index_schema(&run->call, reader, &schema);
    for (size_t i = 0; i < write.count && status == DP_OK; i++)
        rows[i] = (struct index_write_row){.kind = INDEX_DELETE,
                                           .id = read_id(run->args->positions[i + 1], schema.id_kind)};
    if (status == DP_OK)
        status = index_write(&run->call, reader, &write, &result);
    if (status)
        return status;
    if (run->options->json) {
        json_field_u64(&run->json, "deleted", result.deleted);
        json_field_u64(&run->json, "entry", result.number);
    } else
        buffer_printf(&run->out, "%.*s: deleted %" PRIu64 " ids in log entry %" PRIu64 "\n", SPAN_FMT(run->name),
                      result.deleted, result.number);
    return DP_OK;
}

static enum dp_status remove_namespace(struct namespace_run *run)
{
    struct index_reader *reader = NULL;
    enum dp_status status;
    if (run->args->position_count > 1) {
        status = index_open(&run->call, run->store, run->name, &reader);
        if (status == DP_OK)
            status = remove_rows(run, reader);
        index_close(reader);
        return status;
    }
    status = index_delete(&run->call, run->store, run->name);
    if (status == DP_OK && run->options->json)
        json_field_bool(&run->json, "deleted", true);
    else if (status == DP_OK)
        buffer_printf(&run->out, "%.*s: deleted; a collector removes its objects after a day\n",
                      SPAN_FMT(run->name));
    return status;
}

/* ---- compact, gc ----------------------------------------------------------------------------------------- */

/* Folds the log of the namespace. *declared: its attribute "text" has got full-text search. */
static enum dp_status fold_namespace(struct namespace_run *run, struct index_fold_result *result, bool *declared)
{
    const struct index_fold_options options = {.team = service_team(run->service)};
    struct index_reader *reader = NULL;
    enum dp_status status = index_open(&run->call, run->store, run->name, &reader);
    if (status == DP_OK)
        status = index_fold(&run->call, reader, &options, result);
    if (status == DP_OK)
        status = service_declare_full_text(&run->call, run->store, run->name, reader, declared);
    index_close(reader);
    return status;
}

static enum dp_status compact_namespace(struct namespace_run *run)
{
    struct index_fold_result folded = {0};
    const struct index_merge_options options = {.team = service_team(run->service), .everything = true};
    struct index_merge_result sum = {0}, one = {.inputs = 1};
    uint64_t merges = 0;
    bool declared = false;
    enum dp_status status = fold_namespace(run, &folded, &declared);
    if (status)
        return status;
    while (one.inputs) {
        status = index_merge(&run->call, run->store, run->name, &options, &one);
        if (status)
            return status;
        sum.inputs += one.inputs;
        sum.outputs += one.outputs;
        sum.rows += one.rows;
        merges += one.inputs > 0;
    }
    if (run->options->json) {
        json_field_u64(&run->json, "folded_entries", folded.entries);
        json_field_bool(&run->json, "full_text_search", declared);
        json_field_u64(&run->json, "merges", merges);
        json_field_u64(&run->json, "inputs", sum.inputs);
        json_field_u64(&run->json, "outputs", sum.outputs);
        json_field_u64(&run->json, "rows", sum.rows);
        return DP_OK;
    }
    if (folded.entries)
        buffer_printf(&run->out, "%.*s: folded %" PRIu64 " log entries\n", SPAN_FMT(run->name), folded.entries);
    if (declared)
        buffer_printf(&run->out, "%.*s: \"text\" has full-text search now\n", SPAN_FMT(run->name));
    if (merges)
        buffer_printf(&run->out, "%.*s: merged %" PRIu64 " segments into %" PRIu64 ", %" PRIu64 " rows\n",
                      SPAN_FMT(run->name), sum.inputs, sum.outputs, sum.rows);
    else
        buffer_printf(&run->out, "%.*s: nothing to merge\n", SPAN_FMT(run->name));
    return DP_OK;
}

/* Waits until the next step of a collection is due, or until the user ends the command. */
static enum dp_status wait_ms(struct namespace_run *run, int64_t ms)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    enum dp_status status = call_check(&run->call);
    for (int64_t waited = 0; waited < ms && status == DP_OK; waited += PAUSE_MS) {
        nanosleep(&pause, NULL);
        status = call_check(&run->call);
    }
    return status;
}

static void print_collection(struct namespace_run *run, const struct index_collect_result *r)
{
    if (run->options->json) {
        json_field_u64(&run->json, "removed_entries", r->entries);
        json_field_u64(&run->json, "removed_objects", r->objects);
        json_field_u64(&run->json, "waiting", r->waiting);
        json_field_u64(&run->json, "young", r->young);
        return;
    }
    buffer_printf(&run->out, "%.*s: removed %" PRIu64 " log entries and %" PRIu64 " other objects",
                  SPAN_FMT(run->name), r->entries, r->objects);
    if (r->waiting)
        buffer_printf(&run->out, "; %" PRIu64 " may be removed in %" PRIi64 " minutes (--wait waits for them)",
                      r->waiting, (r->due_ms + 59999) / 60000);
    if (r->young)
        buffer_printf(&run->out, "; %" PRIu64 " unlisted ones are younger than a day", r->young);
    buffer_append_str(&run->out, "\n");
}

static enum dp_status collect_namespace(struct namespace_run *run)
{
    const struct index_collect_options options = {.at_once = true};
    struct index_collector *collector;
    struct index_collect_result r;
    enum dp_status status = index_collector_new(run->store, run->name, &collector, &run->call.error);
    if (status)
        return status;
    status = index_collect(&run->call, collector, &options, &r);
    uint64_t entries = r.entries, objects = r.objects;
    while (status == DP_OK && run->options->wait && r.waiting) {
        status = wait_ms(run, r.due_ms);
        if (status == DP_OK)
            status = index_collect(&run->call, collector, &options, &r);
        entries += r.entries;
        objects += r.objects;
    }
    r.entries = entries;
    r.objects = objects;
    if (status == DP_OK)
        print_collection(run, &r);
    index_collector_free(collector);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------------------- */

static void print_cost(struct namespace_run *run)
{
    const struct call_cost *c = &run->call.cost;
    if (run->options->json) {
        json_field_object(&run->json, "cost");
        json_field_u64(&run->json, "rounds", c->rounds);
        json_field_u64(&run->json, "requests", c->requests);
        json_field_u64(&run->json, "bytes", c->bytes);
        json_field_u64(&run->json, "bytes_written", c->bytes_written);
        json_end_object(&run->json);
        json_end_object(&run->json);
        buffer_append_str(&run->out, "\n");
        return;
    }
    fprintf(stderr, "%" PRIu64 " rounds, %" PRIu64 " requests, %.1f KB read, %.1f KB written\n", c->rounds,
            c->requests, (double)c->bytes / 1024, (double)c->bytes_written / 1024);
}

/* Opens the root, runs one verb, and prints the verb's output and its cost. */
static int run_namespace(const struct cli_args *args, namespace_verb *verb)
{
    struct arena arena;
    struct namespace_run run = {.args = args, .options = args->options};
    struct dp_error error = {0};
    arena_init(&arena, ARENA_MAX);
    call_init(&run.call, &arena);
    run.call.cancelled = interrupt_watch();
    run.call.patient = true;
    buffer_init(&run.out, OUTPUT_MAX);
    json_writer_init(&run.json, &run.out);
    if (args->position_count)
        run.name = span_str(args->positions[0]);
    if (run.options->json)
        json_begin_object(&run.json);
    unsigned parts = OPEN_STORE | (verb == namespace_import ? OPEN_CREATE : 0);
    enum dp_status status = open_service(program_inputs(&args->config), parts, &run.service, &error);
    if (status == DP_OK) {
        run.store = service_store(run.service);
        status = verb(&run);
        if (status == DP_OK)
            print_cost(&run);
        if (status == DP_OK)
            status = buffer_check(&run.out, "the output", &run.call.error);
        if (status == DP_OK)
            printf("%.*s", (int)run.out.len, (const char *)run.out.data);
        error = run.call.error;
    }
    service_free(run.service);
    buffer_deinit(&run.out);
    arena_deinit(&arena);
    int exit_status = cli_end(args, &error);
    return exit_status == CLI_OK && run.failed ? CLI_FAILED : exit_status;
}

static int run_namespace_list(const struct cli_args *args)
{
    return run_namespace(args, list_namespaces);
}

static int run_namespace_info(const struct cli_args *args)
{
    return run_namespace(args, show_namespace);
}

static int run_namespace_rm(const struct cli_args *args)
{
    const struct namespace_options *given = args->options;
    if (args->position_count == 1 && !given->yes)
        return cli_usage(args, "this deletes the whole namespace %s: add --yes, or name the ids to delete",
                         args->positions[0]);
    return run_namespace(args, remove_namespace);
}

static int run_namespace_verify(const struct cli_args *args)
{
    const struct namespace_options *given = args->options;
    if (given->repair && given->json && !given->yes)
        return cli_usage(args, "--repair asks before it changes anything, which --json cannot: add --yes");
    return run_namespace(args, namespace_verify);
}

static int run_namespace_export(const struct cli_args *args)
{
    const struct namespace_options *given = args->options;
    if (given->json && strcmp(args->positions[1], "-") == 0)
        return cli_usage(args, "--json prints on standard output, and so does the export: name a file");
    return run_namespace(args, namespace_export);
}

static int run_namespace_import(const struct cli_args *args)
{
    return run_namespace(args, namespace_import);
}

static int run_namespace_branch(const struct cli_args *args)
{
    return run_namespace(args, namespace_branch);
}

static int run_namespace_copy(const struct cli_args *args)
{
    return run_namespace(args, namespace_copy);
}

static int run_namespace_compact(const struct cli_args *args)
{
    return run_namespace(args, compact_namespace);
}

static int run_namespace_gc(const struct cli_args *args)
{
    return run_namespace(args, collect_namespace);
}

static const struct cli_option options[] = {
    {"yes", CLI_FLAG, offsetof(struct namespace_options, yes), .verbs = "rm verify",
     .help = "rm: delete the whole namespace; verify --repair: do not ask"},
    {"repair", CLI_FLAG, offsetof(struct namespace_options, repair), .verbs = "verify",
     .help = "print what is lost, ask, and make the namespace readable without it"},
    {"json", CLI_FLAG, offsetof(struct namespace_options, json), .help = "print one JSON object"},
    {"wait", CLI_FLAG, offsetof(struct namespace_options, wait), .verbs = "gc",
     .help = "wait the 15 minutes until what was let go may be removed, and remove it"},
    {"to", CLI_TEXT, offsetof(struct namespace_options, to), .value = "ROOT", .verbs = "cp",
     .help = "put the copy into this folder or bucket instead of --root"},
};
static const struct namespace_options defaults = {.json = false};

static const struct cli_verb verbs[] = {
    {"list", "[PREFIX]", "print the names of all namespaces, or of those that begin with PREFIX", 0, 1,
     run_namespace_list},
    {"info", "NAMESPACE", "print what a namespace holds", 1, 1, run_namespace_info},
    {"rm", "NAMESPACE ID…|--yes", "delete rows by their ids, or the whole namespace", 1, CLI_POSITIONS_MAX,
     run_namespace_rm},
    {"verify", "NAMESPACE [--repair]",
     "read every object, check every checksum and reference, and name what is wrong", 1, 1, run_namespace_verify},
    {"export", "NAMESPACE FILE.jsonl", "write all of a namespace to a file (\"-\": standard output)", 2, 2,
     run_namespace_export},
    {"import", "NAMESPACE FILE.jsonl", "make a new namespace of an exported file (\"-\": standard input)", 2, 2,
     run_namespace_import},
    {"branch", "SOURCE NAME", "make a namespace that shares the objects of another one, and is independent", 2, 2,
     run_namespace_branch},
    {"cp", "SOURCE NAME [--to ROOT]", "copy a namespace, also to another folder or bucket", 2, 2,
     run_namespace_copy},
    {"compact", "NAMESPACE", "fold the log, and merge the segments into as few as possible", 1, 1,
     run_namespace_compact},
    {"gc", "NAMESPACE [--wait]", "remove log entries and objects that the namespace no longer needs", 1, 1,
     run_namespace_gc},
};

const struct cli_command cli_namespace_command = {
    .name = "namespace",
    .alias = "ns",
    .summary = "list, describe, delete, verify, compact, branch, copy namespaces",
    .details =
        "`verify` ends with status 1 if it finds a fault, or with --repair if it leaves one. `gc` removes a\n"
        "thing only 15 minutes after the namespace has let it go, because a reader may still use it, and an\n"
        "object that no manifest lists only after a day, because a load may still be at work. `dipper serve`\n"
        "and `dipper index-worker` do both in the background. `compact` also gives \"text\" full-text search,\n"
        "if `dipper index` of an older version has made the namespace, and writes the segments anew that\n"
        "lack their text index or their columns.\n",
    .example = "  dipper namespace info notes --root ./bucket\n"
               "  dipper ns verify notes --root ./bucket\n",
    .main_settings = "--root",
    .settings = CONFIG_GROUP_STORE,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof *verbs,
};
