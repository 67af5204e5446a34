/* faiss_calibrate.c: `dipper faiss calibrate`: recall by nprobe of a file that is there. */
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

static bool on_progress(void *ctx, double done)
{
    progress_update(ctx, (uint64_t)(done * 100), (uint64_t)(done * 1e6), 1000000);
    return true; /* Ctrl-C is the call's */
}

static void write_human(struct buffer *out, const struct recall_table *table)
{
    buffer_printf(out, "nprobe  recall@%" PRIu64 " of %" PRIu64 " queries\n", table->k, table->queries);
    for (size_t i = 0; i < table->count; i++)
        buffer_printf(out, "%6" PRIu64 "  %.4f\n", table->points[i].nprobe, table->points[i].recall);
}

/* Writes the table beside the file, or where the options say, and prints it. */
static enum dp_status put(struct call *call, const struct config *config,
                          const struct faiss_calibrate_options *options, const struct recall_table *table)
{
    const struct s3_settings s3 = s3_settings_of(config);
    const struct store_options store = {.s3 = &s3, .trust = trust_settings_of(config)};
    struct buffer out;
    struct span where = span_str(options->table ? options->table : options->url);
    enum dp_status status = options->table ? DP_OK : recall_url(call, where, &where);
    buffer_init(&out, RECALL_BYTES_MAX);
    recall_write(table, &out);
    if (status == DP_OK)
        status = buffer_check(&out, "a table of recall", &call->error);
    if (status == DP_OK)
        status = new_file_put(call, where, &store, buffer_span(&out));
    if (!options->json) {
        buffer_clear(&out);
        write_human(&out, table);
    }
    if (status == DP_OK)
        status = output_write(buffer_span(&out), &call->error);
    buffer_deinit(&out);
    return status;
}

enum dp_status faiss_calibrate(const struct config *config, const struct faiss_calibrate_options *options,
                               struct dp_error *error)
{
    struct vector_file queries;
    struct faiss_index *index = NULL;
    struct recall_table table;
    struct progress line;
    const struct recall_watch watch = {on_progress, &line};
    struct arena arena;
    struct call call;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    enum dp_status status = faiss_read_vectors(options->queries, &queries, &call.error);
    if (status == DP_OK)
        status = open_faiss(&call, config, span_str(options->url), &index);
    if (status == DP_OK && faiss_index_info(index).dim_in != queries.dim)
        status = call_fail(&call, DP_INVALID, "%s has %zu dimensions, the file's vectors %zu", options->queries,
                           queries.dim, faiss_index_info(index).dim_in);
    if (status == DP_OK) {
        progress_begin(&line, "percent measured");
        status = recall_calibrate(&call, index, queries.values, queries.count, &watch, &table);
        progress_end(&line);
    }
    if (status == DP_OK)
        status = put(&call, config, options, &table);
    *error = call.error;
    faiss_index_free(index);
    vector_file_deinit(&queries);
    arena_deinit(&arena);
    return status;
}
