/* parse/header.c: parses the header of any index, and an inverted file's header with its quantizer and direct map.
 *
 *   header      = i32 d, i64 ntotal, 2 × i64, u8 is_trained, i32 metric
 *   ivf-header  = header, u64 nlist, u64 nprobe, quantizer, direct-map
 *   quantizer   = ("IxF2" | "IxFI" | "IxFl") header, u64 nlist * d, f32 centroids[nlist][d]
 *               | "IHNf" header, vec f64, vec i32, vec i32 levels[nlist], vec u64 offsets[nlist + 1],
 *                 vec i32 neighbours, 5 × i32, quantizer (flat)
 *   direct-map  = u8 type, vec i64; type 2: vec (i64, i64)
 *
 * The parser skips the graph of an HNSW quantizer: a search compares its query with all centroids.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"

enum { DIRECT_MAP_BYTES = 9 /* bytes of an empty direct map */ };

const char *parse_fourcc_text(uint32_t fourcc, char text[FOURCC_TEXT_MAX])
{
    char *to = text;
    for (int i = 0; i < 4; i++) {
        unsigned char byte = (unsigned char)(fourcc >> (8 * i));
        if (isprint(byte) && byte != '\'')
            *to++ = (char)byte;
        else
            to += snprintf(to, 5, "\\x%02x", byte);
    }
    *to = '\0';
    return text;
}

enum dp_status parse_u32(struct faiss_parser *p, const char *what, uint64_t ahead, uint32_t *out)
{
    struct cursor c;
    enum dp_status status = source_fields(&p->source, what, 4, ahead, &c);
    if (status == DP_OK)
        *out = cursor_u32(&c);
    return status;
}

enum dp_status parse_count(struct faiss_parser *p, const char *what, uint64_t size, uint64_t ahead,
                           uint64_t *count)
{
    struct cursor c;
    uint64_t bytes;
    enum dp_status status = source_fields(&p->source, what, 8, ahead, &c);
    if (status != DP_OK)
        return status;
    *count = cursor_u64(&c);
    if (__builtin_mul_overflow(*count, size, &bytes) || bytes > p->source.size)
        return source_fail(&p->source, DP_CORRUPT, "%s has %" PRIu64 " entries, in a file of %" PRIu64 " bytes",
                           what, *count, p->source.size);
    return source_check(&p->source, what, bytes);
}

enum dp_status parse_reserve(struct faiss_parser *p, const char *what, uint64_t count, size_t size)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t bytes;
    if (__builtin_mul_overflow(count, (uint64_t)size, &bytes))
        return dp_fail_nomem(p->source.error, what);
    if (ivf->memory && !faiss_head_memory_take(ivf->memory, bytes))
        return source_fail(&p->source, DP_TOO_LARGE,
                           "%s of %" PRIu64 " bytes and what is open already exceed the %" PRIu64
                           " bytes of memory that are set aside for open files",
                           what, bytes, ivf->memory->max);
    ivf->memory_bytes += bytes;
    return DP_OK;
}

enum dp_status parse_alloc(struct faiss_parser *p, const char *what, uint64_t count, size_t size, void *out)
{
    void **array = out;
    enum dp_status status = parse_reserve(p, what, count, size);
    if (status != DP_OK)
        return status;
    *array = mem_calloc((size_t)count, size);
    return *array ? DP_OK : dp_fail_nomem(p->source.error, what);
}

enum dp_status parse_array(struct faiss_parser *p, const char *what, uint64_t count, size_t size, uint64_t ahead,
                           void *out)
{
    uint64_t bytes;
    void **array = out;
    if (__builtin_mul_overflow(count, (uint64_t)size, &bytes))
        return source_fail(&p->source, DP_CORRUPT, "%s has %" PRIu64 " entries", what, count);
    enum dp_status status = source_check(&p->source, what, bytes);
    if (status != DP_OK)
        return status;
    status = parse_alloc(p, what, count, size, array);
    if (status != DP_OK)
        return status;
    return source_copy(&p->source, what, *array, bytes, ahead);
}

