/* parse/codec.c: parses the codec of an inverted file, and holds the table of all kinds of index (at the end).
 *
 * Between its IVF header and its lists an inverted file has these fields, by its fourcc:
 *
 *   IwFl         no fields: codes are floats
 *   IwSq, IwSQ   i32 type, i32 rangestat, f32 rangestat's argument, u64 d, u64 code_size, vec f32 trained,
 *                u64 code_size, IwSq: u8 by_residual
 *   IwPQ         u8 by_residual, u64 code_size, pq
 *   IwPf         u8 by_residual, u64 code_size, i32 block_rows, u64 m2, i32 implementation, u64 batch, pq
 *   Iwrq, Iwrr   u64 d, u64 code_size, i32 metric, Iwrr: u64 bits; u64 code_size, u8 by_residual, u8 query_bits
 *   Iwrn         u64 d, u64 code_size, i32 metric, u64 bits, u8 by_residual, u64 code_size, i32 block_rows,
 *                u64 batch, u64 m2, i32 implementation, u8 query_bits, u8 centered
 *   pq           u64 d, u64 m, u64 bits, vec f32 centroids[m][2^bits][d / m]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"
#include "vector/pq.h"

enum {
    SQ_BYTES = 36,
    PQ_BYTES = 32,
    PQ_INDEX_BYTES = 9,
    PQ_FAST_BYTES = 33,
    RABITQ_BYTES = 38,
    RABITQ_FAST_BYTES = 63,
    PQ_BITS_MAX = 16,
    BLOCK_ROWS_MAX = 1 << 16
};

/* FAISS's limit on its precomputed tables. Beyond it FAISS computes distances in another way (IndexIVFPQ.cpp:
 * precomputed_table_max_bytes). */
static const uint64_t PRECOMPUTED_BYTES_MAX = (uint64_t)1 << 31;

/* ---- a guess of the bytes that follow, to read them in the same round ----------------------------------- */

/* Returns whether code_size can be the bytes of m indexes of `bits` bits, for some m that divides d. */
static bool may_be_pq(uint64_t d, uint64_t code_size, uint64_t bits)
{
    for (uint64_t m = 8 * (code_size - 1) / bits + 1; m <= 8 * code_size / bits && m <= d; m++)
        if (d % m == 0)
            return true;
    return false;
}

/* Guesses the bytes of a product quantizer's centroids before the parser has read its fields. Centroids and ntotal
 * whole codes must fill the bytes that the other parts of the file do not use. If no number of bits fits, because
 * list sizes are sparse or the file has other parts, assumes 8 bits. A wrong guess costs at most one more round. */
static uint64_t guess_pq_bytes(const struct faiss_parser *p)
{
    const struct faiss_ivf *ivf = p->ivf;
    uint64_t d = ivf->codec.dim, best = 0, centroids = 4 * ivf->nlist * d;
    uint64_t known = p->source.at + (!ivf->centroids ? centroids : 0) + 9 + PQ_INDEX_BYTES + PQ_BYTES +
                     parse_lists_ahead(p) + p->tail_bytes;
    for (uint64_t bits = 1; bits <= PQ_BITS_MAX && ivf->ntotal > 0 && known < p->source.size; bits++) {
        uint64_t table = 4 * d << bits, left = p->source.size - known;
        if (table >= left || (left - table) % ivf->ntotal != 0 || (left - table) / ivf->ntotal <= 8)
            continue;
        if (may_be_pq(d, (left - table) / ivf->ntotal - 8, bits))
            best = table;
    }
    return best > 0 ? best : 4 * d << 8;
}

uint64_t parse_codec_ahead(const struct faiss_parser *p)
{
    const struct parse_kind *kind = p->kind;
    return kind->bytes + kind->dim_bytes * p->ivf->codec.dim + (kind->guess_bytes ? kind->guess_bytes(p) : 0);
}

/* ---- floats --------------------------------------------------------------------------------------------- */

enum dp_status parse_floats(struct faiss_parser *p)
{
    struct ivf_codec *codec = &p->ivf->codec;
    codec->kind = IVF_FLAT;
    codec->code_size = codec->dim * sizeof(float);
    snprintf(p->ivf->codes, sizeof p->ivf->codes, "Flat");
    return DP_OK;
}

