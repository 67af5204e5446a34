/* bench_words.c: Dipper's half of bench/words_vs.py.
 *
 *     bench_words TEXTS QUERIES TURNS
 *
 * Each line of both files has words between single blanks. It indexes the lines of TEXTS in memory, then asks each query for
 * its ten best rows, once to warm up and TURNS times with a clock. It prints the sizes and times as JSON, and on the lines
 * behind it for each query its least time, its rows, how many postings were looked at and how many there are. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "os/clock.h"
#include "os/file.h"
#include "text/bm25.h"
#include "text/index.h"
#include "text/index_build.h"
#include "text/maxscore.h"

enum { BEST = 10, TERMS_MAX = 64, FILE_MAX = INT32_MAX };

static const double K1 = 1.2, B = 0.75;

struct bench {
    struct buffer texts, queries, tdic, post, tidx, tfrq, lens;
    struct arena arena, scratch;
    struct text_index index;
    uint32_t rows;
    int64_t *least; /* int64_t least[queries]: nanoseconds */
    struct dp_error error;
};

/* Takes the bytes up to `mark`. */
static struct span take(struct span *rest, uint8_t mark)
{
    const uint8_t *end = rest->len ? memchr(rest->data, mark, rest->len) : NULL;
    struct span part = end ? span_of(rest->data, (size_t)(end - rest->data)) : *rest;
    *rest = end ? span_of(end + 1, rest->len - part.len - 1) : (struct span){0};
    return part;
}

static enum dp_status gather(struct buffer *to, struct span piece, struct dp_error *error)
{
    buffer_append(to, piece);
    return buffer_check(to, "the index", error);
}

static enum dp_status gather_terms(void *context, struct span piece, struct dp_error *error)
{
    return gather(&((struct bench *)context)->tdic, piece, error);
}

static enum dp_status gather_postings(void *context, struct span piece, struct dp_error *error)
{
    return gather(&((struct bench *)context)->post, piece, error);
}

static enum dp_status build(struct bench *b)
{
    const struct text_column column = {1, 1};
    struct text_sink sink = {gather_terms, gather_postings, b};
    struct text_builder *builder = NULL;
    for (size_t i = 0; i < b->texts.len; i++)
        b->rows += b->texts.data[i] == '\n';
    enum dp_status status = text_builder_new(&column, 1, b->rows, NULL, &builder, &b->error);
    struct span rest = buffer_span(&b->texts);
    for (uint32_t row = 0; row < b->rows && status == DP_OK; row++) {
        struct span line = take(&rest, '\n');
        status = text_builder_row(builder, row, &b->error);
        while (line.len && status == DP_OK)
            status = text_builder_token(builder, 0, take(&line, ' '), &b->error);
    }
    if (status == DP_OK)
        status = text_builder_finish(builder, &sink, &b->tidx, &b->tfrq, &b->lens, &b->error);
    text_builder_free(builder);
    if (status == DP_OK)
        status = text_index_open(&b->arena, b->rows, buffer_span(&b->tidx), buffer_span(&b->tfrq),
                                 buffer_span(&b->lens), &b->index, &b->error);
    return status;
}

/* Opens the postings of a word; *found: whether there are any. */
static enum dp_status open_word(struct bench *b, struct span word, bool *found, struct postings *list)
{
    struct term_place place = text_index_find(&b->index, 0, word);
    struct span bytes = {0};
    if (place.where == TEXT_IN_BLOCK)
        bytes = span_of(b->tdic.data + place.piece->at, place.piece->len);
    if (place.where == TEXT_IN_POSTINGS)
        bytes = span_of(b->post.data + place.piece->at, place.piece->len);
    return term_place_open(&b->scratch, &b->index, &place, bytes, 0, word, found, list, &b->error);
}

