/* faiss_build.c: `dipper faiss build`: makes an IVF file from a file of vectors. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/store_settings.h"
#include "base/alloc.h"
#include "base/json.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "faiss/faiss_build.h"
#include "faiss/vector_input.h"
#include "os/clock.h"

enum { ARENA_MAX = 16 << 20, OUTPUT_MAX = 1 << 16, MB_SHIFT = 20 };

/* ---- options ----------------------------------------------------------------------------- */

static bool is(const char *given, const char *name)
{
    return given && strcmp(given, name) == 0;
}

static enum dp_status read_build_options(const struct faiss_options *from, struct faiss_build_options *to,
                                         struct dp_error *error)
{
    const bool by_product =
        is(from->metric, "inner_product") || is(from->metric, "ip") || is(from->metric, "cosine");
    *to = (struct faiss_build_options){.kind = is(from->kind, "flat") ? IVF_FLAT : IVF_SQ8,
                                       .metric = by_product ? VECTOR_INNER_PRODUCT : VECTOR_L2,
                                       .normalize = is(from->metric, "cosine"),
                                       .seed = from->seed,
                                       .memory_bytes = (size_t)from->memory_mb << MB_SHIFT,
                                       .no_recall = from->no_recall};
    if (from->kind && !is(from->kind, "flat") && !is(from->kind, "sq8"))
        return dp_fail(error, DP_INVALID, "--kind is '%s', but must be flat or sq8", from->kind);
    if (from->metric && !is(from->metric, "l2") && to->metric == VECTOR_L2)
        return dp_fail(error, DP_INVALID, "--metric is '%s', but must be l2, inner_product (or ip) or cosine",
                       from->metric);
    if (!from->nlist || is(from->nlist, "auto"))
        return DP_OK;
    char *end;
    errno = 0;
    unsigned long long nlist = strtoull(from->nlist, &end, 10);
    if (*from->nlist < '0' || *from->nlist > '9' || *end || errno || nlist < 1 || nlist > UINT32_MAX)
        return dp_fail(error, DP_INVALID, "--nlist is '%s', but must be auto or a whole number from 1 to %" PRIu32,
                       from->nlist, UINT32_MAX);
    to->nlist = (size_t)nlist;
    return DP_OK;
}

/* ---- progress ------------------------------------------------------------------------------------ */

struct build_progress {
    struct progress line;
    const char *stage; /* NULL before the first stage */
    uint64_t vectors;
};

static bool on_build_progress(void *ctx, const char *stage, double done)
{
    static const struct {
        const char *stage, *what;
    } names[] = {{"reading", "vectors read"},
                 {"clustering", "vectors clustered"},
                 {"assigning", "vectors assigned to lists"},
                 {"writing", "vectors written"},
                 {"measuring", "vectors, measuring recall"}};
    struct build_progress *progress = ctx;
    if (progress->stage != stage) {
        const char *what = stage;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            what = strcmp(stage, names[i].stage) == 0 ? names[i].what : what;
        if (progress->stage)
            progress_end(&progress->line);
        progress_begin(&progress->line, what);
        progress->stage = stage;
    }
    progress_update(&progress->line, (uint64_t)((double)progress->vectors * done), (uint64_t)(done * 1e6),
                    1000000);
    return true; /* always goes on, because Ctrl-C cancels the call */
}

/* ---- the answer --------------------------------------------------------------------------------------- */

static void write_built_json(struct buffer *out, const char *url, const struct faiss_build_options *how,
                             const struct faiss_built *built, double seconds)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    json_field_str(&w, "url", url);
    json_field_u64(&w, "vectors", built->vectors);
    json_field_u64(&w, "d", built->dim);
    json_field_u64(&w, "nlist", built->nlist);
    json_field_str(&w, "kind", how->kind == IVF_FLAT ? "flat" : "sq8");
    json_field_str(&w, "metric", how->metric == VECTOR_L2 ? "l2" : how->normalize ? "cosine" : "inner_product");
    json_field_u64(&w, "bytes", built->bytes);
    if (built->recall.count > 0) {
        json_key(&w, "nprobe_for_recall_0.95");
        size_t nprobe = 0;
        if (recall_nprobe(&built->recall, 0.95, &nprobe, NULL) == DP_OK)
            json_u64(&w, nprobe);
        else
            json_null(&w);
    }
    json_field_double(&w, "seconds", seconds);
    json_end_object(&w);
    buffer_append_str(out, "\n");
}

