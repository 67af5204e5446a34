/* faiss_calibrate.c: `dipper faiss calibrate`: measures the recall of each nprobe in an existing file. */
#include <inttypes.h>
#include <stdio.h>

#include "service/open.h"
#include "service/store_settings.h"
#include "cli/faiss.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "faiss/new_file.h"
#include "faiss/recall_measure.h"

enum { ARENA_MAX = 64 << 20 };

static bool on_calibrate_progress(void *ctx, double done)
{
    progress_update(ctx, (uint64_t)(done * 100), (uint64_t)(done * 1e6), 1000000);
    return true; /* always goes on, because Ctrl-C cancels the call */
}

static void write_table_text(struct buffer *out, const struct recall_table *table)
{
    buffer_printf(out, "nprobe  recall@%" PRIu64 " of %" PRIu64 " queries\n", table->k, table->queries);
    for (size_t i = 0; i < table->count; i++)
        buffer_printf(out, "%6" PRIu64 "  %.4f\n", table->points[i].nprobe, table->points[i].recall);
}

/* Writes the recall table beside the file, or where the options say, and prints it. */
static enum dp_status put_table(struct call *call, const struct cli_args *args, const struct recall_table *table)
{
    const struct faiss_options *given = args->options;
    const struct scheme_settings schemes = scheme_settings_of(&args->config);
    struct store_options store = {.trust = trust_settings_of(&args->config)};
    struct buffer out;
    struct span where = span_str(given->recall_table ? given->recall_table : args->positions[0]);
    enum dp_status status = given->recall_table ? DP_OK : recall_url(call, where, &where);
    scheme_settings_use(&schemes, &store);
    buffer_init(&out, RECALL_BYTES_MAX);
    recall_write(table, &out);
    if (status == DP_OK)
        status = buffer_check(&out, "a table of recall", &call->error);
    if (status == DP_OK)
        status = new_file_put(call, where, &store, buffer_span(&out));
    if (!given->json) {
        buffer_clear(&out);
        write_table_text(&out, table);
    }
    if (status == DP_OK)
        status = output_write(buffer_span(&out), &call->error);
    buffer_deinit(&out);
    return status;
}

/* Opens the file and the queries, and measures the recall. */
static enum dp_status calibrate(struct call *call, const struct cli_args *args, struct recall_table *table)
{
    const struct faiss_options *given = args->options;
    struct vector_file queries = {0};
    struct faiss_index *index = NULL;
    struct progress line;
    const struct recall_watch watch = {on_calibrate_progress, &line};
    enum dp_status status = cli_faiss_vectors(given->queries, &queries, &call->error);
    if (status == DP_OK)
        status = open_faiss(call, &args->config, span_str(args->positions[0]), &index);
    if (status == DP_OK && faiss_index_info(index).dim_in != queries.dim)
        status = call_fail(call, DP_INVALID, "%s has %zu dimensions, the file's vectors %zu", given->queries,
                           queries.dim, faiss_index_info(index).dim_in);
    if (status == DP_OK) {
        progress_begin(&line, "percent measured");
        status = recall_calibrate(call, index, queries.values, queries.count, &watch, table);
        progress_end(&line);
    }
    faiss_index_free(index);
    vector_file_deinit(&queries);
    return status;
}

int cli_faiss_calibrate(const struct cli_args *args)
{
    const struct faiss_options *given = args->options;
    struct recall_table table;
    struct arena arena;
    struct call call;
    if (!given->queries)
        return cli_usage(args, "`faiss calibrate` needs --queries FILE");
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    enum dp_status status = calibrate(&call, args, &table);
    if (status == DP_OK)
        put_table(&call, args, &table);
    struct dp_error error = call.error;
    arena_deinit(&arena);
    return cli_end(args, &error);
}