/* ---- scalar quantizers --------------------------------------------------------------------------------- */

static const struct sq_type {
    const char *name;
    int32_t type;
    enum ivf_codec_kind kind;
    enum ivf_scalar_form form;
    uint8_t bits;
    uint8_t floats; /* trained floats. 2: two for each dimension; 1: two for all dimensions; 0: none */
} sq_types[] = {{"SQ8", FAISS_QT_8BIT, IVF_SQ8, IVF_SCALAR_RANGES, 8, 2},
                {"SQ4", FAISS_QT_4BIT, IVF_SQ4, IVF_SCALAR_RANGES, 4, 2},
                {"SQ6", FAISS_QT_6BIT, IVF_SQ6, IVF_SCALAR_RANGES, 6, 2},
                {"SQ8_uniform", FAISS_QT_8BIT_UNIFORM, IVF_SQ8, IVF_SCALAR_UNIFORM, 8, 1},
                {"SQ4_uniform", FAISS_QT_4BIT_UNIFORM, IVF_SQ4, IVF_SCALAR_UNIFORM, 4, 1},
                {"SQfp16", FAISS_QT_FP16, IVF_FP16, IVF_SCALAR_RANGES, 16, 0},
                {"SQbf16", FAISS_QT_BF16, IVF_BF16, IVF_SCALAR_RANGES, 16, 0},
                {"SQ8_direct", FAISS_QT_8BIT_DIRECT, IVF_SQ8, IVF_SCALAR_DIRECT, 8, 0},
                {"SQ8_direct_signed", FAISS_QT_8BIT_DIRECT_SIGNED, IVF_SQ8, IVF_SCALAR_SIGNED, 8, 0}};

static const struct sq_type *find_sq_type(int32_t type)
{
    for (size_t i = 0; i < sizeof sq_types / sizeof *sq_types; i++)
        if (sq_types[i].type == type)
            return &sq_types[i];
    return NULL;
}

/* Makes a range for each dimension, for codes whose file stores no range per dimension. In every form code c means
 * least + range (c + 1/2) / levels. So direct codes have a range of 255 that begins at -1/2. The range of signed
 * direct codes begins at -128.5. */
static enum dp_status spread_ranges(struct faiss_parser *p, const struct sq_type *type, const float uniform[2])
{
    struct faiss_ivf *ivf = p->ivf;
    size_t dim = ivf->codec.dim;
    float least = type->form == IVF_SCALAR_UNIFORM  ? uniform[0]
                  : type->form == IVF_SCALAR_SIGNED ? -128.5f
                                                    : -0.5f;
    float range = type->form == IVF_SCALAR_UNIFORM ? uniform[1] : 255.0f;
    enum dp_status status =
        parse_alloc(p, "the scalar quantizer's ranges", 2 * (uint64_t)dim, sizeof(float), &ivf->trained);
    for (size_t i = 0; status == DP_OK && i < dim; i++) {
        ivf->trained[i] = least;
        ivf->trained[dim + i] = range;
    }
    return status;
}

