/* postings.c: packs and unpacks lists of postings.
 *
 *     list  := head{df / 256} body{df / 256} tail
 *     head  := varint step, varint len, u8 impacts, (varint tf, u8 code){impacts}
 *     body  := u8 rows_how, u8 tf_bits, rows, tfs, u8 code{256}?
 *     tail  := (varint (gap << 1 | once), varint tf unless once, u8 code?){df % 256}
 *
 * A head is of a block of 256 postings: `step` is its last row minus the last row of the block before (of -1 for the
 * first), `len` its bytes. A gap is a row minus the row before it, minus 1; in a block and in the tail the first gap
 * counts from the last row of the block before. rows_how is the number of bits in which the 256 gaps are packed, or
 * 255: then a bit set follows, of one bit for each of the `step` rows behind the block before. The tfs are packed
 * minus 1. Codes of lengths are there only if the index has no LENS.
 *
 * Packed numbers lie in eight lanes of 32 numbers: number i is the (i / 8)-th of lane i % 8, and word w of lane l is at
 * w * 8 + l. So a compiler unpacks eight numbers with one vector instruction.
 */
#include "text/postings.h"

enum {
    LANES = 8,
    LANE_LEN = POSTINGS_BLOCK / LANES,
    BIT_SET = 255,
    BIT_SET_BONUS = POSTINGS_BLOCK / 8, /* bytes by which a bit set may be longer: it is quicker */
    WORD_BITS = 32,
    CODES = 256,
    WORD_ROWS = 64,  /* rows in a word of a bit set */
    SET_STEP = 8,    /* rows of it that are written at a time */
    HEAD_LEN_MIN = 5 /* step, len, impacts, tf, code */
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are copied as they lie");

static uint32_t bits_of(uint32_t value)
{
    return value ? WORD_BITS - (uint32_t)__builtin_clz(value) : 0;
}

static uint32_t bits_of_all(const uint32_t *values)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < POSTINGS_BLOCK; i++)
        all |= values[i];
    return bits_of(all);
}

static size_t packed_len(uint32_t bits)
{
    return (size_t)bits * LANES * sizeof(uint32_t);
}

static void pack(struct buffer *out, const uint32_t *values, uint32_t bits)
{
    uint32_t words[WORD_BITS * LANES] = {0};
    for (uint32_t i = 0; i < POSTINGS_BLOCK && bits; i++) {
        uint32_t bit = i / LANES * bits, lane = i % LANES, word = bit / WORD_BITS, shift = bit % WORD_BITS;
        words[word * LANES + lane] |= values[i] << shift;
        if (shift + bits > WORD_BITS)
            words[(word + 1) * LANES + lane] |= values[i] >> (WORD_BITS - shift);
    }
    buffer_append(out, span_of(words, packed_len(bits)));
}

static void unpack(const uint8_t *from, uint32_t bits, uint32_t *values)
{
    uint32_t words[WORD_BITS * LANES];
    uint32_t mask = bits == WORD_BITS ? UINT32_MAX : (UINT32_C(1) << bits) - 1;
    if (bits == 0) {
        memset(values, 0, POSTINGS_BLOCK * sizeof *values);
        return;
    }
    memcpy(words, from, packed_len(bits));
    for (uint32_t k = 0; k < LANE_LEN; k++) {
        uint32_t word = k * bits / WORD_BITS, shift = k * bits % WORD_BITS;
        const uint32_t *at = words + (size_t)word * LANES;
        uint32_t *to = values + (size_t)k * LANES;
        if (shift + bits <= WORD_BITS) {
            for (uint32_t lane = 0; lane < LANES; lane++)
                to[lane] = at[lane] >> shift & mask;
        } else {
            for (uint32_t lane = 0; lane < LANES; lane++)
                to[lane] = (at[lane] >> shift | at[lane + LANES] << (WORD_BITS - shift)) & mask;
        }
    }
}

/* ---- impacts ----------------------------------------------------------------------------------------- */

/* The best postings of a block: for each length the highest frequency, where no shorter text has as high a one. If they
 * are too many, neighbours share one impact that is as good as all of them. */
