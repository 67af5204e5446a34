/* ingest_batch.c: reads, embeds and loads a batch of rows. */
#include "service/ingest_batch.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "os/clock.h"

enum {
    BATCH_BYTES = 1 << 20,  /* a batch ends when its lines reach this many bytes */
    EMBED_TOKENS = 1 << 18, /* one call of the embedder takes windows until they reach this many tokens */
    ARENA_MAX = 1 << 30,
};

bool ingest_batch_init(struct ingest_batch *b, size_t rows)
{
    *b = (struct ingest_batch){.room = rows};
    arena_init(&b->arena, ARENA_MAX);
    b->rows = mem_calloc(rows, sizeof *b->rows);
    b->windows = mem_calloc(rows, sizeof *b->windows);
    return b->rows && b->windows;
}

void ingest_batch_deinit(struct ingest_batch *b)
{
    mem_free(b->rows);
    mem_free(b->windows);
    arena_deinit(&b->arena);
}

enum dp_status ingest_at_line(struct call *call, uint64_t line)
{
    dp_error_prefix(&call->error, "line %" PRIu64, line);
    return call->error.status;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static bool is_blank_line(struct span line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t')
            return false;
    return true;
}

/* Learns from the first row whether rows bring vectors, and their dimension. */
static enum dp_status learn_kind(struct ingest_reader *r, const struct ingest_row *row)
{
    struct ingest_kind *kind = r->kind;
    enum dp_status status = DP_OK;
    kind->own_vectors = row->vector != NULL;
    kind->dim = row->dim;
    if (!kind->own_vectors) {
        if (r->model)
            kind->dim = r->model->facts.dim;
        else
            status = call_fail(r->call, DP_UNSUPPORTED, "no model is loaded, so text cannot be embedded");
    }
    kind->known = status == DP_OK;
    return status;
}

static enum dp_status check_kind(struct ingest_reader *r, const struct ingest_row *row)
{
    const struct ingest_kind *kind = r->kind;
    if (!kind->own_vectors && row->vector)
        return call_fail(r->call, DP_INVALID, "\"vector\" is given, but earlier rows are embedded from \"text\"");
    if (kind->own_vectors && !row->vector)
        return call_fail(r->call, DP_INVALID, "\"vector\" is missing, but earlier rows have it");
    if (kind->own_vectors && row->dim != kind->dim)
        return call_fail(r->call, DP_INVALID, "\"vector\" has %zu numbers, earlier ones have %zu", row->dim,
                         kind->dim);
    return DP_OK;
}

/* Cuts a row's text into windows. */
static enum dp_status cut_row(struct ingest_reader *r, struct ingest_batch *b, const struct ingest_row *row,
                              struct row_windows *w)
{
    const struct served_model *m = r->model;
    size_t limit = m->facts.max_tokens, overlap = INGEST_WINDOW_OVERLAP;
    if (overlap + m->special_count + model_prompt_tokens_max(m->model) >= limit / 2)
        overlap = 0; /* the model takes only very short texts, or has a long prompt */
    int64_t began = os_now_ns();
    enum dp_status status = model_windows(m->model, TEXT_DOCUMENT, row->text, limit, overlap, &b->arena,
                                          &w->windows, &w->count, &r->call->error);
    r->call->cost.tokenize_ns += (uint64_t)(os_now_ns() - began);
    return status;
}

/* Parses a line into row b->count of the batch. Skips a blank line. */
static enum dp_status take_row_line(struct ingest_reader *r, struct ingest_batch *b, struct span line)
{
    struct ingest_row *row = &b->rows[b->count];
    struct row_windows *w = &b->windows[b->count];
    if (r->in->number == 1 && span_starts_with(line, span_str("\xef\xbb\xbf")))
        line = span_of(line.data + 3, line.len - 3); /* skips a byte order mark */
    if (is_blank_line(line))
        return DP_OK;
    struct span kept = arena_copy(&b->arena, line);
    if (!kept.data)
        return call_nomem(r->call, "a batch of rows");
    row->line = r->in->number;
    *w = (struct row_windows){.count = 1};
    enum dp_status status = ingest_row_parse(kept, &b->arena, &r->scratch, row, &r->call->error);
    if (status == DP_OK && !row->text.data && !row->vector)
        status = call_fail(r->call, DP_INVALID, "\"text\" (or \"vector\") is missing");
    if (status == DP_OK && !r->kind->known)
        status = learn_kind(r, row);
    if (status == DP_OK)
        status = check_kind(r, row);
    if (status == DP_OK && !r->kind->own_vectors)
        status = cut_row(r, b, row, w);
    if (status != DP_OK)
        return status == DP_NOMEM ? status : ingest_at_line(r->call, row->line);
    b->total += w->count;
    b->long_texts += w->count > 1;
    b->count++;
    return DP_OK;
}

static enum dp_status read_batch_rows(struct ingest_reader *r, struct ingest_batch *b)
{
    struct span line;
    enum dp_status status = call_check(r->call);
    while (status == DP_OK && b->count < b->room && b->bytes < BATCH_BYTES) {
        struct dp_error error = {.status = DP_OK};
        if (!line_reader_next(r->in, &line, &error)) {
            r->ended = true;
            r->call->error = error; /* its message has the line number */
            return error.status;
        }
        b->bytes += line.len + 1;
        status = take_row_line(r, b, line);
    }
    return status;
}

void ingest_batch_read(struct ingest_reader *r, struct ingest_batch *b)
{
    arena_reset(&b->arena);
    b->count = b->total = 0;
    b->bytes = b->tokens = b->long_texts = 0;
    b->embed_ns = 0;
    b->vectors = NULL;
    dp_error_clear(&b->error);
    if (read_batch_rows(r, b) != DP_OK) {
        r->ended = true;
        b->error = r->call->error;
        dp_error_clear(&r->call->error);
    }
}

/* ---- embedding ---------------------------------------------------------------------------------------- */

static enum dp_status embed_windows(struct call *call, struct embedder *embedder, size_t dim,
                                    struct ingest_batch *b)
{
    struct tokens *all = arena_array(&b->arena, b->total, sizeof *all);
    float *vectors = arena_array(&b->arena, b->total, dim * sizeof *vectors);
    size_t n = 0;
    if (!all || !vectors)
        return call_nomem(call, "the vectors of a batch");
    for (size_t i = 0; i < b->count; i++) {
        b->vectors[i] = vectors + n * dim;
        for (size_t j = 0; j < b->windows[i].count; j++)
            all[n++] = b->windows[i].windows[j];
    }
    enum dp_status status = DP_OK;
    for (size_t at = 0, part; at < n && status == DP_OK; at += part) {
        size_t tokens = 0;
        for (part = 0; at + part < n && tokens < EMBED_TOKENS; part++)
            tokens += all[at + part].count;
        status = embedder_embed(call, embedder, all + at, part, true, vectors + at * dim);
    }
    return status;
}

void ingest_batch_embed(struct call *call, const struct served_model *model, const struct ingest_kind *kind,
                        struct ingest_batch *b)
{
    int64_t began = os_now_ns();
    uint64_t tokens_before = call->cost.tokens;
    enum dp_status status = DP_OK;
    if (b->count == 0)
        return;
    b->vectors = arena_array(&b->arena, b->count, sizeof *b->vectors);
    if (!b->vectors)
        status = call_nomem(call, "the vectors of a batch");
    else if (!kind->own_vectors)
        status = embed_windows(call, model->embedder, kind->dim, b);
    else
        for (size_t i = 0; i < b->count; i++)
            b->vectors[i] = b->rows[i].vector;
    if (status != DP_OK) {
        b->count = 0;
        b->error = call->error;
        dp_error_clear(&call->error);
    }
    b->tokens = call->cost.tokens - tokens_before;
    b->embed_ns = kind->own_vectors ? 0 : os_now_ns() - began;
}

/* ---- loading ------------------------------------------------------------------------------------------ */

enum dp_status ingest_batch_load(struct call *call, struct index_loader *loader, const struct ingest_batch *b,
                                 struct ingest_summary *summary)
{
    summary->bytes += b->bytes;
    summary->tokens += b->tokens;
    summary->embed_ns += b->embed_ns;
    summary->long_texts += b->long_texts;
    for (size_t i = 0; i < b->count; i++) {
        const struct ingest_row *row = &b->rows[i];
        size_t windows = b->windows[i].count;
        enum dp_status status = index_load_row(call, loader, row->id, b->vectors[i], windows, row->attributes);
        if (status == DP_INVALID)
            return ingest_at_line(call, row->line);
        if (status != DP_OK)
            return status;
        summary->rows++;
        summary->windows += windows;
    }
    if (b->error.status != DP_OK)
        call->error = b->error;
    return b->error.status;
}