enum dp_status parse_scalar_quantizer(struct faiss_parser *p, uint64_t after)
{
    struct faiss_ivf *ivf = p->ivf;
    struct ivf_codec *codec = &ivf->codec;
    uint64_t d = codec->dim;
    float uniform[2] = {0};
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "the scalar quantizer", SQ_BYTES, 8 * d + after, &c);
    if (status != DP_OK)
        return status;
    int32_t number = cursor_i32(&c);
    cursor_i32(&c); /* only training uses rangestat and its argument */
    cursor_f32(&c);
    uint64_t sq_d = cursor_u64(&c), sq_code_size = cursor_u64(&c), trained = cursor_u64(&c);
    const struct sq_type *type = find_sq_type(number);
    if (!type)
        return source_fail(&p->source, DP_UNSUPPORTED,
                           "a scalar quantizer of type %" PRId32
                           "; supported: 0 to 8 (SQ8, SQ6, SQ4, SQfp16, SQbf16, "
                           "8- and 4-bit uniform, SQ8_direct, SQ8_direct_signed)",
                           number);
    codec->kind = type->kind;
    codec->form = type->form;
    snprintf(ivf->codes, sizeof ivf->codes, "%s", type->name);
    codec->code_size = (size_t)((d * type->bits + 7) / 8);
    if (sq_d != d || sq_code_size != codec->code_size || trained != (type->floats == 2 ? 2 * d : 2 * type->floats))
        return source_fail(&p->source, DP_CORRUPT,
                           "a scalar quantizer of type %" PRId32 " for %" PRIu64 " dimensions with %" PRIu64
                           "-byte codes and %" PRIu64 " trained values, in an index of %" PRIu64,
                           number, sq_d, sq_code_size, trained, d);
    if (type->floats == 2)
        status = parse_array(p, "the scalar quantizer's ranges", trained, sizeof(float), after, &ivf->trained);
    else if (type->floats == 1)
        status = source_copy(&p->source, "the scalar quantizer's range", uniform, sizeof uniform, after);
    if (status == DP_OK && type->kind != IVF_FP16 && type->kind != IVF_BF16 && type->floats < 2)
        status = spread_ranges(p, type, uniform);
    codec->trained = ivf->trained;
    return status;
}

static enum dp_status take_sq(struct faiss_parser *p, bool old)
{
    struct ivf_codec *codec = &p->ivf->codec;
    uint64_t after = 9 + parse_lists_ahead(p);
    struct cursor c;
    enum dp_status status = parse_scalar_quantizer(p, after);
    if (status == DP_OK)
        status = source_fields(&p->source, "the code size", old ? 8 : 9, after, &c);
    if (status != DP_OK)
        return status;
    uint64_t code_size = cursor_u64(&c);
    uint8_t by_residual = old ? 1 : cursor_u8(&c);
    if (code_size != codec->code_size || by_residual > 1)
        return source_fail(&p->source, DP_CORRUPT, "codes of %" PRIu64 " bytes, not %zu, by_residual %u",
                           code_size, codec->code_size, by_residual);
    codec->by_residual = by_residual == 1;
    return DP_OK;
}

static enum dp_status parse_sq(struct faiss_parser *p)
{
    return take_sq(p, false);
}

static enum dp_status parse_sq_old(struct faiss_parser *p)
{
    return take_sq(p, true);
}

/* ---- product quantizers -------------------------------------------------------------------------------- */

static enum dp_status parse_pq(struct faiss_parser *p, uint64_t bits_max)
{
    struct faiss_ivf *ivf = p->ivf;
    struct ivf_codec *codec = &ivf->codec;
    struct cursor c;
    enum dp_status status =
        source_fields(&p->source, "the product quantizer", PQ_BYTES, guess_pq_bytes(p) + parse_lists_ahead(p), &c);
    if (status != DP_OK)
        return status;
    uint64_t d = cursor_u64(&c), m = cursor_u64(&c), bits = cursor_u64(&c), floats = cursor_u64(&c);
    if (d != codec->dim || m < 1 || d % m != 0 || bits < 1)
        return source_fail(&p->source, DP_CORRUPT,
                           "a product quantizer of %" PRIu64 " dimensions, %" PRIu64 " parts and %" PRIu64
                           " bits, in an index of %zu dimensions",
                           d, m, bits, codec->dim);
    if (bits > bits_max)
        return source_fail(&p->source, DP_UNSUPPORTED,
                           "a product quantizer of %" PRIu64 " bits; supported: up to %" PRIu64, bits, bits_max);
    if (floats != d << bits)
        return source_fail(&p->source, DP_CORRUPT,
                           "a product quantizer's centroids have %" PRIu64 " floats, not %" PRIu64, floats,
                           d << bits);
    status = parse_array(p, "the product quantizer's centroids", floats, sizeof(float), parse_lists_ahead(p),
                         &ivf->trained);
    if (status != DP_OK)
        return status;
    codec->trained = ivf->trained;
    codec->m = (size_t)m;
    codec->bits = (size_t)bits;
    codec->code_size = (size_t)(m * bits + 7) / 8;
    snprintf(ivf->codes, sizeof ivf->codes, "PQ%zux%zu", codec->m, codec->bits);
    return pq_turn(ivf->trained, codec->m, (size_t)1 << bits, codec->dim / codec->m, p->source.error);
}