static uint32_t find_impacts(const uint32_t *tfs, const uint8_t *codes, uint32_t count,
                             struct postings_impact out[POSTINGS_IMPACTS_MAX])
{
    uint32_t best[CODES] = {0}, found = 0, high = 0, groups;
    struct postings_impact all[CODES];
    for (uint32_t i = 0; i < count; i++) {
        if (tfs[i] > best[codes[i]])
            best[codes[i]] = tfs[i];
    }
    for (uint32_t code = 0; code < CODES; code++) {
        if (best[code] > high) {
            high = best[code];
            all[found++] = (struct postings_impact){high, (uint8_t)code};
        }
    }
    groups = found < POSTINGS_IMPACTS_MAX ? found : POSTINGS_IMPACTS_MAX;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t first = g * found / groups, last = (g + 1) * found / groups - 1;
        out[g] = (struct postings_impact){all[last].tf, all[first].code};
    }
    return groups;
}

/* ---- packing ----------------------------------------------------------------------------------------- */

static void encode_block(struct buffer *out, const uint32_t *rows, const uint32_t *tfs, const uint8_t *codes,
                         uint32_t first, bool with_codes)
{
    uint32_t gaps[POSTINGS_BLOCK], less[POSTINGS_BLOCK];
    uint32_t span = rows[POSTINGS_BLOCK - 1] - first + 1, bits;
    size_t set_len = ((size_t)span + 7) / 8;
    for (uint32_t i = 0; i < POSTINGS_BLOCK; i++) {
        gaps[i] = rows[i] - (i ? rows[i - 1] + 1 : first);
        less[i] = tfs[i] - 1;
    }
    bits = bits_of_all(gaps);
    bool set = bits > 0 && set_len <= packed_len(bits) + BIT_SET_BONUS;
    buffer_u8(out, set ? BIT_SET : (uint8_t)bits);
    buffer_u8(out, (uint8_t)bits_of_all(less));
    if (set) {
        uint8_t *to = buffer_reserve(out, set_len);
        if (to) {
            memset(to, 0, set_len);
            for (uint32_t i = 0; i < POSTINGS_BLOCK; i++)
                to[(rows[i] - first) / 8] |= (uint8_t)(1U << ((rows[i] - first) % 8));
            out->len += set_len;
        }
    } else {
        pack(out, gaps, bits);
    }
    pack(out, less, bits_of_all(less));
    if (with_codes)
        buffer_append(out, span_of(codes, POSTINGS_BLOCK));
}

static void encode_tail(struct buffer *out, const uint32_t *rows, const uint32_t *tfs, const uint8_t *codes,
                        uint32_t count, uint32_t first, bool with_codes)
{
    for (uint32_t i = 0; i < count; i++) {
        buffer_varint(out, (uint64_t)(rows[i] - first) << 1 | (tfs[i] == 1));
        if (tfs[i] != 1)
            buffer_varint(out, tfs[i]);
        if (with_codes)
            buffer_u8(out, codes[i]);
        first = rows[i] + 1;
    }
}

void postings_encode(struct buffer *out, const uint32_t *rows, const uint32_t *tfs, const uint8_t *codes,
                     uint32_t count, bool with_codes)
{
    uint32_t full = count / POSTINGS_BLOCK, first = 0;
    struct buffer bodies;
    buffer_init(&bodies, out->max);
    for (uint32_t b = 0; b < full; b++) {
        struct postings_impact impact[POSTINGS_IMPACTS_MAX];
        size_t at = (size_t)b * POSTINGS_BLOCK, before = bodies.len;
        uint32_t last = rows[at + POSTINGS_BLOCK - 1];
        uint32_t impacts = find_impacts(tfs + at, codes + at, POSTINGS_BLOCK, impact);
        encode_block(&bodies, rows + at, tfs + at, codes + at, first, with_codes);
        buffer_varint(out, last - first + 1);
        buffer_varint(out, bodies.len - before);
        buffer_u8(out, (uint8_t)impacts);
        for (uint32_t i = 0; i < impacts; i++) {
            buffer_varint(out, impact[i].tf);
            buffer_u8(out, impact[i].code);
        }
        first = last + 1;
    }
    if (bodies.status != DP_OK && out->status == DP_OK)
        out->status = bodies.status;
    buffer_append(out, buffer_span(&bodies));
    buffer_deinit(&bodies);
    size_t at = (size_t)full * POSTINGS_BLOCK;
    encode_tail(out, rows + at, tfs + at, codes + at, count % POSTINGS_BLOCK, first, with_codes);
}

/* ---- unpacking --------------------------------------------------------------------------------------- */