enum dp_status parse_header(struct faiss_parser *p, const char *what, uint64_t ahead, struct index_header *out)
{
    struct cursor c;
    enum dp_status status = source_fields(&p->source, what, PARSE_HEADER_BYTES, ahead, &c);
    if (status != DP_OK)
        return status;
    out->d = cursor_i32(&c);
    out->ntotal = cursor_i64(&c);
    cursor_i64(&c);
    cursor_i64(&c);
    uint8_t is_trained = cursor_u8(&c);
    out->metric = cursor_i32(&c);
    if (out->d < 1 || out->ntotal < 0 || is_trained > 1)
        return source_fail(&p->source, DP_CORRUPT, "%s has d %" PRId32 ", ntotal %" PRId64 ", is_trained %u", what,
                           out->d, out->ntotal, is_trained);
    if (!is_trained)
        return source_fail(&p->source, DP_UNSUPPORTED,
                           "%s is not trained: train it and add vectors in FAISS first", what);
    if (out->metric != VECTOR_INNER_PRODUCT && out->metric != VECTOR_L2)
        return source_fail(&p->source, DP_UNSUPPORTED,
                           "%s has metric %" PRId32
                           " (%s); supported: 1 (L2), 0 (inner product, which is cosine for vectors "
                           "of length 1)",
                           what, out->metric, parse_metric_name(out->metric));
    return DP_OK;
}

/* ---- the quantizer ------------------------------------------------------------------------------------- */

/* Returns how many bytes follow the centroids up to the list data, if the direct map is empty. */
static uint64_t after_centroids(const struct faiss_parser *p)
{
    return DIRECT_MAP_BYTES + parse_codec_ahead(p) + parse_lists_ahead(p);
}

static enum dp_status check_quantizer(struct faiss_parser *p, const struct index_header *h)
{
    const struct faiss_ivf *ivf = p->ivf;
    if (ivf->nlist < 1 || ivf->nlist > UINT32_MAX || (size_t)h->d != ivf->codec.dim ||
        (uint64_t)h->ntotal != ivf->nlist)
        return source_fail(&p->source, DP_CORRUPT,
                           "%" PRIu64 " lists of %zu dimensions have a quantizer of %" PRId64
                           " centroids of %" PRId32 " dimensions",
                           ivf->nlist, ivf->codec.dim, h->ntotal, h->d);
    return DP_OK;
}

static enum dp_status parse_flat_quantizer(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    struct index_header h;
    struct cursor c;
    uint64_t expected, floats;
    enum dp_status status = parse_header(p, "the quantizer", 8, &h);
    if (status == DP_OK)
        status = check_quantizer(p, &h);
    if (status == DP_OK)
        status = source_fields(&p->source, "the number of centroids", 8, 0, &c);
    if (status != DP_OK)
        return status;
    floats = cursor_u64(&c);
    if (__builtin_mul_overflow(ivf->nlist, (uint64_t)ivf->codec.dim, &expected) || floats != expected)
        return source_fail(&p->source, DP_CORRUPT,
                           "%" PRIu64 " centroids of %zu dimensions have %" PRIu64 " floats", ivf->nlist,
                           ivf->codec.dim, floats);
    ivf->quantizer_metric = (enum vector_metric)h.metric;
    status = parse_array(p, "the centroids", floats, sizeof(float), after_centroids(p), &ivf->centroids);
    if (status != DP_OK)
        return status;
    return DP_OK;
}

/* Skips a vec, whose elements have `size` bytes. expected: the required number of elements; UINT64_MAX: any. */
static enum dp_status skip_vector(struct faiss_parser *p, const char *what, uint64_t size, uint64_t expected,
                                  uint64_t ahead)
{
    uint64_t count;
    enum dp_status status = parse_count(p, what, size, ahead, &count);
    if (status != DP_OK)
        return status;
    if (expected != UINT64_MAX && count != expected)
        return source_fail(&p->source, DP_CORRUPT, "%s has %" PRIu64 " entries, not %" PRIu64, what, count,
                           expected);
    return source_skip(&p->source, what, count * size);
}