/* Writes the smallest nprobe that reaches each of four recalls, if one does. */
static void write_recall(struct buffer *out, const struct recall_table *table)
{
    static const double wanted[] = {0.8, 0.9, 0.95, 0.99};
    for (size_t i = 0; table->count > 0 && i < sizeof wanted / sizeof *wanted; i++) {
        size_t nprobe;
        if (recall_nprobe(table, wanted[i], &nprobe, NULL) == DP_OK)
            buffer_printf(out, "recall@%" PRIu64 " of %.2f with nprobe %zu\n", table->k, wanted[i], nprobe);
    }
}

static enum dp_status print_built(const char *url, const struct faiss_build_options *how,
                                  const struct faiss_built *built, int64_t ns, bool json, struct dp_error *error)
{
    struct buffer out;
    int64_t ms = ns / 1000000;
    double seconds = (double)ms / 1000;
    buffer_init(&out, OUTPUT_MAX);
    if (json)
        write_built_json(&out, url, how, built, seconds);
    else
        buffer_printf(&out, "%s: %" PRIu64 " vectors of %zu dimensions in %zu lists, %.1f MB, in %.1f s\n", url,
                      built->vectors, built->dim, built->nlist, (double)built->bytes * 1e-6, seconds);
    if (!json)
        write_recall(&out, &built->recall);
    enum dp_status status = buffer_check(&out, "the answer", error);
    if (status == DP_OK)
        status = output_write(buffer_span(&out), error);
    buffer_deinit(&out);
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static enum dp_status build_file(struct call *call, const struct cli_args *args, struct faiss_build_options *how,
                                 struct faiss_built *built)
{
    const struct faiss_options *given = args->options;
    struct build_progress progress = {0};
    struct vector_input input;
    struct team *team = NULL;
    int64_t *ids = NULL;
    enum dp_status status = vector_input_open(call, given->vectors, &input);
    if (status == DP_OK && given->ids)
        status = vector_input_ids(call, given->ids, input.layout.count, &ids);
    if (status == DP_OK)
        status = team_new(args->config.threads, &team, &call->error);
    if (status == DP_OK) {
        const struct scheme_settings schemes = scheme_settings_of(&args->config);
        struct store_options store = {.trust = trust_settings_of(&args->config)};
        scheme_settings_use(&schemes, &store);
        const struct vector_source source = vector_input_source(&input);
        progress.vectors = source.count;
        how->ids = ids;
        how->progress = on_build_progress;
        how->progress_ctx = &progress;
        status = faiss_build(call, team, &source, how, span_str(args->positions[0]), &store, built);
        if (progress.stage)
            progress_end(&progress.line);
    }
    team_free(team);
    mem_free(ids);
    vector_input_close(&input);
    return status;
}

int cli_faiss_build(const struct cli_args *args)
{
    const struct faiss_options *given = args->options;
    struct faiss_build_options how;
    struct faiss_built built = {0};
    struct dp_error error = {0};
    struct arena arena;
    struct call call;
    int64_t begun = os_now_ns();
    if (!given->vectors)
        return cli_usage(args, "`faiss build` needs --vectors FILE");
    if (read_build_options(given, &how, &error) != DP_OK)
        return cli_end(args, &error);
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    enum dp_status status = build_file(&call, args, &how, &built);
    error = call.error;
    arena_deinit(&arena);
    if (status == DP_CANCELLED)
        dp_fail(&error, status,
                built.bytes > 0 ? "the file was written, but without a table of recall" : "no file was written");
    if (status == DP_OK)
        print_built(args->positions[0], &how, &built, os_now_ns() - begun, given->json, &error);
    return cli_end(args, &error);
}