/* Reads a varint of at most 32 bits. Returns the byte behind it, or NULL if it is longer or ends behind `end`. */
static const uint8_t *take_varint(const uint8_t *at, const uint8_t *end, uint32_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at && at < end && shift < 5 * 7; shift += 7) {
        value |= (uint64_t)(*at & 0x7f) << shift;
        if (*at++ < 0x80) {
            *out = (uint32_t)value;
            return value <= UINT32_MAX ? at : NULL;
        }
    }
    return NULL;
}

static bool decode_tail(const struct postings *list, const struct postings_block *block, struct postings_run *out)
{
    const uint8_t *at = list->bytes.data + block->at, *end = at + block->len;
    uint64_t next = block->before;
    for (uint32_t i = 0; i < block->count; i++) {
        uint32_t gap = 0;
        at = take_varint(at, end, &gap);
        out->tfs[i] = 1;
        if (!(gap & 1))
            at = take_varint(at, end, &out->tfs[i]);
        if (!at || next + (gap >> 1) >= list->rows || out->tfs[i] == 0 || (!list->codes && at == end))
            return false;
        out->rows[i] = (uint32_t)(next + (gap >> 1));
        out->codes[i] = list->codes ? list->codes[out->rows[i]] : *at++;
        next = (uint64_t)out->rows[i] + 1;
    }
    out->count = block->count;
    for (uint32_t i = block->count; i < POSTINGS_BLOCK; i++)
        out->rows[i] = UINT32_MAX;
    return at == end;
}

/* The rows of a word of a set, which has `bits` of them. It writes in steps, so that few branches depend on the bits, and
 * may write up to 64 rows. */
static void rows_of_word(uint64_t word, uint32_t first, uint32_t bits, uint32_t *rows)
{
    for (uint32_t i = 0; i < bits; i += SET_STEP) {
        for (uint32_t j = 0; j < SET_STEP; j++) {
            rows[i + j] = first + (uint32_t)__builtin_ctzll(word | UINT64_C(1) << 63);
            word &= word - 1;
        }
    }
}

static bool rows_of_set(const uint8_t *set, size_t len, uint32_t first, uint32_t *rows)
{
    uint32_t count = 0, last[WORD_ROWS];
    for (size_t at = 0; at < len; at += sizeof(uint64_t), first += WORD_ROWS) {
        uint64_t word = 0;
        memcpy(&word, set + at, len - at < sizeof word ? len - at : sizeof word);
        const uint32_t bits = (uint32_t)__builtin_popcountll(word);
        if (bits > POSTINGS_BLOCK - count)
            return false;
        if (POSTINGS_BLOCK - count >= WORD_ROWS) {
            rows_of_word(word, first, bits, rows + count);
        } else {
            rows_of_word(word, first, bits, last);
            memcpy(rows + count, last, bits * sizeof *rows);
        }
        count += bits;
    }
    return count == POSTINGS_BLOCK;
}

static bool rows_of_gaps(const uint32_t *gaps, const struct postings_block *block, uint32_t *rows)
{
    uint64_t row = (uint64_t)block->before - 1;
    for (uint32_t i = 0; i < POSTINGS_BLOCK; i++) {
        row += (uint64_t)gaps[i] + 1;
        rows[i] = (uint32_t)row;
    }
    return row == block->last;
}

static bool decode_rows(struct cursor *c, uint32_t how, const struct postings_block *block,
                        struct postings_run *out)
{
    uint32_t gaps[POSTINGS_BLOCK];
    struct span bytes;
    if (how == BIT_SET) {
        bytes = cursor_bytes(c, ((size_t)(block->last - block->before) + 8) / 8);
        if (c->failed || !rows_of_set(bytes.data, bytes.len, block->before, out->rows))
            return false;
    } else {
        bytes = cursor_bytes(c, packed_len(how));
        if (c->failed || how > WORD_BITS)
            return false;
        unpack(bytes.data, how, gaps);
        if (!rows_of_gaps(gaps, block, out->rows))
            return false;
    }
    return out->rows[POSTINGS_BLOCK - 1] == block->last;
}

