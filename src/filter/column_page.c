/* column_page.c: writes and reads pages of columns. column.h has the grammar. */
#include <stdlib.h>

#include "base/array.h"
#include "filter/column.h"

void column_page_deinit(struct column_page *page)
{
    mem_free(page->keys);
    page->keys = NULL;
    page->key_count = page->key_room = 0;
}

bool column_page_reserve(struct column_page *page)
{
    uint64_t *keys = array_reserve(page->keys, page->key_count, &page->key_room, sizeof *keys, COLUMN_PAGE_ROWS);
    if (keys)
        page->keys = keys;
    return keys != NULL;
}

/* ---- packed numbers -------------------------------------------------------------------------------------- */

/* Returns how many bits the number needs. */
static unsigned bits_of(uint64_t number)
{
    unsigned bits = 0;
    for (; number; number >>= 1)
        bits++;
    return bits;
}

static size_t packed_bytes(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/* Appends numbers minus the least one. Numbers of rows in `skipped` (NULL: none) count as the least one. */
static void put_packed(const uint64_t *numbers, size_t count, const uint64_t *skipped, struct buffer *out)
{
    uint64_t least = UINT64_MAX, greatest = 0;
    for (size_t i = 0; i < count; i++) {
        if (skipped && (skipped[i / 64] >> (i % 64) & 1))
            continue;
        least = numbers[i] < least ? numbers[i] : least;
        greatest = numbers[i] > greatest ? numbers[i] : greatest;
    }
    if (least > greatest)
        least = greatest = 0;
    const unsigned width = bits_of(greatest - least);
    buffer_u8(out, (uint8_t)width);
    buffer_varint(out, least);
    const size_t len = packed_bytes(count, width);
    uint8_t *to = buffer_reserve(out, len + 1);
    if (!to)
        return;
    memset(to, 0, len + 1);
    for (size_t i = 0, at = 0; i < count; i++) {
        uint64_t number = skipped && (skipped[i / 64] >> (i % 64) & 1) ? 0 : numbers[i] - least;
        for (unsigned left = width; left;) {
            const unsigned shift = (unsigned)(at % 8), taken = left < 8 - shift ? left : 8 - shift;
            to[at / 8] |= (uint8_t)(number << shift);
            number >>= taken;
            at += taken;
            left -= taken;
        }
    }
    out->len += len;
}

/* Returns `width` bits from bit `at` on. */
static uint64_t take_bits(struct span bits, size_t at, unsigned width)
{
    uint64_t number = 0;
    for (unsigned got = 0; got < width;) {
        const unsigned shift = (unsigned)(at % 8), taken = width - got < 8 - shift ? width - got : 8 - shift;
        const uint64_t part = (uint64_t)(bits.data[at / 8] >> shift) & ((UINT64_C(1) << taken) - 1);
        number |= part << got;
        got += taken;
        at += taken;
    }
    return number;
}

/* Returns 8 bytes as a number, little endian. */
static uint64_t load_word(const uint8_t *from)
{
    uint64_t word = 0;
    for (int i = 7; i >= 0; i--)
        word = word << 8 | from[i];
    return word;
}

/* Reads `count` numbers. Returns false if they are malformed. */
static bool take_packed(struct cursor *c, size_t count, uint64_t *numbers)
{
    const unsigned width = cursor_u8(c);
    const uint64_t base = cursor_varint(c);
    if (c->failed || width > 64)
        return false;
    const struct span bits = cursor_bytes(c, packed_bytes(count, width));
    const uint64_t mask = width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
    if (c->failed)
        return false;
    for (size_t i = 0; i < count; i++) {
        const size_t at = i * width;
        uint64_t number;
        if (width <= 56 && at / 8 + 8 <= bits.len)
            number = load_word(bits.data + at / 8) >> (at % 8) & mask;
        else
            number = take_bits(bits, at, width);
        if (number > UINT64_MAX - base)
            return false;
        numbers[i] = base + number;
    }
    return true;
}

/* ---- pages ----------------------------------------------------------------------------------------------- */

static void put_bits(const uint64_t *words, size_t rows, struct buffer *out)
{
    for (size_t i = 0; i < (rows + 7) / 8; i++)
        buffer_u8(out, (uint8_t)(words[i / 8] >> (i % 8 * 8)));
}

static void take_words(struct cursor *c, size_t rows, uint64_t *words)
{
    const struct span bytes = cursor_bytes(c, (rows + 7) / 8);
    memset(words, 0, COLUMN_PAGE_WORDS * sizeof *words);
    for (size_t i = 0; i < bytes.len; i++)
        words[i / 8] |= (uint64_t)bytes.data[i] << (i % 8 * 8);
}

static bool any_bit(const uint64_t *words)
{
    uint64_t all = 0;
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++)
        all |= words[i];
    return all != 0;
}

