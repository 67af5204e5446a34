/* first_stage.c: rotates, encodes and scores by one bit for each dimension. */
#include "vector/first_stage.h"

#include <math.h>
#include <string.h>

#include "base/splitmix.h"
#include "simd/scan.h"
#include "simd/simd.h"

enum {
    FACTORS_LEN = 8,  /* bytes of f and g */
    BITS = 8,         /* dimensions of a byte */
    LANES = 4,        /* signs that are flipped at once */
    WIDE = 64,        /* more dimensions than this are padded to a multiple of it */
    ENTRIES = 16,     /* of the table of four dimensions */
    BLOCK_MAX = 1024, /* dimensions of a Hadamard transform */
    ROTATION_ROUNDS = 3
};
static const uint64_t ROTATION_SEED = 0x52425131; /* "RBQ1"; the codes in segments depend on it */
static const float SUM_MAX = 65535.0f, ENTRY_MAX = 255.0f;

struct first_stage first_stage_of(enum vector_metric metric, size_t dim)
{
    size_t unit = dim > WIDE ? WIDE : BITS, padded = (dim + unit - 1) / unit * unit, block = BITS;
    while (block < BLOCK_MAX && padded % (2 * block) == 0)
        block *= 2;
    return (struct first_stage){metric, dim, padded, block, padded / BITS};
}

size_t first_stage_len(const struct first_stage *stage, const struct first_list *list)
{
    return list->count * (stage->pairs + FACTORS_LEN) + (list->count - list->own) * sizeof(uint32_t);
}

size_t first_stage_scratch(const struct first_stage *stage)
{
    return stage->dim + 3 * stage->padded;
}

/* ---- rotation ---------------------------------------------------------------------------------------- */

/* Does the first three steps of a Walsh-Hadamard transform, within eight components. */
static void mix_eight(float *y)
{
    float a0 = y[0] + y[1], a1 = y[0] - y[1], a2 = y[2] + y[3], a3 = y[2] - y[3];
    float a4 = y[4] + y[5], a5 = y[4] - y[5], a6 = y[6] + y[7], a7 = y[6] - y[7];
    float b0 = a0 + a2, b1 = a1 + a3, b2 = a0 - a2, b3 = a1 - a3;
    float b4 = a4 + a6, b5 = a5 + a7, b6 = a4 - a6, b7 = a5 - a7;
    y[0] = b0 + b4;
    y[1] = b1 + b5;
    y[2] = b2 + b6;
    y[3] = b3 + b7;
    y[4] = b0 - b4;
    y[5] = b1 - b5;
    y[6] = b2 - b6;
    y[7] = b3 - b7;
}

/* Does two steps at once, on the quarters of 4 * step components. */
static void mix_quarters(float *y, size_t step)
{
    float *restrict first = y, *restrict second = y + step, *restrict third = y + 2 * step,
                    *restrict fourth = y + 3 * step;
    for (size_t j = 0; j < step; j++) {
        float a = first[j] + second[j], b = first[j] - second[j];
        float c = third[j] + fourth[j], d = third[j] - fourth[j];
        first[j] = a + c;
        second[j] = b + d;
        third[j] = a - c;
        fourth[j] = b - d;
    }
}

static void mix_halves(float *y, size_t step)
{
    float *restrict first = y, *restrict second = y + step;
    for (size_t j = 0; j < step; j++) {
        float a = first[j], b = second[j];
        first[j] = a + b;
        second[j] = a - b;
    }
}

/* Replaces y by H y, unscaled; H is the Walsh-Hadamard matrix of size n, which is at least BITS. */
static void walsh_hadamard(float *y, size_t n)
{
    size_t step = BITS;
    for (size_t i = 0; i < n; i += BITS)
        mix_eight(y + i);
    for (; 2 * step < n; step *= 4)
        for (size_t i = 0; i < n; i += 4 * step)
            mix_quarters(y + i, step);
    if (step < n)
        mix_halves(y, step);
}

