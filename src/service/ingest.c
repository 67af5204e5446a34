/* ingest.c: reads rows, embeds their texts, loads them into a namespace.
 *
 * Rows are taken in batches of a few hundred: lines are parsed by the calling thread, texts are cut into windows
 * by the whole team (each worker with its own arena), and the vectors computed by the whole team again. What the
 * calling thread does alone is about a hundredth of the work. Memory is a batch's, whatever the stream's length.
 */
#include "service/ingest.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "service/ingest_row.h"
#include "service/service_impl.h"

enum {
    BATCH_ROWS = 256,
    BATCH_BYTES = 4 << 20, /* of lines: a batch ends when it has that many */
    EMBED_WINDOWS = 1024,  /* given to the embedder at once */
    ARENA_MAX = 1 << 30,
};

/* What the team makes of a row's text. */
struct row_windows {
    struct tokens *windows;
    size_t count;
    struct dp_error error;
};

struct ingest {
    struct call *call;
    struct service *service;
    const struct ingest_options *options;
    struct ingest_summary *summary;
    struct line_reader *in;
    struct index_loader *loader;
    struct arena arena; /* the batch's lines and rows */
    struct arena *worker_arenas;
    unsigned workers;
    struct buffer scratch;
    struct ingest_row *rows; /* [batch_rows] */
    struct row_windows *windows;
    size_t batch_rows, count;
    bool own_vectors; /* rows bring their vectors */
    size_t dim;
    int64_t began_ns;
    bool ended;
};

static bool is_blank_line(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

static enum dp_status at_line(struct ingest *in, uint64_t line)
{
    dp_error_prefix(&in->call->error, "line %llu", (unsigned long long)line);
    return in->call->error.status;
}

/* The first row tells whether rows bring vectors; the load begins with it. */
static enum dp_status begin_load(struct ingest *in, const struct ingest_row *row)
{
    struct call *call = in->call;
    struct service *s = in->service;
    struct index_vectors vectors = {.metric = in->options->metric};
    in->own_vectors = row->vector != NULL;
    if (in->own_vectors) {
        vectors.dim = (uint32_t)row->dim;
    } else {
        enum dp_status status = service_need_model(call, s);
        if (status != DP_OK)
            return status;
        vectors.dim = s->facts.dim;
        vectors.model = s->facts.name;
        vectors.fingerprint = s->facts.fingerprint;
    }
    in->dim = vectors.dim;
    return index_load_begin(call, s->store, in->options->namespace, &vectors, s->team, &in->loader);
}

static enum dp_status check_kind(struct ingest *in, const struct ingest_row *row)
{
    if (!in->own_vectors && row->vector)
        return call_fail(in->call, DP_INVALID,
                         "\"vector\" is given, but the rows before are embedded from \"text\"");
    if (in->own_vectors && !row->vector)
        return call_fail(in->call, DP_INVALID, "\"vector\" is missing, but the rows before have it");
    if (in->own_vectors && row->dim != in->dim)
        return call_fail(in->call, DP_INVALID, "\"vector\" has %zu numbers, those before have %zu", row->dim,
                         in->dim);
    return DP_OK;
}

/* Reads the next batch; count 0 at the end of the stream. */
static enum dp_status read_batch(struct ingest *in)
{
    struct call *call = in->call;
    struct span line;
    uint64_t bytes = 0;
    in->count = 0;
    arena_reset(&in->arena);
    while (in->count < in->batch_rows && bytes < BATCH_BYTES) {
        struct dp_error error = {.status = DP_OK};
        if (!line_reader_next(in->in, &line, &error)) {
            in->ended = error.status == DP_OK;
            if (in->ended)
                return DP_OK;
            call->error = error;
            return error.status; /* its message names the line */
        }
        bytes += line.len + 1;
        in->summary->bytes += line.len + 1;
        if (in->in->number == 1 && span_starts_with(line, span_str("\xef\xbb\xbf")))
            line = span_of(line.data + 3, line.len - 3); /* a byte order mark */
        if (is_blank_line(line))
            continue;
        struct ingest_row *row = &in->rows[in->count];
        struct span kept = arena_copy(&in->arena, line);
        if (!kept.data)
            return call_nomem(call, "a batch of rows");
        row->line = in->in->number;
        enum dp_status status = ingest_row_parse(kept, &in->arena, &in->scratch, row, &call->error);
        if (status == DP_OK && !in->loader)
            status = begin_load(in, row);
        if (status == DP_OK)
            status = check_kind(in, row);
        if (status != DP_OK)
            return status == DP_NOMEM ? status : at_line(in, row->line);
        in->count++;
    }
    return DP_OK;
}

/* Cuts one row's text into windows: work of the team. */
static void cut_row(void *context, size_t index, unsigned worker)
{
    struct ingest *in = context;
    const struct service *s = in->service;
    struct row_windows *w = &in->windows[index];
    struct arena *arena = &in->worker_arenas[worker];
    struct span text = in->rows[index].text;
    size_t limit = s->facts.max_tokens, overlap = INGEST_WINDOW_OVERLAP;
    if (overlap + s->special_count >= limit / 2)
        overlap = 0; /* a model of very short texts */
    w->error.status = DP_OK;
    tokenizer_windows(s->tokenizer, text, limit, overlap, arena, &w->windows, &w->count, &w->error);
}

static enum dp_status cut_batch(struct ingest *in, size_t *total)
{
    int64_t began = os_now_ns();
    *total = 0;
    for (unsigned i = 0; i < in->workers; i++)
        arena_reset(&in->worker_arenas[i]);
    team_run(in->service->team, in->count, cut_row, in);
    in->call->cost.tokenize_ns += (uint64_t)(os_now_ns() - began);
    for (size_t i = 0; i < in->count; i++) {
        const struct row_windows *w = &in->windows[i];
        if (w->error.status != DP_OK) {
            in->call->error = w->error;
            return at_line(in, in->rows[i].line);
        }
        *total += w->count;
        in->summary->long_texts += w->count > 1;
    }
    return DP_OK;
}

/* All windows of the batch, one behind the other, into vectors[total][dim]. */
static enum dp_status embed_batch(struct ingest *in, struct tokens *all, size_t total, float *vectors)
{
    struct call *call = in->call;
    int64_t began = os_now_ns();
    uint64_t tokens_before = call->cost.tokens;
    size_t n = 0;
    for (size_t i = 0; i < in->count; i++)
        for (size_t j = 0; j < in->windows[i].count; j++)
            all[n++] = in->windows[i].windows[j];
    enum dp_status status = DP_OK;
    for (size_t at = 0; at < total && status == DP_OK; at += EMBED_WINDOWS) {
        size_t part = total - at < EMBED_WINDOWS ? total - at : EMBED_WINDOWS;
        status = embedder_embed(call, in->service->embedder, all + at, part, true, vectors + at * in->dim);
    }
    in->summary->embed_ns += os_now_ns() - began;
    in->summary->tokens += call->cost.tokens - tokens_before;
    return status;
}

static enum dp_status load_row(struct ingest *in, const struct ingest_row *row, const float *vectors,
                               size_t windows)
{
    enum dp_status status = index_load_row(in->call, in->loader, row->id, vectors, windows, row->attributes);
    if (status == DP_INVALID)
        return at_line(in, row->line);
    in->summary->rows += status == DP_OK;
    in->summary->windows += status == DP_OK ? windows : 0;
    return status;
}

static enum dp_status load_texts(struct ingest *in)
{
    size_t total;
    enum dp_status status = cut_batch(in, &total);
    if (status != DP_OK)
        return status;
    struct tokens *all = arena_array(&in->arena, total, sizeof *all);
    float *vectors = arena_array(&in->arena, total, in->dim * sizeof *vectors);
    if (!all || !vectors)
        return call_nomem(in->call, "the vectors of a batch");
    status = embed_batch(in, all, total, vectors);
    for (size_t i = 0; i < in->count && status == DP_OK; i++) {
        status = load_row(in, &in->rows[i], vectors, in->windows[i].count);
        vectors += in->windows[i].count * in->dim;
    }
    return status;
}

static enum dp_status load_vectors(struct ingest *in)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < in->count && status == DP_OK; i++)
        status = load_row(in, &in->rows[i], in->rows[i].vector, 1);
    return status;
}