static enum dp_status check_code(struct faiss_parser *p, uint64_t code_size, uint64_t expected,
                                 uint8_t by_residual)
{
    if (code_size == expected && by_residual <= 1)
        return DP_OK;
    return source_fail(&p->source, DP_CORRUPT, "codes of %" PRIu64 " bytes, not %" PRIu64 ", by_residual %u",
                       code_size, expected, by_residual);
}

static enum dp_status parse_ivf_pq(struct faiss_parser *p)
{
    struct ivf_codec *codec = &p->ivf->codec;
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "the code size", PQ_INDEX_BYTES,
                                          PQ_BYTES + guess_pq_bytes(p) + parse_lists_ahead(p), &c);
    if (status != DP_OK)
        return status;
    uint8_t by_residual = cursor_u8(&c);
    uint64_t code_size = cursor_u64(&c);
    codec->kind = IVF_PQ;
    codec->by_residual = by_residual == 1;
    status = parse_pq(p, PQ_BITS_MAX);
    if (status != DP_OK)
        return status;
    return check_code(p, code_size, codec->code_size, by_residual);
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

/* Sets the layout of a block of `rows` vectors, each with `parts` four-bit indexes and `beside` more bytes. */
static enum dp_status set_block(struct faiss_parser *p, int32_t rows, uint64_t m2, uint64_t parts, uint64_t beside)
{
    struct ivf_codec *codec = &p->ivf->codec;
    if (rows < 32 || rows % 32 != 0 || m2 != (parts + 1) / 2 * 2)
        return source_fail(&p->source, DP_CORRUPT,
                           "blocks of %" PRId32 " vectors with %" PRIu64 " indexes for %" PRIu64 " parts", rows,
                           m2, parts);
    if (rows > BLOCK_ROWS_MAX)
        return source_fail(&p->source, DP_UNSUPPORTED, "blocks of %" PRId32 " vectors; supported: up to %d", rows,
                           BLOCK_ROWS_MAX);
    codec->block_rows = (size_t)rows;
    codec->pairs = (size_t)(m2 / 2);
    codec->block_bytes = codec->block_rows * (codec->pairs + (size_t)beside);
    return DP_OK;
}

static enum dp_status parse_ivf_pq_fast(struct faiss_parser *p)
{
    struct ivf_codec *codec = &p->ivf->codec;
    uint64_t ahead = PQ_BYTES + (4 * (uint64_t)codec->dim << 4) + parse_lists_ahead(p);
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "the fast-scan parameters", PQ_FAST_BYTES, ahead, &c);
    if (status != DP_OK)
        return status;
    uint8_t by_residual = cursor_u8(&c);
    uint64_t code_size = cursor_u64(&c);
    int32_t rows = cursor_i32(&c);
    uint64_t m2 = cursor_u64(&c);
    codec->kind = IVF_PQ_FAST;
    codec->by_residual = by_residual == 1;
    status = parse_pq(p, 4);
    if (status != DP_OK)
        return status;
    if (codec->bits != 4)
        return source_fail(&p->source, DP_UNSUPPORTED, "fast scan of %zu bits; supported: 4", codec->bits);
    status = check_code(p, code_size, codec->code_size, by_residual);
    if (status != DP_OK)
        return status;
    snprintf(p->ivf->codes, sizeof p->ivf->codes, "PQ%zux4fs%s", codec->m, codec->by_residual ? "r" : "");
    codec->precomputed = codec->by_residual && p->ivf->quantizer_metric == VECTOR_L2 &&
                         p->ivf->nlist <= PRECOMPUTED_BYTES_MAX / (codec->m * 64);
    return set_block(p, rows, m2, codec->m, 0);
}

/* ---- RaBitQ --------------------------------------------------------------------------------------------- */