void column_page_write(const struct column_page *page, bool array, bool opaque, struct buffer *out)
{
    const bool nulls = any_bit(page->nulls), odd = any_bit(page->odd);
    uint64_t skipped[COLUMN_PAGE_WORDS];
    buffer_clear(out);
    if (opaque) {
        buffer_u8(out, COLUMN_OPAQUE);
        return;
    }
    buffer_u8(out, (uint8_t)((nulls ? COLUMN_HAS_NULLS : 0) | (odd ? COLUMN_HAS_ODD : 0)));
    if (nulls)
        put_bits(page->nulls, page->rows, out);
    if (odd)
        put_bits(page->odd, page->rows, out);
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++)
        skipped[i] = page->nulls[i] | page->odd[i];
    if (array) {
        put_packed(page->counts, page->rows, skipped, out);
        buffer_varint(out, page->key_count);
        put_packed(page->keys, page->key_count, NULL, out);
    } else {
        put_packed(page->keys, page->rows, skipped, out);
    }
}

/* Reads the counts of a page of an array attribute, and the number of its elements. */
static bool take_counts(struct cursor *c, struct column_page *page)
{
    uint64_t left;
    if (!take_packed(c, page->rows, page->counts))
        return false;
    left = cursor_varint(c);
    if (c->failed || left > COLUMN_ITEMS_MAX)
        return false;
    page->key_count = (size_t)left;
    for (size_t i = 0; i < page->rows; i++) {
        if ((page->nulls[i / 64] | page->odd[i / 64]) >> (i % 64) & 1)
            page->counts[i] = 0;
        if (page->counts[i] > left)
            return false;
        left -= page->counts[i];
    }
    return left == 0;
}

enum dp_status column_page_read(struct span bytes, bool array, size_t rows, struct column_page *out,
                                struct dp_error *error)
{
    struct cursor c = cursor_over(bytes);
    const unsigned flags = cursor_u8(&c);
    bool good = !c.failed && flags <= COLUMN_OPAQUE;
    out->rows = rows;
    out->key_count = 0;
    memset(out->nulls, 0, sizeof out->nulls);
    memset(out->odd, flags == COLUMN_OPAQUE ? 0xff : 0, sizeof out->odd);
    memset(out->counts, 0, sizeof out->counts);
    if (good && flags == COLUMN_OPAQUE)
        return c.rest.len == 0 ? DP_OK : dp_fail(error, DP_CORRUPT, "a page of a column is malformed");
    if (flags & COLUMN_HAS_NULLS)
        take_words(&c, rows, out->nulls);
    if (flags & COLUMN_HAS_ODD)
        take_words(&c, rows, out->odd);
    if (!array)
        out->key_count = rows;
    good = good && !c.failed && (!array || take_counts(&c, out));
    if (!good)
        return dp_fail(error, DP_CORRUPT, "a page of a column is malformed");
    const size_t count = out->key_count;
    if (count > out->key_room) {
        uint64_t *keys = mem_calloc(count, sizeof *keys);
        if (!keys)
            return dp_fail_nomem(error, "a column");
        mem_free(out->keys);
        out->keys = keys;
        out->key_room = count;
    }
    good = take_packed(&c, count, out->keys) && c.rest.len == 0;
    return good ? DP_OK : dp_fail(error, DP_CORRUPT, "a page of a column is malformed");
}
