/* segment/read.c: finds vectors, documents and ids outside the hot part of a segment, and verifies their bytes. */
#include "index/segment/segment.h"

#include <inttypes.h>

#include <zstd.h>

#include "base/checksum.h"

enum { FRAMES_FROM = 2 }; /* the first format whose document blocks begin with their checksum */

uint64_t segment_piece_checksum(struct span bytes, uint64_t number)
{
    return checksum64(bytes) ^ (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

void segment_vectors_of(const struct segment_hot *hot, uint64_t row, uint64_t *first, uint64_t *count)
{
    size_t low = 0, high = hot->window_count; /* runs before `low` belong to rows < row */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hot->windows[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < hot->window_count && hot->windows[low].row == row) {
        *first = hot->windows[low].first;
        *count = hot->windows[low].vectors;
        return;
    }
    const struct window_run *before = low ? &hot->windows[low - 1] : NULL;
    *first = before ? before->first + before->vectors + (row - before->row - 1) : row;
    *count = 1;
}

struct document_run segment_documents_of(const struct segment_hot *hot, uint64_t row)
{
    size_t low = 0, high = hot->document_count; /* blocks from `high` on begin after the row */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (hot->documents[middle].first_row <= row)
            low = middle + 1;
        else
            high = middle;
    }
    size_t end = low, first = low - 1; /* block 0 begins with row 0 */
    while (first > 0 && hot->documents[first - 1].first_row == hot->documents[first].first_row)
        first--;
    const struct document_block *b = &hot->documents[first], *last = &hot->documents[end - 1];
    uint64_t next_row = end < hot->document_count ? hot->documents[end].first_row : hot->rows;
    return (struct document_run){first,        end - first,
                                 b->first_row, (uint32_t)(next_row - b->first_row),
                                 b->offset,    last->offset + last->stored - b->offset};
}

/* A document block to decompress. */
struct packed_block {
    struct span bytes; /* its zstd frame */
    size_t raw;        /* bytes decompressed */
};

/* Verifies the checksum of block `number` of a run. */
static enum dp_status unwrap_block(const struct segment_hot *hot, const struct document_run *run, size_t number,
                                   struct span stored, struct packed_block *out, struct dp_error *error)
{
    const struct document_block *b = &hot->documents[number];
    struct span bytes;
    bool sound = span_sub(stored, b->offset - run->offset, b->stored, &bytes);
    if (hot->format < FRAMES_FROM) {
        sound = sound && checksum64(bytes) == b->checksum;
        *out = (struct packed_block){bytes, b->raw};
    } else if (sound) {
        struct cursor c = cursor_over(bytes);
        sound = cursor_u64(&c) == segment_piece_checksum(c.rest, number) && !c.failed;
        *out = (struct packed_block){.bytes = c.rest};
    }
    if (!sound)
        return dp_fail(error, DP_CORRUPT, "the checksum of document block %zu does not fit", number);
    if (hot->format >= FRAMES_FROM) {
        unsigned long long raw = ZSTD_getFrameContentSize(out->bytes.data, out->bytes.len);
        if (raw == 0 || raw > SEGMENT_BLOCK_MAX) /* zstd's two error values are above the maximum */
            return dp_fail(error, DP_CORRUPT, "document block %zu is malformed", number);
        out->raw = (size_t)raw;
    }
    return DP_OK;
}

static enum dp_status inflate_blocks(const struct segment_hot *hot, const struct document_run *run,
                                     const struct packed_block *blocks, ZSTD_DCtx *zstd, uint8_t *out,
                                     struct dp_error *error)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct packed_block *b = &blocks[i];
        size_t len = ZSTD_decompress_usingDDict(zstd, out, b->raw, b->bytes.data, b->bytes.len, hot->dictionary);
        if (len != b->raw)
            return dp_fail(error, DP_CORRUPT, "document block %zu does not decompress", run->first + i);
        out += len;
    }
    return DP_OK;
}

enum dp_status segment_inflate(const struct segment_hot *hot, const struct document_run *run, struct span stored,
                               struct arena *arena, struct span *raw, struct dp_error *error)
{
    struct packed_block *blocks = arena_array(arena, run->count, sizeof *blocks);
    if (!blocks)
        return dp_fail_nomem(error, "documents");
    size_t total = 0;
    for (size_t i = 0; i < run->count; i++) {
        enum dp_status status = unwrap_block(hot, run, run->first + i, stored, &blocks[i], error);
        if (status)
            return status;
        total += blocks[i].raw;
    }
    uint8_t *out = arena_alloc(arena, total + 1);
    ZSTD_DCtx *zstd = ZSTD_createDCtx();
    if (!out || !zstd) {
        ZSTD_freeDCtx(zstd);
        return dp_fail_nomem(error, "documents");
    }
    enum dp_status status = inflate_blocks(hot, run, blocks, zstd, out, error);
    ZSTD_freeDCtx(zstd);
    *raw = span_of(out, total);
    return status;
}

enum dp_status segment_find_document(const struct document_run *run, struct span raw, uint64_t row,
                                     struct segment_document *out, struct dp_error *error)
{
    struct cursor c = cursor_over(raw);
    for (uint64_t at = run->first_row; at <= row && !c.failed; at++) {
        out->key = cursor_bytes(&c, cursor_varint(&c));
        out->json = cursor_bytes(&c, cursor_varint(&c));
    }
    if (c.failed)
        return dp_fail(error, DP_CORRUPT, "row %" PRIu64 " is not in its document block", row);
    return DP_OK;
}

size_t segment_id_block_of(const struct segment_hot *hot, struct span key)
{
    size_t low = 0, high = hot->id_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_compare(hot->ids[middle].first, key) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low == 0 ? hot->id_count : low - 1;
}

enum dp_status segment_check_ids(const struct segment_hot *hot, size_t block, struct span bytes,
                                 struct dp_error *error)
{
    const struct id_block *b = &hot->ids[block];
    if (bytes.len != b->stored || checksum64(bytes) != b->checksum)
        return dp_fail(error, DP_CORRUPT, "the checksum of id block %zu does not fit", block);
    return DP_OK;
}

struct id_walk id_walk_over(const struct segment_hot *hot, struct span bytes)
{
    return (struct id_walk){cursor_over(bytes), hot->rows};
}

bool id_walk_next(struct id_walk *walk, struct span *key, uint32_t *row)
{
    if (walk->at.failed || walk->at.rest.len == 0)
        return false;
    *key = cursor_bytes(&walk->at, cursor_u8(&walk->at));
    *row = cursor_u32(&walk->at);
    if (*row >= walk->rows || key->len < 2)
        walk->at.failed = true;
    return !walk->at.failed;
}