/* Takes the fields that all RaBitQ kinds begin with: d, code_size, metric and, if has_bits, bits. The name of the
 * codes contains `fast`. */
static enum dp_status take_rabitq(struct faiss_parser *p, struct cursor *c, bool has_bits, const char *fast)
{
    struct ivf_codec *codec = &p->ivf->codec;
    uint64_t d = cursor_u64(c), code_size = cursor_u64(c);
    int32_t metric = cursor_i32(c);
    uint64_t bits = has_bits ? cursor_u64(c) : 1;
    if (d != codec->dim || metric != (int32_t)codec->metric || bits < 1 || bits > 9)
        return source_fail(&p->source, DP_CORRUPT,
                           "RaBitQ of %" PRIu64 " dimensions, metric %" PRId32 " and %" PRIu64
                           " bits, in an index of %zu dimensions and metric %d",
                           d, metric, bits, codec->dim, (int)codec->metric);
    codec->bits = (size_t)bits;
    codec->by_residual = true; /* RaBitQ always encodes residuals */
    snprintf(p->ivf->codes, sizeof p->ivf->codes, bits > 1 ? "RaBitQ%s%zu" : "RaBitQ%s", fast, codec->bits);
    codec->code_size = rabitq_sign_bytes(codec->dim) + rabitq_factor_bytes(codec->dim, codec->bits);
    return check_code(p, code_size, codec->code_size, 0);
}

static enum dp_status set_query_bits(struct faiss_parser *p, uint8_t query_bits, uint8_t least, uint8_t centered)
{
    if (query_bits < least || query_bits > 8 || centered > 1)
        return source_fail(&p->source, DP_CORRUPT, "RaBitQ queries of %u bits, centered %u", query_bits, centered);
    p->ivf->codec.query_bits = query_bits;
    p->ivf->codec.centered = centered == 1;
    return DP_OK;
}

static enum dp_status take_rabitq_rows(struct faiss_parser *p, bool has_bits)
{
    struct ivf_codec *codec = &p->ivf->codec;
    struct cursor c;
    enum dp_status status =
        source_fields(&p->source, "the RaBitQ parameters", has_bits ? 38 : 30, parse_lists_ahead(p), &c);
    if (status != DP_OK)
        return status;
    status = take_rabitq(p, &c, has_bits, "");
    if (status != DP_OK)
        return status;
    codec->kind = codec->bits == 1 ? IVF_RABITQ : IVF_RABITQ_BITS;
    uint64_t code_size = cursor_u64(&c);
    uint8_t by_residual = cursor_u8(&c);
    status = check_code(p, code_size, codec->code_size, by_residual);
    if (status != DP_OK)
        return status;
    return set_query_bits(p, cursor_u8(&c), 0, 0);
}

static enum dp_status parse_rabitq(struct faiss_parser *p)
{
    return take_rabitq_rows(p, false);
}

static enum dp_status parse_rabitq_bits(struct faiss_parser *p)
{
    return take_rabitq_rows(p, true);
}

static enum dp_status parse_rabitq_fast(struct faiss_parser *p)
{
    struct ivf_codec *codec = &p->ivf->codec;
    struct cursor c;
    enum dp_status status =
        source_fields(&p->source, "the RaBitQ parameters", RABITQ_FAST_BYTES, parse_lists_ahead(p), &c);
    if (status != DP_OK)
        return status;
    status = take_rabitq(p, &c, true, "fs");
    if (status != DP_OK)
        return status;
    codec->kind = codec->bits == 1 ? IVF_RABITQ_FAST : IVF_RABITQ_FAST_BITS;
    uint8_t by_residual = cursor_u8(&c);
    uint64_t code_size = cursor_u64(&c);
    int32_t rows = cursor_i32(&c);
    cursor_u64(&c); /* FAISS's batch size, which only FAISS uses */
    uint64_t m2 = cursor_u64(&c);
    cursor_i32(&c); /* FAISS's implementation number, which only FAISS uses */
    uint8_t query_bits = cursor_u8(&c), centered = cursor_u8(&c);
    status = check_code(p, code_size, codec->code_size, by_residual);
    if (status != DP_OK)
        return status;
    if (by_residual != 1)
        return source_fail(&p->source, DP_CORRUPT, "fast-scan RaBitQ whose codes are not by residual");
    status = set_query_bits(p, query_bits, 1, centered);
    if (status != DP_OK)
        return status;
    return set_block(p, rows, m2, (codec->dim + 3) / 4, rabitq_factor_bytes(codec->dim, codec->bits));
}