bool postings_decode(const struct postings *list, uint32_t number, struct postings_run *out)
{
    const struct postings_block *block = &list->blocks[number];
    if (block->count < POSTINGS_BLOCK)
        return decode_tail(list, block, out);
    struct cursor c = cursor_over(span_of(list->bytes.data + block->at, block->len));
    uint32_t how = cursor_u8(&c), tf_bits = cursor_u8(&c);
    if (tf_bits > WORD_BITS || !decode_rows(&c, how, block, out))
        return false;
    struct span tfs = cursor_bytes(&c, packed_len(tf_bits));
    struct span codes = cursor_bytes(&c, list->codes ? 0 : POSTINGS_BLOCK);
    if (c.failed || c.rest.len)
        return false;
    unpack(tfs.data, tf_bits, out->tfs);
    for (uint32_t i = 0; i < POSTINGS_BLOCK; i++)
        out->tfs[i] += out->tfs[i] < UINT32_MAX;
    for (uint32_t i = 0; i < POSTINGS_BLOCK && list->codes; i++)
        out->codes[i] = list->codes[out->rows[i]];
    if (!list->codes)
        memcpy(out->codes, codes.data, POSTINGS_BLOCK);
    out->count = POSTINGS_BLOCK;
    return true;
}

/* Reads the head of a block. */
static bool open_head(struct cursor *c, uint32_t rows, uint64_t first, struct postings_block *block)
{
    uint64_t step = cursor_varint(c), len = cursor_varint(c);
    uint32_t impacts = cursor_u8(c);
    if (c->failed || step < POSTINGS_BLOCK || step > rows - first || len > c->rest.len || impacts == 0 ||
        impacts > POSTINGS_IMPACTS_MAX)
        return false;
    *block = (struct postings_block){.before = (uint32_t)first,
                                     .last = (uint32_t)(first + step - 1),
                                     .len = (uint32_t)len,
                                     .count = POSTINGS_BLOCK,
                                     .impacts = impacts};
    for (uint32_t i = 0; i < impacts; i++) {
        uint64_t tf = cursor_varint(c);
        block->impact[i] = (struct postings_impact){(uint32_t)tf, cursor_u8(c)};
        if (tf == 0 || tf > UINT32_MAX)
            return false;
    }
    return !c->failed;
}

static bool open_tail(struct postings *out, uint64_t first, uint64_t at)
{
    struct postings_run run;
    struct postings_block *tail = &out->blocks[out->block_count - 1];
    *tail = (struct postings_block){.before = (uint32_t)first,
                                    .at = (uint32_t)at,
                                    .len = (uint32_t)(out->bytes.len - at),
                                    .count = out->df % POSTINGS_BLOCK};
    if (!decode_tail(out, tail, &run))
        return false;
    tail->last = run.rows[run.count - 1];
    tail->impacts = find_impacts(run.tfs, run.codes, run.count, tail->impact);
    return true;
}

static bool open_blocks(struct postings *out)
{
    struct cursor c = cursor_over(out->bytes);
    uint32_t full = out->df / POSTINGS_BLOCK;
    uint64_t first = 0, at;
    for (uint32_t b = 0; b < full; b++) {
        if (!open_head(&c, out->rows, first, &out->blocks[b]))
            return false;
        first = (uint64_t)out->blocks[b].last + 1;
    }
    at = c.offset;
    for (uint32_t b = 0; b < full; b++) {
        out->blocks[b].at = (uint32_t)at;
        at += out->blocks[b].len;
    }
    if (at > out->bytes.len)
        return false;
    return out->block_count > full ? open_tail(out, first, at) : at == out->bytes.len;
}

enum dp_status postings_open(struct arena *arena, struct span bytes, uint32_t df, uint32_t rows,
                             const uint8_t *codes, struct postings *out, struct dp_error *error)
{
    uint32_t full = df / POSTINGS_BLOCK;
    *out = (struct postings){.bytes = bytes, .df = df, .rows = rows, .codes = codes};
    if (df == 0 || df > rows || bytes.len == 0 || bytes.len > UINT32_MAX || full > bytes.len / HEAD_LEN_MIN)
        return dp_fail(error, DP_CORRUPT, "a list of postings says %u of %u rows in %zu bytes", df, rows,
                       bytes.len);
    out->block_count = full + (df % POSTINGS_BLOCK != 0);
    out->blocks = arena_array(arena, out->block_count, sizeof *out->blocks);
    if (!out->blocks)
        return dp_fail_nomem(error, "a list of postings");
    if (!open_blocks(out))
        return dp_fail(error, DP_CORRUPT, "a list of %u postings is damaged", df);
    return DP_OK;
}

bool postings_add_rows(const struct postings *list, uint64_t *set)
{
    struct postings_run run;
    for (uint32_t b = 0; b < list->block_count; b++) {
        if (!postings_decode(list, b, &run))
            return false;
        for (uint32_t i = 0; i < run.count; i++)
            set[run.rows[i] / 64] |= UINT64_C(1) << (run.rows[i] % 64);
    }
    return true;
}