static void report(const struct ingest *in, bool committing)
{
    if (!in->options->progress)
        return;
    double seconds = (double)(os_now_ns() - in->began_ns) * 1e-9;
    struct ingest_progress progress = {
        .rows = in->summary->rows,
        .bytes = in->summary->bytes,
        .tokens = in->summary->tokens,
        .rows_per_s = seconds > 0 ? (double)in->summary->rows / seconds : 0,
        .committing = committing,
    };
    in->options->progress(in->options->progress_ctx, &progress);
}

static enum dp_status load_all(struct ingest *in)
{
    while (!in->ended) {
        enum dp_status status = call_check(in->call);
        if (status == DP_OK)
            status = read_batch(in);
        if (status == DP_OK && in->count)
            status = in->own_vectors ? load_vectors(in) : load_texts(in);
        if (status != DP_OK)
            return status;
        if (in->count)
            report(in, false);
    }
    if (!in->loader)
        return call_fail(in->call, DP_INVALID, "there are no rows to index");
    return DP_OK;
}

static enum dp_status allocate(struct ingest *in)
{
    in->batch_rows = in->options->batch_rows ? in->options->batch_rows : BATCH_ROWS;
    in->workers = team_size(in->service->team);
    in->rows = mem_calloc(in->batch_rows, sizeof *in->rows);
    in->windows = mem_calloc(in->batch_rows, sizeof *in->windows);
    in->worker_arenas = mem_calloc(in->workers, sizeof *in->worker_arenas);
    if (!in->rows || !in->windows || !in->worker_arenas)
        return call_nomem(in->call, "batches of rows");
    for (unsigned i = 0; i < in->workers; i++)
        arena_init(&in->worker_arenas[i], ARENA_MAX);
    return DP_OK;
}

enum dp_status service_ingest(struct call *call, struct service *s, struct line_reader *in_lines,
                              const struct ingest_options *options, struct ingest_summary *summary)
{
    struct ingest in = {.call = call, .service = s, .options = options, .summary = summary, .in = in_lines};
    *summary = (struct ingest_summary){.rows = 0};
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(options->namespace, &call->error);
    if (status != DP_OK)
        return status;
    in.began_ns = os_now_ns();
    arena_init(&in.arena, ARENA_MAX);
    buffer_init(&in.scratch, 2 * (size_t)INGEST_LINE_MAX);
    status = allocate(&in);
    if (status == DP_OK)
        status = load_all(&in);
    if (status == DP_OK) {
        int64_t began = os_now_ns();
        report(&in, true);
        struct index_loader *loader = in.loader;
        in.loader = NULL; /* the commit frees it, whatever it answers */
        status = index_load_commit(call, loader, &summary->load);
        summary->commit_ns = os_now_ns() - began;
    }
    index_load_abort(in.loader);
    summary->total_ns = os_now_ns() - in.began_ns;
    for (unsigned i = 0; in.worker_arenas && i < in.workers; i++)
        arena_deinit(&in.worker_arenas[i]);
    mem_free(in.worker_arenas);
    mem_free(in.windows);
    mem_free(in.rows);
    buffer_deinit(&in.scratch);
    arena_deinit(&in.arena);
    return status;
}