/* Flips the signs of y by random bits, four at a time. */
static void flip_signs(float *y, size_t n, uint64_t *state)
{
    static const float flips[ENTRIES][LANES] = {
        {1, 1, 1, 1},   {-1, 1, 1, 1},   {1, -1, 1, 1},   {-1, -1, 1, 1},  {1, 1, -1, 1},  {-1, 1, -1, 1},
        {1, -1, -1, 1}, {-1, -1, -1, 1}, {1, 1, 1, -1},   {-1, 1, 1, -1},  {1, -1, 1, -1}, {-1, -1, 1, -1},
        {1, 1, -1, -1}, {-1, 1, -1, -1}, {1, -1, -1, -1}, {-1, -1, -1, -1}};
    uint64_t signs = 0;
    for (size_t i = 0; i < n; i += LANES, signs >>= LANES) {
        if (i % 64 == 0)
            signs = splitmix64_next(state);
        const float *flip = flips[signs & 15];
        for (size_t k = 0; k < LANES; k++)
            y[i + k] *= flip[k];
    }
}

/* Rotates x float[dim] into y float[padded]. Each round flips signs, mixes each block, and deals the blocks out, so
 * that the next round mixes components of different blocks. other: float[padded] of scratch */
static void rotate(const struct first_stage *stage, const float *x, float *y, float *other)
{
    size_t block = stage->block, blocks = stage->padded / block;
    uint64_t state = ROTATION_SEED;
    float *from = y, *to = other;
    memset(y, 0, stage->padded * sizeof *y);
    memcpy(y, x, stage->dim * sizeof *y);
    for (int round = 0; round < ROTATION_ROUNDS; round++) {
        flip_signs(from, stage->padded, &state);
        for (size_t b = 0; b < blocks; b++)
            walsh_hadamard(from + b * block, block);
        for (size_t i = 0; i < block; i++)
            for (size_t b = 0; b < blocks; b++)
                to[i * blocks + b] = from[b * block + i];
        float *dealt = to;
        to = from;
        from = dealt;
    }
    float scale = 1.0f / ((float)block * sqrtf((float)block));
    for (size_t i = 0; i < stage->padded; i++)
        y[i] = from[i] * scale;
}

/* ---- codes ------------------------------------------------------------------------------------------- */

/* Returns how many vectors of a list lie in groups of SCAN_GROUP. */
static size_t grouped(size_t count)
{
    return count - count % SCAN_GROUP;
}

static uint8_t *factors_of(const struct first_stage *stage, const struct first_list *list, uint8_t *bytes)
{
    return bytes + list->count * stage->pairs;
}

/* Writes the signs of y as the code of vector i. */
static void put_code(const struct first_stage *stage, const struct first_list *list, size_t i, const float *y,
                     uint8_t *bytes)
{
    bool in_group = i < grouped(list->count);
    size_t v = i % SCAN_GROUP;
    uint8_t *group = bytes + (i - v) * stage->pairs + v % 8 * 2 + v / 8 % 2, *plain = bytes + i * stage->pairs;
    unsigned shift = v < SCAN_GROUP / 2 ? 0 : 4;
    for (size_t p = 0; p < stage->pairs; p++, y += BITS) {
        unsigned code = 0;
        for (unsigned bit = 0; bit < BITS; bit++)
            code |= (unsigned)(y[bit] >= 0.0f) << bit;
        if (in_group) {
            group[p * SCAN_GROUP] |= (uint8_t)((code & 15) << shift);
            group[p * SCAN_GROUP + SCAN_GROUP / 2] |= (uint8_t)(code >> 4 << shift);
        } else {
            plain[p] = (uint8_t)code;
        }
    }
}

/* The scratch holds c' float[padded], the residual float[dim], its rotation and another float[padded]. */
void first_stage_enter(const struct first_stage *stage, const float *centroid, float *scratch)
{
    rotate(stage, centroid, scratch, scratch + stage->padded);
}

/* Makes residual = x - centroid. *square, *product: its dot products with itself and with the centroid. The sums of
 * each of four remainders do not wait for each other. */
static void make_residual(const float *x, const float *centroid, size_t dim, float *residual, double *square,
                          double *product)
{
    double squares[LANES] = {0.0}, products[LANES] = {0.0};
    for (size_t d = 0; d < dim; d++)
        residual[d] = x[d] - centroid[d];
    for (size_t d = 0; d < dim; d++) {
        squares[d % LANES] += (double)residual[d] * (double)residual[d];
        products[d % LANES] += (double)residual[d] * (double)centroid[d];
    }
    *square = squares[0] + squares[1] + (squares[2] + squares[3]);
    *product = products[0] + products[1] + (products[2] + products[3]);
}