static enum dp_status parse_hnsw_graph(struct faiss_parser *p)
{
    struct index_header h;
    struct cursor c;
    uint64_t nlist = p->ivf->nlist;
    enum dp_status status = parse_header(p, "the HNSW quantizer", 1024 + 12 * nlist, &h);
    if (status == DP_OK)
        status = check_quantizer(p, &h);
    if (status == DP_OK)
        status = skip_vector(p, "the HNSW level probabilities", 8, UINT64_MAX, 1024 + 12 * nlist);
    if (status == DP_OK)
        status = skip_vector(p, "the HNSW neighbours per level", 4, UINT64_MAX, 1024 + 12 * nlist);
    if (status == DP_OK)
        status = skip_vector(p, "the HNSW levels", 4, nlist, 24 + 12 * nlist);
    if (status == DP_OK)
        status = skip_vector(p, "the HNSW offsets", 8, nlist + 1, 16 + 8 * nlist);
    if (status == DP_OK)
        status = skip_vector(p, "the HNSW neighbours", 4, UINT64_MAX, 0);
    if (status == DP_OK)
        status = source_fields(&p->source, "the HNSW parameters", 20,
                               /* the storage's fourcc, header and count */ 45 + after_centroids(p), &c);
    return status;
}

static enum dp_status parse_quantizer(struct faiss_parser *p)
{
    uint32_t fourcc;
    enum dp_status status = parse_u32(p, "the quantizer's kind", PARSE_HEADER_BYTES + 8, &fourcc);
    if (status == DP_OK && fourcc == FAISS_HNSW_FLAT) {
        p->ivf->hnsw = true;
        status = parse_hnsw_graph(p);
        if (status == DP_OK)
            status = parse_u32(p, "the kind of the HNSW quantizer's storage", PARSE_HEADER_BYTES + 8, &fourcc);
    }
    if (status != DP_OK)
        return status;
    if (fourcc != FAISS_FLAT_L2 && fourcc != FAISS_FLAT_IP && fourcc != FAISS_FLAT_OLD)
        return parse_refuse_part(p, "its quantizer is", fourcc, "flat (IxF2, IxFI, IxFl), HNSW over flat (IHNf)");
    return parse_flat_quantizer(p);
}

/* ---- the direct map: the parser skips it --------------------------------------------------------------- */

static enum dp_status parse_direct_map(struct faiss_parser *p)
{
    uint64_t after = parse_codec_ahead(p) + parse_lists_ahead(p);
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "the direct map", 1, 8 + after, &c);
    if (status != DP_OK)
        return status;
    uint8_t type = cursor_u8(&c);
    if (type > 2)
        return source_fail(&p->source, DP_CORRUPT, "a direct map of type %u", type);
    status = skip_vector(p, "the direct map", 8, UINT64_MAX, after);
    if (status == DP_OK && type == 2)
        status = skip_vector(p, "the direct map's table", 16, UINT64_MAX, after);
    return status;
}

enum dp_status parse_ivf_header(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    struct index_header h;
    struct cursor c;
    enum dp_status status = parse_header(p, "the index", 16 + FAISS_HEADER_BYTES + 8, &h);
    if (status == DP_OK)
        status = source_fields(&p->source, "the number of lists", 16, FAISS_HEADER_BYTES + 8, &c);
    if (status != DP_OK)
        return status;
    ivf->nlist = cursor_u64(&c);
    ivf->nprobe = cursor_u64(&c);
    ivf->ntotal = (uint64_t)h.ntotal;
    ivf->codec.dim = (size_t)h.d;
    ivf->codec.metric = (enum vector_metric)h.metric;
    if (ivf->nlist > p->source.size / 4)
        return source_fail(&p->source, DP_CORRUPT, "it has %" PRIu64 " lists, in a file of %" PRIu64 " bytes",
                           ivf->nlist, p->source.size);
    status = parse_quantizer(p);
    return status == DP_OK ? parse_direct_map(p) : status;
}