/* ---- all kinds ------------------------------------------------------------------------------------------ */

const char parse_supported[] =
    "IVF files (Flat, SQ, PQ, fast scan, RaBitQ), flat files and SQ, alone or with transforms, "
    "id maps and RFlat";

/* What to do with a kind from which FAISS can reconstruct the vectors. */
#define REBUILD                                                                                                  \
    "make an IVF file of its vectors: in Python numpy.save(\"x.npy\", faiss.read_index(FILE).reconstruct_n()), " \
    "then `dipper faiss build FILE.ivf --vectors x.npy`"
/* What to do with a kind from which FAISS cannot reconstruct the vectors. */
#define BUILD "make an IVF file of the vectors: `dipper faiss build FILE.ivf --vectors x.npy`"

static const struct parse_kind index_kinds[] = {
    {"IwFl", .codec = parse_floats},
    {"IwSq", .codec = parse_sq, .bytes = SQ_BYTES + 9, .dim_bytes = 8},
    {"IwSQ", .codec = parse_sq_old, .bytes = SQ_BYTES + 9, .dim_bytes = 8},
    {"IwPQ", .codec = parse_ivf_pq, .bytes = PQ_INDEX_BYTES + PQ_BYTES, .guess_bytes = guess_pq_bytes},
    {"IwPf", .codec = parse_ivf_pq_fast, .bytes = PQ_FAST_BYTES + PQ_BYTES, .dim_bytes = 4 << 4, .blocks = true},
    {"Iwrq", .codec = parse_rabitq, .bytes = RABITQ_BYTES},
    {"Iwrr", .codec = parse_rabitq_bits, .bytes = RABITQ_BYTES},
    {"Iwrn", .codec = parse_rabitq_fast, .bytes = RABITQ_FAST_BYTES, .blocks = true},
    {"IHNf", .name = "an HNSW graph (IndexHNSWFlat)", .way = REBUILD},
    {"IHNp", .name = "an HNSW graph over product quantizer codes", .way = REBUILD},
    {"IHNs", .name = "an HNSW graph over scalar codes", .way = REBUILD},
    {"IHN2", .name = "an HNSW graph over two levels", .way = REBUILD},
    {"IHNc", .name = "an HNSW graph made by CAGRA", .way = REBUILD},
    {"IHc2", .name = "an HNSW graph made by CAGRA", .way = REBUILD},
    {"INSf", .name = "an NSG graph", .way = REBUILD},
    {"INSp", .name = "an NSG graph over product quantizer codes", .way = REBUILD},
    {"INSs", .name = "an NSG graph over scalar codes", .way = REBUILD},
    {"INNf", .name = "an NNDescent graph", .way = REBUILD},
    {"IxPq", .name = "a product quantizer without an inverted file (IndexPQ)", .way = REBUILD},
    {"IxPQ", .name = "a product quantizer without an inverted file (IndexPQ)", .way = REBUILD},
    {"IxPo", .name = "a product quantizer without an inverted file (IndexPQ)", .way = REBUILD},
    {"IPfs", .name = "a fast-scan product quantizer without an inverted file", .way = REBUILD},
    {"IxRq", .name = "a residual quantizer", .way = REBUILD},
    {"IxRQ", .name = "a residual quantizer", .way = REBUILD},
    {"IxLS", .name = "a local search quantizer", .way = REBUILD},
    {"IxPR", .name = "a product of residual quantizers", .way = REBUILD},
    {"IxPL", .name = "a product of local search quantizers", .way = REBUILD},
    {"IRfs", .name = "a fast-scan residual quantizer", .way = REBUILD},
    {"ILfs", .name = "a fast-scan local search quantizer", .way = REBUILD},
    {"IPRf", .name = "a fast-scan product of residual quantizers", .way = REBUILD},
    {"IPLf", .name = "a fast-scan product of local search quantizers", .way = REBUILD},
    {"Ixrq", .name = "RaBitQ without an inverted file", .way = BUILD},
    {"Ixrr", .name = "RaBitQ without an inverted file", .way = BUILD},
    {"Irfs", .name = "fast-scan RaBitQ without an inverted file", .way = BUILD},
    {"IxHe", .name = "locality-sensitive hashes (IndexLSH)", .way = BUILD},
    {"Ix2L", .name = "codes of two levels (Index2Layer)", .way = REBUILD},
    {"IxLa", .name = "a lattice quantizer", .way = REBUILD},
    {"IRMf", .name = "codes by rows' minima and maxima", .way = REBUILD},
    {"IRMh", .name = "codes by rows' minima and maxima", .way = REBUILD},
    {"IwQR", .name = "an IVF file of PQ codes refined by others (IVFPQR)", .way = REBUILD},
    {"IwFd", .name = "an IVF file without duplicate vectors (FlatDedup)",
     .way = "make it with IVFn,Flat, or " BUILD},
    {"IwRQ", .name = "an IVF file of residual quantizer codes", .way = REBUILD},
    {"IwLS", .name = "an IVF file of local search quantizer codes", .way = REBUILD},
    {"IwPR", .name = "an IVF file of codes of a product of residual quantizers", .way = REBUILD},
    {"IwPL", .name = "an IVF file of codes of a product of local search quantizers", .way = REBUILD},
    {"IVRf", .name = "an IVF file of fast-scan residual quantizer codes", .way = REBUILD},
    {"IVLf", .name = "an IVF file of fast-scan local search quantizer codes", .way = REBUILD},
    {"NPRf", .name = "an IVF file of fast-scan codes of a product of residual quantizers", .way = REBUILD},
    {"NPLf", .name = "an IVF file of fast-scan codes of a product of local search quantizers", .way = REBUILD},
    {"IwSh", .name = "an IVF file of spectral hashes", .way = BUILD},
    {"IwIQ", .name = "an IVF file with an independent quantizer (IndexIVFIndependentQuantizer)", .way = REBUILD},
    {"Iwrf", .name = "an IVF file of fast-scan RaBitQ codes as FAISS wrote them before 1.13",
     .way = "write it anew with a later FAISS"},
    {"IBxF", .name = "a binary index: its vectors are bits", .way = "search it with FAISS"},
    {"IBwF", .name = "a binary IVF file: its vectors are bits", .way = "search it with FAISS"},
    {"IBFf", .name = "a binary index: its vectors are bits", .way = "search it with FAISS"},
    {"IBHf", .name = "a binary HNSW graph: its vectors are bits", .way = "search it with FAISS"},
    {"IBHh", .name = "a binary hash: its vectors are bits", .way = "search it with FAISS"},
    {"IBHm", .name = "a binary hash: its vectors are bits", .way = "search it with FAISS"},
    {"IBMp", .name = "a binary index: its vectors are bits", .way = "search it with FAISS"},
    {"IBM2", .name = "a binary index: its vectors are bits", .way = "search it with FAISS"},
    {"Imiq", .name = "an inverted multi-index (IMI)", .way = REBUILD},
    {"ImRQ", .name = "a residual coarse quantizer", .way = REBUILD},
    {"Viqt", .name = "an ITQ transform, which makes bits", .way = BUILD},
    {"ilod", .name = "in a second file (OnDiskInvertedLists)",
     .way = "put them into one file: in Python copy each list into faiss.ArrayInvertedLists(nlist, code_size) by "
            "add_entries, then replace_invlists and write_index"},
};

const struct parse_kind *parse_find_kind(uint32_t fourcc)
{
    for (size_t i = 0; i < sizeof index_kinds / sizeof *index_kinds; i++)
        if (memcmp(index_kinds[i].fourcc, &fourcc, 4) == 0)
            return &index_kinds[i];
    return NULL;
}