/* *sum: the dot product of y and its signs; *across: that of `centroid` and the signs of y */
static void sum_by_signs(const float *y, const float *centroid, size_t n, double *sum, double *across)
{
    double sums[LANES] = {0.0}, acrosses[LANES] = {0.0};
    for (size_t d = 0; d < n; d += LANES)
        for (size_t k = 0; k < LANES; k++) {
            float sign = copysignf(1.0f, y[d + k] + 0.0f); /* 0.0f: -0 becomes 0 */
            sums[k] += (double)(sign * y[d + k]);
            acrosses[k] += (double)(sign * centroid[d + k]);
        }
    *sum = sums[0] + sums[1] + (sums[2] + sums[3]);
    *across = acrosses[0] + acrosses[1] + (acrosses[2] + acrosses[3]);
}

void first_stage_encode(const struct first_stage *stage, const struct first_list *list, size_t i, const float *x,
                        const float *centroid, uint32_t row, float *scratch, uint8_t *bytes)
{
    float *residual = scratch + stage->padded, *y = residual + stage->dim, factor[2];
    double square = 0.0, product = 0.0, sum = 0.0, across = 0.0;
    make_residual(x, centroid, stage->dim, residual, &square, &product);
    rotate(stage, residual, y, y + stage->padded);
    sum_by_signs(y, scratch, stage->padded, &sum, &across);
    double f = sum > 0.0 ? square / sum : 0.0;
    factor[0] = (float)f;
    factor[1] = (float)(stage->metric == VECTOR_L2 ? square + 2.0 * f * across : product - f * across);
    put_code(stage, list, i, y, bytes);
    uint8_t *factors = factors_of(stage, list, bytes);
    memcpy(factors + i * FACTORS_LEN, factor, FACTORS_LEN);
    if (i >= list->own) {
        uint8_t *rows = factors + list->count * FACTORS_LEN;
        memcpy(rows + (i - list->own) * sizeof row, &row, sizeof row);
    }
}

/* ---- queries ----------------------------------------------------------------------------------------- */

/* Rounds the sums of each four components to bytes. One scale holds for all tables, so that no entry exceeds ENTRY_MAX,
 * and no sum SUM_MAX. y: the rotated query */
static void make_tables(struct first_query *query, const float *y)
{
    size_t tables = 2 * query->stage.pairs;
    float widest = 0.0f, longest = 0.0f;
    query->least = query->total = 0.0f;
    for (size_t m = 0; m < tables; m++) {
        float low = 0.0f, width = 0.0f;
        for (size_t i = 4 * m; i < 4 * m + 4; i++) {
            low += y[i] < 0.0f ? y[i] : 0.0f;
            width += fabsf(y[i]);
            query->total += y[i];
        }
        query->least += low;
        longest += width;
        widest = width > widest ? width : widest;
    }
    float by_length = (SUM_MAX - (float)tables) / longest, scale = ENTRY_MAX / widest;
    scale = by_length < scale ? by_length : scale;
    scale = widest > 0.0f && isfinite(scale) ? scale : 0.0f;
    query->step = scale > 0.0f ? 1.0f / scale : 0.0f;
    for (size_t m = 0; m < tables; m++, y += 4)
        for (unsigned code = 0; code < ENTRIES; code++) {
            float above = 0.0f; /* the least sum */
            for (unsigned i = 0; i < 4; i++)
                if ((code >> i & 1) == (y[i] >= 0.0f ? 1u : 0u))
                    above += fabsf(y[i]);
            float rounded = above * scale + 0.5f;
            query->lut[m * ENTRIES + code] = (uint8_t)(rounded < ENTRY_MAX ? rounded : ENTRY_MAX);
        }
}

static void lay_out(struct first_query *query, float **y)
{
    query->lut = workspace_take(&query->memory, 2 * query->stage.pairs * ENTRIES, 1);
    *y = workspace_take(&query->memory, 2 * query->stage.padded, sizeof **y);
}

enum dp_status first_query_init(struct first_query *query, const struct first_stage *stage, const float *vector,
                                struct dp_error *error)
{
    float *y;
    *query = (struct first_query){.stage = *stage, .vector = vector, .length = vector_length(vector, stage->dim)};
    lay_out(query, &y);
    if (!workspace_allocate(&query->memory))
        return dp_fail_nomem(error, "a query");
    lay_out(query, &y);
    rotate(stage, vector, y, y + stage->padded);
    make_tables(query, y);
    return DP_OK;
}

void first_query_deinit(struct first_query *query)
{
    workspace_deinit(&query->memory);
}

/* ---- scan -------------------------------------------------------------------------------------------- */

