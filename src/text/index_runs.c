/* index_runs.c: keeps the runs of a build in a file, and merges them term by term. */
#include "text/index_runs.h"

#include "base/alloc.h"
#include "base/array.h"

enum { SPILL_MEMORY = 8 << 20, RUNS_FIRST = 8 };

void text_runs_init(struct text_runs *r)
{
    *r = (struct text_runs){0};
    spill_init(&r->bytes, SPILL_MEMORY);
}

void text_runs_deinit(struct text_runs *r)
{
    spill_deinit(&r->bytes);
    mem_free(r->runs);
    *r = (struct text_runs){0};
}

enum dp_status text_runs_begin(struct text_runs *r, struct dp_error *error)
{
    struct text_run *runs = array_reserve(r->runs, r->count, &r->capacity, sizeof *runs, RUNS_FIRST);
    if (!runs)
        return dp_fail_nomem(error, "a text index");
    r->runs = runs;
    r->runs[r->count++] = (struct text_run){.at = r->bytes.len};
    return DP_OK;
}

enum dp_status text_runs_append(struct text_runs *r, struct span bytes, struct dp_error *error)
{
    r->runs[r->count - 1].len += bytes.len;
    return spill_append(&r->bytes, bytes, error);
}

static void run_next(struct text_run *run)
{
    run->ended = run->rest.rest.len == 0;
    run->key = cursor_bytes(&run->rest, cursor_u16(&run->rest));
    run->df = cursor_u32(&run->rest);
    run->postings = cursor_bytes(&run->rest, cursor_u32(&run->rest));
}

enum dp_status text_runs_rewind(struct text_runs *r, struct dp_error *error)
{
    struct span all;
    enum dp_status status = spill_view(&r->bytes, &all, error);
    for (size_t i = 0; i < r->count && status == DP_OK; i++) {
        struct span part = {0};
        if (r->runs[i].len)
            part = span_of(all.data + r->runs[i].at, (size_t)r->runs[i].len);
        r->runs[i].rest = cursor_over(part);
        run_next(&r->runs[i]);
    }
    return status;
}

static bool make_room(struct text_merged *term, struct dp_error *error)
{
    size_t room = term->room;
    if (term->df <= room)
        return true;
    while (room < term->df)
        room = room ? room * 2 : 1024;
    uint32_t *rows = mem_realloc(term->rows, room * sizeof *rows);
    if (rows)
        term->rows = rows;
    uint32_t *tfs = mem_realloc(term->tfs, room * sizeof *tfs);
    if (tfs)
        term->tfs = tfs;
    if (!rows || !tfs) {
        dp_fail_nomem(error, "the postings of a term");
        return false;
    }
    term->room = room;
    return true;
}

static void gather(const struct text_run *run, struct text_merged *term, size_t *count)
{
    struct cursor c = cursor_over(run->postings);
    uint32_t next = 0;
    for (uint32_t i = 0; i < run->df; i++) {
        term->rows[*count] = next + (uint32_t)cursor_varint(&c);
        next = term->rows[*count] + 1;
        term->tfs[(*count)++] = (uint32_t)cursor_varint(&c);
    }
}

bool text_runs_next(struct text_runs *r, bool postings, struct text_merged *term, struct dp_error *error)
{
    const struct text_run *least = NULL;
    size_t count = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!r->runs[i].ended && (!least || span_compare(r->runs[i].key, least->key) < 0))
            least = &r->runs[i];
    }
    if (!least)
        return false;
    term->key = least->key;
    term->df = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (!r->runs[i].ended && span_equal(r->runs[i].key, term->key))
            term->df += r->runs[i].df;
    }
    if (postings && !make_room(term, error)) {
        r->status = DP_NOMEM;
        return false;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (r->runs[i].ended || !span_equal(r->runs[i].key, term->key))
            continue;
        if (postings)
            gather(&r->runs[i], term, &count);
        run_next(&r->runs[i]);
    }
    return true;
}

void text_merged_deinit(struct text_merged *term)
{
    mem_free(term->rows);
    mem_free(term->tfs);
    *term = (struct text_merged){0};
}