static enum dp_status ask(struct bench *b, struct span query, struct text_top *top, uint64_t *scored,
                          uint64_t *all)
{
    static struct postings lists[TERMS_MAX];
    static struct text_clause clauses[TERMS_MAX];
    const double group_weight = 1;
    const struct text_index_column *column = &b->index.columns[0];
    struct text_search search = {
        .clauses = clauses, .group_weights = &group_weight, .group_count = 1, .rows = b->rows};
    enum dp_status status = text_top_init(top, &b->scratch, BEST, 0, &b->error);
    while (query.len && search.count < TERMS_MAX && status == DP_OK) {
        struct postings *list = &lists[search.count];
        bool found;
        status = open_word(b, take(&query, ' '), &found, list);
        if (status != DP_OK || !found)
            continue;
        *all += list->df;
        clauses[search.count++] = (struct text_clause){.list = list,
                                                       .weight = bm25_idf(column->filled, list->df),
                                                       .average = (double)column->lengths / (double)column->filled,
                                                       .k1 = K1,
                                                       .b = B};
    }
    if (status == DP_OK)
        status = text_search_run(&b->scratch, &search, top, &b->error);
    *scored += search.scored;
    text_top_sort(top);
    return status;
}

/* Asks all queries, notes their least times, and prints their answers if `print`. */
static enum dp_status ask_all(struct bench *b, bool print)
{
    struct span rest = buffer_span(&b->queries);
    enum dp_status status = DP_OK;
    for (size_t query = 0; rest.len && status == DP_OK; query++) {
        struct text_top top;
        uint64_t scored = 0, all = 0;
        int64_t begun = os_now_ns();
        arena_reset(&b->scratch);
        status = ask(b, take(&rest, '\n'), &top, &scored, &all);
        int64_t took = os_now_ns() - begun;
        b->least[query] = took < b->least[query] ? took : b->least[query];
        if (!print || status != DP_OK)
            continue;
        printf("{\"ns\": %" PRId64 ", \"scored\": %" PRIu64 ", \"postings\": %" PRIu64 ", \"rows\": [",
               b->least[query], scored, all);
        for (size_t i = 0; i < top.count; i++)
            printf("%s[%u, %.9g]", i ? ", " : "", top.rows[i].row, top.rows[i].score);
        printf("]}\n");
    }
    return status;
}

static enum dp_status make_times(struct bench *b)
{
    size_t count = 1;
    for (size_t i = 0; i < b->queries.len; i++)
        count += b->queries.data[i] == '\n';
    b->least = arena_array(&b->arena, count, sizeof *b->least);
    if (!b->least)
        return dp_fail(&b->error, DP_NOMEM, "no memory for the times of %zu queries", count);
    for (size_t i = 0; i < count; i++)
        b->least[i] = INT64_MAX;
    return DP_OK;
}

static enum dp_status run(struct bench *b, char **paths, int turns)
{
    int64_t begun, built;
    enum dp_status status = os_read_file(paths[0], &b->texts, &b->error);
    if (status == DP_OK)
        status = os_read_file(paths[1], &b->queries, &b->error);
    if (status == DP_OK)
        status = make_times(b);
    begun = os_now_ns();
    if (status == DP_OK)
        status = build(b);
    built = os_now_ns();
    for (int turn = 0; turn < turns && status == DP_OK; turn++)
        status = ask_all(b, false);
    if (status != DP_OK)
        return status;
    printf("{\"rows\": %u, \"build\": %.4f, \"cold\": %zu, \"hot\": %zu}\n", b->rows,
           (double)(built - begun) * 1e-9, b->tdic.len + b->post.len, b->tidx.len + b->tfrq.len + b->lens.len);
    return ask_all(b, true);
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    struct buffer *buffers[] = {&b.texts, &b.queries, &b.tdic, &b.post, &b.tidx, &b.tfrq, &b.lens};
    int turns = argc == 4 ? (int)strtol(argv[3], NULL, 10) : 0;
    if (turns < 1) {
        fprintf(stderr, "usage: bench_words TEXTS QUERIES TURNS\n");
        return 2;
    }
    for (size_t i = 0; i < 7; i++)
        buffer_init(buffers[i], FILE_MAX);
    arena_init(&b.arena, FILE_MAX);
    arena_init(&b.scratch, FILE_MAX);
    enum dp_status status = run(&b, argv + 1, turns);
    if (status)
        fprintf(stderr, "bench_words: %s\n", b.error.message);
    for (size_t i = 0; i < 7; i++)
        buffer_deinit(buffers[i]);
    arena_deinit(&b.arena);
    arena_deinit(&b.scratch);
    return status ? 1 : 0;
}