/* out[v] = the sum of table entries of code v, for the codes behind the groups */
static void plain_sums(const struct first_query *query, const uint8_t *codes, size_t n, uint16_t *out)
{
    for (size_t v = 0; v < n; v++) {
        const uint8_t *table = query->lut;
        unsigned sum = 0;
        for (size_t p = 0; p < query->stage.pairs; p++, codes++, table += 2 * ENTRIES)
            sum += table[*codes & 15] + (unsigned)table[ENTRIES + (*codes >> 4)];
        out[v] = (uint16_t)sum;
    }
}

/* Scores the SCAN_GROUP vectors from `first` on, or the fewer that are left. base: the score of the centroid */
static void score_group(const struct first_query *query, const struct first_list *list, float base,
                        const uint8_t *bytes, size_t first, size_t n, float *scores)
{
    const struct first_stage *stage = &query->stage;
    const uint8_t *codes = bytes + first * stage->pairs;
    uint16_t sums[SCAN_GROUP];
    if (n == SCAN_GROUP)
        simd_ops()->scan->group_sums(query->lut, codes, SCAN_GROUP, stage->pairs, sums);
    else
        plain_sums(query, codes, n, sums);
    const uint8_t *from = bytes + list->count * stage->pairs + first * FACTORS_LEN;
    for (size_t v = 0; v < n; v++, from += FACTORS_LEN) {
        float factor[2];
        memcpy(factor, from, FACTORS_LEN);
        float dot = factor[0] * (2.0f * (query->least + query->step * (float)sums[v]) - query->total);
        scores[v] = (stage->metric == VECTOR_L2 ? base - 2.0f * dot : base + dot) + factor[1];
        if (scores[v] != scores[v]) /* too large for floats */
            scores[v] = stage->metric == VECTOR_L2 ? INFINITY : -INFINITY;
    }
}

static uint32_t row_of(const struct first_stage *stage, const struct first_list *list, const uint8_t *bytes,
                       size_t i)
{
    if (i < list->own)
        return list->first_row + (uint32_t)i;
    uint32_t row;
    const uint8_t *rows = bytes + list->count * (stage->pairs + FACTORS_LEN);
    memcpy(&row, rows + (i - list->own) * sizeof row, sizeof row);
    return row;
}

enum dp_status first_stage_scan(const struct first_query *query, const struct first_list *list,
                                const float *centroid, struct span bytes, const struct id_filter *filter,
                                struct topk *top, struct dp_error *error)
{
    const struct first_stage *stage = &query->stage;
    if (list->own > list->count || bytes.len != first_stage_len(stage, list))
        return dp_fail(error, DP_CORRUPT, "%zu bytes are not the codes of %zu vectors", bytes.len, list->count);
    float base = distance_pair(stage->metric, query->vector, centroid, stage->dim);
    for (size_t first = 0; first < list->count; first += SCAN_GROUP) {
        size_t n = list->count - first < SCAN_GROUP ? list->count - first : SCAN_GROUP;
        float scores[SCAN_GROUP];
        score_group(query, list, base, bytes.data, first, n, scores);
        float worst = top->count < top->k ? INFINITY : top->k > 0 ? top->hits[0].score : -INFINITY;
        if (top->count < top->k && top->larger_is_better)
            worst = -INFINITY;
        uint64_t left = simd_ops()->scan->reaching(scores, n, worst, top->larger_is_better);
        for (; left != 0; left &= left - 1) {
            size_t v = (size_t)__builtin_ctzll(left);
            uint32_t row = row_of(stage, list, bytes.data, first + v);
            if (!filter || id_filter_allows(filter, row))
                topk_push(top, scores[v], row);
        }
    }
    return DP_OK;
}

/* The code f s of a residual r' has the error f s - r', which is orthogonal to r' and √(π/2 - 1) |r'| long. The query
 * is about as long in this direction as in any other: |q| / √dim. And f is about √(π/2) |r'| / √dim. */
double first_stage_errors(const struct first_query *query, const struct first_list *list, struct span bytes)
{
    const double error_of_f = 0.602; /* √((π/2 - 1) / (π/2)) */
    const uint8_t *from = bytes.data + list->count * query->stage.pairs;
    double sum = 0;
    for (size_t v = 0; v < list->count; v++, from += FACTORS_LEN) {
        float f;
        memcpy(&f, from, sizeof f);
        sum += f;
    }
    return sum * error_of_f * query->length * (query->stage.metric == VECTOR_L2 ? 2 : 1);
}
