/* column_read.c: reads columns in rounds. Pages of a column that lie side by side are one range. */
#include "index/query/column_read.h"

#include "base/alloc.h"
#include "index/query/reader.h"
#include "index/query/token_sets.h"
#include "index/segment/columns.h"

#define NOT_READ SIZE_MAX

enum { PLANS_MAX = 256 << 20 /* memory of the summaries and plans of all segments */ };

/* A piece in the present round. */
struct read_piece {
    size_t read;     /* handle; NOT_READ: it is not in the round */
    uint64_t offset; /* in the range */
};

/* A segment whose columns are read. */
struct column_segment {
    size_t number; /* in the snapshot */
    const struct segment *segment;
    struct columns *columns;
    struct column_plan *plan;
    struct read_piece *dictionaries; /* [plan->used_count] */
    struct read_piece **all;         /* [columns->page_count]: of each page, [plan->used_count] */
    bool started;
};

/* The state of one columns_match(). */
struct columns_run {
    struct call *call;
    const struct live_rows *live;
    struct filter_watch watch;
    struct arena arena;
    struct column_segment *segments; /* [count] */
    size_t count;
    size_t segment, page; /* where the next round begins */
    struct round round;
    column_bits_fn *take;
    void *context;
};

/* ---- plans --------------------------------------------------------------------------------------------- */

/* Returns whether the columns tell something about a row. */
static bool tells(const struct column_plan *plan)
{
    for (size_t i = 0; i < plan->columns->page_count; i++) {
        if (plan->fates[i] != COLUMN_ASK)
            return true;
    }
    return false;
}

static enum dp_status make_places(struct columns_run *r, struct column_segment *s)
{
    const size_t used = s->plan->used_count;
    s->dictionaries = arena_array(&r->arena, used + 1, sizeof *s->dictionaries);
    s->all = arena_calloc(&r->arena, s->columns->page_count + 1, sizeof(void *));
    return s->dictionaries && s->all ? DP_OK : call_nomem(r->call, "columns");
}

/* Gives a segment without columns an empty summary, so that sets can tell about its rows. */
static enum dp_status no_columns(struct columns_run *r, struct column_segment *s)
{
    s->columns = arena_calloc(&r->arena, 1, sizeof *s->columns);
    if (!s->columns)
        return call_nomem(r->call, "columns");
    s->columns->rows = s->segment->hot.rows;
    s->columns->page_count = column_page_count(s->columns->rows);
    return DP_OK;
}

/* Makes the plan of a segment, and adds the segment if its columns tell something. */
static enum dp_status plan_segment(struct columns_run *r, size_t number, const struct filter *filter,
                                   const struct token_sets *sets, bool *wanted)
{
    const struct segment *segment = r->live->view->base->segments[number].segment;
    struct column_segment *s = &r->segments[r->count];
    *s = (struct column_segment){.number = number, .segment = segment};
    enum dp_status status = segment_open_columns(&segment->hot, &r->arena, &s->columns, &r->call->error);
    if (status == DP_CORRUPT)
        dp_error_prefix(&r->call->error, "%s", segment->dpr_key.text);
    if (status == DP_OK && !s->columns && sets->count)
        status = no_columns(r, s);
    if (status != DP_OK || !s->columns)
        return status;
    status = column_plan_new(&r->arena, filter, s->columns, sets->list, sets->count, &s->plan, &r->call->error);
    if (status == DP_OK && tells(s->plan)) {
        status = make_places(r, s);
        *wanted = false;
        r->count++;
    }
    return status;
}

/* ---- asking -------------------------------------------------------------------------------------------- */

/* Asks for a piece and its checksum. Makes the range of `before` longer if the piece lies behind it. */
static void ask_piece(struct columns_run *r, const struct column_segment *s, const struct column_piece *piece,
                      const struct column_piece *before, const struct read_piece *before_read,
                      struct read_piece *out)
{
    const uint64_t begin = segment_section(&s->segment->hot, SECTION_COLUMNS)->offset;
    const uint64_t len = (uint64_t)piece->len + COLUMN_SUM;
    if (before_read && before_read->read != NOT_READ &&
        before->offset + before->len + COLUMN_SUM == piece->offset) {
        round_extend(&r->round, before_read->read, len);
        *out = (struct read_piece){before_read->read, before_read->offset + before->len + COLUMN_SUM};
        return;
    }
    const struct store_read_req req = {.key = object_key_span(&s->segment->dpr_key),
                                       .offset = begin + piece->offset,
                                       .len = (int64_t)len,
                                       .pinned = &s->segment->dpr_version};
    *out = (struct read_piece){round_ask(&r->round, &req), 0};
}

