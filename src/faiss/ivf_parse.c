/* ivf_parse.c: the head of a FAISS inverted file, field by field (the grammar: ivf_write.c).
 *
 * Beyond what we write, files by FAISS have: the quantizer fourcc IxFl, direct maps (passed over), and sparse
 * list sizes: "sprs", u64 2 m, then m pairs of u64 (list, size), lists rising.
 *
 * No length is trusted: before anything is allocated or skipped, its bytes must lie inside the file. So what
 * is taken is at most 4 bytes for each byte of centroids (list offsets, at d = 1) beside a copy of them.
 */
#include "faiss/ivf_parse.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "faiss/format.h"

enum {
    DIRECT_MAP_BYTES = 9, /* when empty */
    SQ_BYTES = 45,        /* without the ranges */
    LISTS_BYTES = 32      /* without the sizes */
};

/* How a step of parsing ended. */
enum step { STEP_OK, STEP_MORE, STEP_FAILED };

struct parser {
    struct cursor c;
    uint64_t file_size;
    uint64_t need; /* of STEP_MORE: a prefix of this length */
    struct faiss_ivf *ivf;
    struct dp_error *error;
};

static enum step fail(struct parser *p, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum step fail(struct parser *p, enum dp_status status, const char *format, ...)
{
    char message[DP_ERROR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    dp_fail(p->error, status, "FAISS file: %s", message);
    return STEP_FAILED;
}

/* Whether the next `len` bytes are in the prefix. `after` is what is known to follow them: asked for too when
 * more is needed, so that it takes one read. */
static enum step want(struct parser *p, uint64_t len, uint64_t after)
{
    uint64_t end;
    if (__builtin_add_overflow((uint64_t)p->c.offset, len, &end) || end > p->file_size)
        return fail(p, DP_CORRUPT,
                    "it ends within its head: %" PRIu64 " bytes at offset %zu, in a file of %" PRIu64, len,
                    p->c.offset, p->file_size);
    if (len <= p->c.rest.len)
        return STEP_OK;
    p->need = p->file_size - end < after ? p->file_size : end + after;
    return STEP_MORE;
}

/* A fourcc for a message: unprintable bytes as \xNN. */
static const char *fourcc_text(uint32_t fourcc, char text[17])
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

/* ---- the index header, which the quantizer has too ---------------------------------------------------- */

struct header {
    int32_t d;
    int64_t ntotal;
    uint8_t is_trained;
    int32_t metric;
};

/* Reads what follows the fourcc. The bytes are there. */
static struct header read_header(struct cursor *c)
{
    struct header h;
    h.d = cursor_i32(c);
    h.ntotal = cursor_i64(c);
    cursor_i64(c);
    cursor_i64(c);
    h.is_trained = cursor_u8(c);
    h.metric = cursor_i32(c);
    return h;
}

static enum step check_header(struct parser *p, const struct header *h, const char *what)
{
    if (h->d < 1 || h->ntotal < 0 || h->is_trained > 1)
        return fail(p, DP_CORRUPT, "%s has d %" PRId32 ", ntotal %" PRId64 ", is_trained %u", what, h->d,
                    h->ntotal, h->is_trained);
    if (!h->is_trained)
        return fail(p, DP_UNSUPPORTED, "%s is not trained", what);
    if (h->metric != VECTOR_INNER_PRODUCT && h->metric != VECTOR_L2)
        return fail(p, DP_UNSUPPORTED, "%s has metric %" PRId32 "; supported: 0 (inner product), 1 (L2)", what,
                    h->metric);
    return STEP_OK;
}

/* ---- the parts in their order -------------------------------------------------------------------------- */

static enum step parse_start(struct parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    char text[17];
    enum step step = want(p, 4, 0);
    if (step != STEP_OK)
        return step;
    uint32_t fourcc = cursor_u32(&p->c);
    if (fourcc != FAISS_IVF_FLAT && fourcc != FAISS_IVF_SQ)
        return fail(p, DP_UNSUPPORTED,
                    "it is of kind '%s'; supported: IwFl (IVF, Flat) and IwSq (IVF, SQ8) with a flat quantizer",
                    fourcc_text(fourcc, text));
    memcpy(ivf->fourcc, fourcc_text(fourcc, text), sizeof ivf->fourcc);
    if ((step = want(p, FAISS_HEADER_BYTES - 4 + 16, FAISS_HEADER_BYTES + 8)) != STEP_OK)
        return step;
    struct header h = read_header(&p->c);
    if ((step = check_header(p, &h, "the index")) != STEP_OK)
        return step;
    ivf->nlist = cursor_u64(&p->c);
    ivf->nprobe = cursor_u64(&p->c);
    ivf->ntotal = (uint64_t)h.ntotal;
    size_t dim = (size_t)h.d;
    bool flat = fourcc == FAISS_IVF_FLAT;
    ivf->codec = (struct ivf_codec){.kind = flat ? IVF_FLAT : IVF_SQ8,
                                    .metric = (enum vector_metric)h.metric,
                                    .dim = dim,
                                    .code_size = flat ? dim * sizeof(float) : dim};
    return STEP_OK;
}

/* What follows some part when there is no direct map and sizes are full, so that one more read takes it all.
 * nlist has been checked by then. */
static uint64_t bytes_of_lists(const struct faiss_ivf *ivf)
{
    return LISTS_BYTES + 8 * ivf->nlist;
}
static uint64_t bytes_after_direct_map(const struct faiss_ivf *ivf)
{
    uint64_t sq = ivf->codec.kind == IVF_SQ8 ? SQ_BYTES + 8 * (uint64_t)ivf->codec.dim : 0;
    return sq + bytes_of_lists(ivf);
}

static enum step parse_quantizer(struct parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    char text[17];
    enum step step = want(p, FAISS_HEADER_BYTES + 8, 0);
    if (step != STEP_OK)
        return step;
    uint32_t fourcc = cursor_u32(&p->c);
    if (fourcc != FAISS_FLAT_L2 && fourcc != FAISS_FLAT_IP && fourcc != FAISS_FLAT_OLD)
        return fail(p, DP_UNSUPPORTED, "its quantizer is of kind '%s'; supported: IxF2, IxFI, IxFl (flat)",
                    fourcc_text(fourcc, text));
    struct header h = read_header(&p->c);
    if ((step = check_header(p, &h, "the quantizer")) != STEP_OK)
        return step;
    uint64_t floats = cursor_u64(&p->c), expected, bytes;
    if (ivf->nlist < 1 || ivf->nlist > UINT32_MAX || (size_t)h.d != ivf->codec.dim ||
        (uint64_t)h.ntotal != ivf->nlist ||
        __builtin_mul_overflow(ivf->nlist, (uint64_t)ivf->codec.dim, &expected) || floats != expected ||
        __builtin_mul_overflow(floats, (uint64_t)sizeof(float), &bytes))
        return fail(p, DP_CORRUPT,
                    "%" PRIu64 " lists of %zu dimensions, but a quantizer of %" PRId64 " centroids, %" PRId32
                    " dimensions and %" PRIu64 " floats",
                    ivf->nlist, ivf->codec.dim, h.ntotal, h.d, floats);
    ivf->quantizer_metric = fourcc == FAISS_FLAT_L2   ? VECTOR_L2
                            : fourcc == FAISS_FLAT_IP ? VECTOR_INNER_PRODUCT
                                                      : (enum vector_metric)h.metric;
    if ((step = want(p, bytes, DIRECT_MAP_BYTES + bytes_after_direct_map(ivf))) != STEP_OK)
        return step;
    ivf->centroids = mem_aligned_alloc(64, (size_t)bytes);
    if (ivf->centroids == NULL) {
        dp_fail_nomem(p->error, "the centroids of a FAISS file");
        return STEP_FAILED;
    }
    memcpy(ivf->centroids, cursor_bytes(&p->c, bytes).data, (size_t)bytes);
    return STEP_OK;
}

/* Passes over a vector of `size`-byte elements. */
static enum step skip_vector(struct parser *p, uint64_t size, uint64_t after)
{
    enum step step = want(p, 8, after);
    if (step != STEP_OK)
        return step;
    uint64_t count = cursor_u64(&p->c), bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return fail(p, DP_CORRUPT, "a direct map of %" PRIu64 " entries", count);
    if ((step = want(p, bytes, after)) == STEP_OK)
        cursor_bytes(&p->c, bytes);
    return step;
}

static enum step parse_direct_map(struct parser *p)
{
    uint64_t after = bytes_after_direct_map(p->ivf);
    enum step step = want(p, 1, 8 + after);
    if (step != STEP_OK)
        return step;
    uint8_t type = cursor_u8(&p->c);
    if (type > 2)
        return fail(p, DP_CORRUPT, "a direct map of type %u", type);
    if ((step = skip_vector(p, 8, after)) == STEP_OK && type == 2)
        step = skip_vector(p, 16, after);
    return step;
}

static enum step parse_scalar_quantizer(struct parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t d = ivf->codec.dim;
    enum step step = want(p, SQ_BYTES - 9, 8 * d + 9 + bytes_of_lists(ivf));
    if (step != STEP_OK)
        return step;
    int32_t qtype = cursor_i32(&p->c);
    cursor_i32(&p->c); /* how the ranges were found: no matter now */
    cursor_f32(&p->c);
    uint64_t sq_d = cursor_u64(&p->c), sq_code_size = cursor_u64(&p->c), trained = cursor_u64(&p->c);
    if (qtype != FAISS_QT_8BIT)
        return fail(p, DP_UNSUPPORTED, "a scalar quantizer of type %" PRId32 "; supported: 0 (SQ8)", qtype);
    if (sq_d != d || sq_code_size != d || trained != 2 * d)
        return fail(p, DP_CORRUPT,
                    "SQ8 of %" PRIu64 " dimensions with %" PRIu64 "-byte codes and %" PRIu64
                    " trained values, in an index of %" PRIu64,
                    sq_d, sq_code_size, trained, d);
    if ((step = want(p, 8 * d + 9, bytes_of_lists(ivf))) != STEP_OK)
        return step;
    if ((ivf->trained = mem_alloc((size_t)(8 * d))) == NULL) {
        dp_fail_nomem(p->error, "the ranges of a FAISS file");
        return STEP_FAILED;
    }
    memcpy(ivf->trained, cursor_bytes(&p->c, 8 * d).data, (size_t)(8 * d));
    ivf->codec.trained = ivf->trained;
    uint64_t code_size = cursor_u64(&p->c);
    uint8_t by_residual = cursor_u8(&p->c);
    if (code_size != d || by_residual > 1)
        return fail(p, DP_CORRUPT, "SQ8 codes of %" PRIu64 " bytes for %" PRIu64 " dimensions, by_residual %u",
                    code_size, d, by_residual);
    ivf->codec.by_residual = by_residual == 1;
    return STEP_OK;
}

/* Puts the sizes of the lists, as they lie in the file, into list_offset[list + 1]. */
static enum step read_sizes(struct parser *p, struct span sizes, bool sparse)
{
    struct faiss_ivf *ivf = p->ivf;
    struct cursor c = cursor_over(sizes);
    if (!sparse) {
        memcpy(ivf->list_offset + 1, sizes.data, sizes.len);
        return STEP_OK;
    }
    uint64_t least = 0;
    for (uint64_t pair = 0; pair < sizes.len / 16; pair++) {
        uint64_t list = cursor_u64(&c), size = cursor_u64(&c);
        if (list < least || list >= ivf->nlist)
            return fail(p, DP_CORRUPT,
                        "sparse sizes name list %" PRIu64 " where %" PRIu64 " to %" PRIu64 " may come", list,
                        least, ivf->nlist - 1);
        ivf->list_offset[list + 1] = size;
        least = list + 1;
    }
    return STEP_OK;
}

/* Turns sizes into offsets. Every list must lie inside the file. */
static enum step place_lists(struct parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t entry = (uint64_t)ivf->codec.code_size + 8, at = p->c.offset, total = 0;
    ivf->head_bytes = at;
    ivf->list_offset[0] = at;
    for (uint64_t l = 0; l < ivf->nlist; l++) {
        uint64_t size = ivf->list_offset[l + 1];
        if (size > (p->file_size - at) / entry)
            return fail(p, DP_CORRUPT,
                        "list %" PRIu64 " of %" PRIu64 " vectors reaches beyond the file's %" PRIu64 " bytes", l,
                        size, p->file_size);
        at += size * entry;
        total += size;
        ivf->list_offset[l + 1] = at;
    }
    if (total != ivf->ntotal)
        return fail(p, DP_CORRUPT, "its lists hold %" PRIu64 " vectors, its header says %" PRIu64, total,
                    ivf->ntotal);
    return STEP_OK;
}

static enum step parse_lists(struct parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    char text[17];
    enum step step = want(p, 4, bytes_of_lists(ivf) - 4);
    if (step != STEP_OK)
        return step;
    uint32_t fourcc = cursor_u32(&p->c);
    if (fourcc != FAISS_LISTS_ARRAY)
        return fail(p, DP_UNSUPPORTED, "its lists are of kind '%s'; supported: ilar (arrays)",
                    fourcc_text(fourcc, text));
    if ((step = want(p, LISTS_BYTES - 4, 8 * ivf->nlist)) != STEP_OK)
        return step;
    uint64_t nlist = cursor_u64(&p->c), code_size = cursor_u64(&p->c);
    uint32_t kind = cursor_u32(&p->c);
    uint64_t count = cursor_u64(&p->c);
    if (kind != FAISS_SIZES_FULL && kind != FAISS_SIZES_SPARSE)
        return fail(p, DP_UNSUPPORTED, "its list sizes are of kind '%s'; supported: full, sprs",
                    fourcc_text(kind, text));
    bool sparse = kind == FAISS_SIZES_SPARSE;
    if (nlist != ivf->nlist || code_size != ivf->codec.code_size ||
        (sparse ? count % 2 != 0 || count / 2 > nlist : count != nlist))
        return fail(p, DP_CORRUPT,
                    "%" PRIu64 " lists of %" PRIu64 "-byte codes and %" PRIu64 " sizes, in an index of %" PRIu64
                    " lists of %zu-byte codes",
                    nlist, code_size, count, ivf->nlist, ivf->codec.code_size);
    if ((step = want(p, 8 * count, 0)) != STEP_OK)
        return step;
    if ((ivf->list_offset = mem_calloc((size_t)nlist + 1, sizeof *ivf->list_offset)) == NULL) {
        dp_fail_nomem(p->error, "the lists of a FAISS file");
        return STEP_FAILED;
    }
    step = read_sizes(p, cursor_bytes(&p->c, 8 * count), sparse);
    return step == STEP_OK ? place_lists(p) : step;
}

enum dp_status faiss_ivf_parse(struct span prefix, uint64_t file_size, struct faiss_ivf **out, uint64_t *need,
                               struct dp_error *error)
{
    struct dp_error unheard;
    *out = NULL;
    *need = 0;
    struct faiss_ivf *ivf = mem_calloc(1, sizeof *ivf);
    if (ivf == NULL)
        return dp_fail_nomem(error, "a FAISS file");
    struct parser p = {cursor_over(prefix), file_size, 0, ivf, error != NULL ? error : &unheard};
    ivf->file_bytes = file_size;
    enum step step = parse_start(&p);
    if (step == STEP_OK)
        step = parse_quantizer(&p);
    if (step == STEP_OK)
        step = parse_direct_map(&p);
    if (step == STEP_OK && ivf->codec.kind == IVF_SQ8)
        step = parse_scalar_quantizer(&p);
    if (step == STEP_OK)
        step = parse_lists(&p);
    if (step == STEP_OK) {
        *out = ivf;
        return DP_OK;
    }
    faiss_ivf_free(ivf);
    *need = p.need;
    return step == STEP_MORE ? DP_OK : p.error->status;
}
