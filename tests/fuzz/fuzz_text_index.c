/* fuzz_text_index.c: a mode, the number of rows, and the bytes of a list of postings, of a block of terms, or of the
 * hot parts of a text index. Checked beyond memory safety: rows of a list ascend and are rows of the index; an open
 * index has ascending keys and finds each of its frequent terms.
 */
#include <assert.h>

#include "text/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 1 << 16, DF_MAX = 1 << 12 };

static void read_list(struct arena *arena, struct span bytes, uint32_t df, uint32_t rows, const uint8_t *codes)
{
    static struct postings_run run;
    struct dp_error error = {0};
    struct postings list;
    int64_t last = -1;
    if (postings_open(arena, bytes, df, rows, codes, &list, &error) != DP_OK) {
        assert(error.message[0]);
        return;
    }
    for (uint32_t b = 0; b < list.block_count; b++) {
        if (!postings_decode(&list, b, &run))
            return;
        assert(run.count == list.blocks[b].count && run.rows[run.count - 1] == list.blocks[b].last);
        for (uint32_t i = 0; i < run.count; i++) {
            assert((int64_t)run.rows[i] > last && run.rows[i] < rows && run.tfs[i] > 0);
            last = run.rows[i];
        }
    }
}

static void read_block(struct arena *arena, struct span bytes)
{
    struct text_block_reader r = {.rest = cursor_over(bytes)};
    static const uint8_t codes[ROWS_MAX];
    while (text_block_next(&r))
        read_list(arena, r.list, r.df < DF_MAX ? r.df : DF_MAX, ROWS_MAX, codes);
}

static void read_index(struct arena *arena, struct cursor c, uint32_t rows)
{
    struct span tidx = cursor_bytes(&c, cursor_u16(&c)), tfrq = cursor_bytes(&c, cursor_u16(&c));
    struct dp_error error = {0};
    struct text_index index;
    if (text_index_open(arena, rows, tidx, tfrq, c.rest, &index, &error) != DP_OK) {
        assert(error.message[0]);
        return;
    }
    for (uint32_t i = 0; i < index.frequent_count; i++) {
        struct span key = index.frequent[i].key;
        if (key.len < 2)
            continue;
        struct term_place place = text_index_find(&index, (uint32_t)(key.data[0] << 8 | key.data[1]),
                                                  span_of(key.data + 2, key.len - 2));
        assert(place.where == TEXT_IN_POSTINGS && place.number == i);
    }
    for (uint32_t i = 1; i < index.block_count; i++)
        assert(span_compare(index.blocks[i - 1].key, index.blocks[i].key) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_over(span_of(data, size));
    uint32_t mode = cursor_u8(&c), rows = cursor_u16(&c);
    struct arena arena;
    arena_init(&arena, 1 << 26);
    if (mode == 0) {
        uint32_t df = cursor_u16(&c);
        if (!c.failed)
            read_list(&arena, c.rest, df, rows, NULL);
    } else if (mode == 1) {
        read_block(&arena, c.rest);
    } else {
        read_index(&arena, c, rows);
    }
    arena_deinit(&arena);
    return 0;
}