/* Asks for the dictionaries of a segment. */
static void ask_dictionaries(struct columns_run *r, struct column_segment *s)
{
    for (size_t i = 0; i < s->plan->used_count; i++) {
        s->dictionaries[i].read = NOT_READ;
        if (s->plan->used[i]->dictionary.len)
            ask_piece(r, s, &s->plan->used[i]->dictionary, NULL, NULL, &s->dictionaries[i]);
    }
}

/* Returns the bytes of a page of all used columns; of the first page, with the dictionaries. */
static uint64_t page_bytes(const struct column_segment *s, size_t page, bool first)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->plan->used_count; i++) {
        const struct attribute_column *c = s->plan->used[i];
        bytes += c->pages[page].len + COLUMN_SUM;
        bytes += first && c->dictionary.len ? c->dictionary.len + COLUMN_SUM : 0;
    }
    return bytes;
}

/* Asks for a page of a segment. `first`: also for the dictionaries. */
static enum dp_status ask_page(struct columns_run *r, struct column_segment *s, size_t page, bool first)
{
    const size_t used = s->plan->used_count;
    struct read_piece *now = arena_array(&r->arena, used + 1, sizeof *now);
    if (!now)
        return call_nomem(r->call, "columns");
    if (first)
        ask_dictionaries(r, s);
    for (size_t i = 0; i < used; i++) {
        const struct attribute_column *c = s->plan->used[i];
        const bool after_dictionary = page == 0 && first;
        const struct column_piece *before = page ? &c->pages[page - 1] : &c->dictionary;
        const struct read_piece *read = page && s->all[page - 1] ? &s->all[page - 1][i]
                                        : after_dictionary       ? &s->dictionaries[i]
                                                                 : NULL;
        ask_piece(r, s, &c->pages[page], before, read, &now[i]);
    }
    s->all[page] = now;
    return DP_OK;
}

/* Moves to the next page that must be read. Returns false at the end of the segment. */
static bool find_page(const struct column_segment *s, size_t *page)
{
    while (*page < s->columns->page_count && s->plan->fates[*page] != COLUMN_READ)
        ++*page;
    return *page < s->columns->page_count;
}

/* Asks for pages from the run's place on until the round is full. *end is the place behind them. */
static enum dp_status ask_pages(struct columns_run *r, size_t *end_segment, size_t *end_page)
{
    enum dp_status status = DP_OK;
    size_t page = r->page;
    size_t i = r->segment;
    bool full = false;
    for (; i < r->count && status == DP_OK; i++, page = 0) {
        struct column_segment *s = &r->segments[i];
        bool first = !s->started;
        for (; !full && status == DP_OK && find_page(s, &page); page++) {
            const size_t ranges = (s->plan->used_count) * (first ? 2 : 1);
            full = !round_takes(&r->round, page_bytes(s, page, first), ranges);
            if (full)
                break;
            status = ask_page(r, s, page, first);
            first = false;
        }
        if (full)
            break;
    }
    *end_segment = i;
    *end_page = i < r->count ? page : 0;
    return status;
}

/* ---- taking -------------------------------------------------------------------------------------------- */

/* Verifies and gives a piece. */
static enum dp_status take_piece(struct columns_run *r, const struct column_segment *s,
                                 const struct read_piece *read, const struct column_piece *piece, uint64_t number,
                                 struct span *out)
{
    struct span bytes;
    *out = (struct span){0};
    if (read->read == NOT_READ)
        return DP_OK;
    enum dp_status status = fetch_check(&r->round, s->segment, read->read);
    if (status)
        return status;
    if (!span_sub(round_answer(&r->round, read->read)->bytes.span, read->offset, (uint64_t)piece->len + COLUMN_SUM,
                  &bytes))
        return call_fail(r->call, DP_CORRUPT, "%s: a column is cut", s->segment->dpr_key.text);
    status = segment_check_column(bytes, number, out, &r->call->error);
    if (status)
        dp_error_prefix(&r->call->error, "%s", s->segment->dpr_key.text);
    return status;
}

static size_t column_number(const struct column_segment *s, size_t used)
{
    return (size_t)(s->plan->used[used] - s->columns->columns);
}

static enum dp_status start_segment(struct columns_run *r, struct column_segment *s)
{
    struct span *bytes = arena_array(&r->arena, s->plan->used_count + 1, sizeof *bytes);
    enum dp_status status = bytes ? DP_OK : call_nomem(r->call, "columns");
    for (size_t i = 0; i < s->plan->used_count && status == DP_OK; i++)
        status = take_piece(r, s, &s->dictionaries[i], &s->plan->used[i]->dictionary,
                            columns_dictionary_number(column_number(s, i)), &bytes[i]);
    if (status == DP_OK)
        status = column_plan_start(s->plan, bytes, &r->watch, &r->call->error);
    s->started = true;
    return status;
}

/* Fills the bits of a page whose fate the summary tells. */
static void fill_page(const struct column_segment *s, size_t page, struct column_bits *out)
{
    const size_t rows = column_page_rows(s->columns->rows, page);
    const enum column_fate fate = s->plan->fates[page];
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < rows && fate != COLUMN_NONE; i++) {
        out->yes[i / 64] |= (uint64_t)(fate == COLUMN_ALL) << (i % 64);
        out->maybe[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

static enum dp_status take_page(struct columns_run *r, struct column_segment *s, size_t page)
{
    struct span bytes[FILTER_ATTRIBUTES_MAX];
    struct column_bits bits;
    enum dp_status status = DP_OK;
    if (s->plan->fates[page] != COLUMN_READ) {
        fill_page(s, page, &bits);
        return r->take(r->context, s->number, page, &bits);
    }
    if (!s->started)
        status = start_segment(r, s);
    for (size_t i = 0; i < s->plan->used_count && status == DP_OK; i++)
        status = take_piece(r, s, &s->all[page][i], &s->plan->used[i]->pages[page],
                            columns_page_number(column_number(s, i), page), &bytes[i]);
    if (status == DP_OK) {
        status = column_plan_page(s->plan, page, bytes, &bits, &r->call->error);
        if (status == DP_CORRUPT)
            dp_error_prefix(&r->call->error, "%s", s->segment->dpr_key.text);
    }
    return status == DP_OK ? r->take(r->context, s->number, page, &bits) : status;
}

/* Gives the pages up to the end of the round. */
static enum dp_status take_pages(struct columns_run *r, size_t end_segment, size_t end_page)
{
    enum dp_status status = DP_OK;
    while (status == DP_OK && (r->segment < end_segment || (r->segment < r->count && r->page < end_page))) {
        struct column_segment *s = &r->segments[r->segment];
        const size_t end = r->segment < end_segment ? s->columns->page_count : end_page;
        for (; r->page < end && status == DP_OK; r->page++) {
            status = take_page(r, s, r->page);
            if (r->page)
                s->all[r->page - 1] = NULL;
        }
        if (status == DP_OK)
            status = call_check(r->call);
        if (r->segment == end_segment)
            break;
        r->segment++;
        r->page = 0;
    }
    if (r->segment < r->count && r->page)
        r->segments[r->segment].all[r->page - 1] = NULL; /* the page's bytes end with the round */
    return status;
}

static enum dp_status run_columns(struct columns_run *r)
{
    enum dp_status status = DP_OK;
    while (status == DP_OK && r->segment < r->count) {
        size_t end_segment, end_page;
        status = ask_pages(r, &end_segment, &end_page);
        if (status == DP_OK && r->round.count)
            status = round_read(&r->round);
        if (status == DP_OK)
            status = take_pages(r, end_segment, end_page);
        round_release(&r->round);
    }
    return status;
}

enum dp_status columns_match(struct call *call, const struct live_rows *live, const struct filter *filter,
                             bool *wanted, column_bits_fn *take, void *context)
{
    const struct index_reader *reader = live->view->reader;
    const size_t segments = live->view->base->manifest.segment_count;
    struct columns_run r = {.call = call, .live = live, .watch = {.call = call}, .take = take, .context = context};
    enum dp_status status = DP_OK;
    arena_init(&r.arena, PLANS_MAX);
    round_init(&r.round, call, reader->store, reader->round_bytes);
    r.segments = mem_calloc(segments + 1, sizeof *r.segments);
    struct token_sets *sets = arena_array(&r.arena, segments + 1, sizeof *sets);
    if (!r.segments || !sets)
        status = call_nomem(call, "columns");
    if (status == DP_OK)
        status = token_sets_make(call, live, filter, wanted, &r.arena, sets);
    for (size_t i = 0; i < segments && status == DP_OK; i++) {
        if (wanted[i])
            status = plan_segment(&r, i, filter, &sets[i], &wanted[i]);
    }
    if (status == DP_OK)
        status = run_columns(&r);
    for (size_t i = 0; r.segments && i < r.count; i++)
        column_plan_deinit(r.segments[i].plan);
    mem_free(r.segments);
    round_deinit(&r.round);
    arena_deinit(&r.arena);
    return status;
}
