/* parse/flat.c: parses indexes without lists, and the flat part of a refined index.
 *
 *   IxF2, IxFI, IxFl   header, vec f32 vectors[ntotal][d]
 *   IxSQ               header, scalar quantizer (parse/codec.c), vec u8 codes[ntotal][code_size]
 *   refinement         IxF2, IxFI or IxFl, then f32 k_factor; follows the index that it refines
 *
 * The vectors stay in the file. Their numbers begin with 0. A search reads all vectors, piece by piece. Each piece
 * stands for a list.
 */
#include <inttypes.h>
#include <math.h>

#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"

enum { PIECE_BYTES = 8 << 20 };

/* Notes the place of the codes and skips them. The file counts elements of `size` bytes. All elements together
 * must have the bytes of ntotal codes. */
static enum dp_status pass_codes(struct faiss_parser *p, uint64_t size)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t count, code_size = ivf->codec.code_size, expected;
    enum dp_status status = parse_count(p, "its vectors", size, 0, &count);
    if (status != DP_OK)
        return status;
    if (__builtin_mul_overflow(ivf->ntotal, code_size, &expected) || count * size != expected)
        return source_fail(&p->source, DP_CORRUPT,
                           "the file should hold %" PRIu64 " vectors of %" PRIu64 " bytes, but has %" PRIu64
                           " bytes for them",
                           ivf->ntotal, code_size, count * size);
    ivf->flat = true;
    ivf->listed = ivf->ntotal;
    ivf->nprobe = 1;
    ivf->head_bytes = p->source.at;
    ivf->piece_rows = code_size < PIECE_BYTES ? PIECE_BYTES / code_size : 1;
    ivf->nlist = ivf->ntotal > 0 ? (ivf->ntotal - 1) / ivf->piece_rows + 1 : 1;
    if (ivf->nlist > UINT32_MAX)
        return source_fail(&p->source, DP_UNSUPPORTED, "%" PRIu64 " vectors of %" PRIu64 " bytes are too many",
                           ivf->ntotal, code_size);
    return source_skip(&p->source, "its vectors", expected);
}

enum dp_status parse_flat(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    struct index_header h;
    enum dp_status status = parse_header(p, "the index", 8, &h);
    if (status != DP_OK)
        return status;
    ivf->ntotal = (uint64_t)h.ntotal;
    ivf->codec.dim = (size_t)h.d;
    ivf->codec.metric = (enum vector_metric)h.metric;
    /* A file without vectors does not prove its dimension, and a query allocates memory even for an absurd
     * dimension. So bound the dimension. */
    if (ivf->ntotal == 0 && ivf->codec.dim > p->source.size)
        return source_fail(&p->source, DP_UNSUPPORTED, "it has %" PRId32 " dimensions, but no vectors", h.d);
    if (p->fourcc == FAISS_SQ) {
        status = parse_scalar_quantizer(p, 8);
        return status == DP_OK ? pass_codes(p, 1) : status;
    }
    status = parse_floats(p);
    return status == DP_OK ? pass_codes(p, sizeof(float)) : status;
}

/* ---- refinement ------------------------------------------------------------------------------------------ */

enum { REFINE_HEAD_BYTES = 4 + PARSE_HEADER_BYTES + 8, FACTOR_BYTES = 4 };

bool parse_refinement_bytes(uint64_t ntotal, uint64_t d, uint64_t *bytes)
{
    return !__builtin_mul_overflow(ntotal, 4 * d, bytes) &&
           !__builtin_add_overflow(*bytes, (uint64_t)REFINE_HEAD_BYTES + FACTOR_BYTES, bytes);
}

enum dp_status parse_refinement(struct faiss_parser *p)
{
    struct faiss_refinement *refine = &p->ivf->refine;
    struct index_header h;
    struct cursor c;
    uint64_t floats, expected;
    uint32_t fourcc;
    enum dp_status status = parse_u32(p, "the kind of its refinement", REFINE_HEAD_BYTES - 4, &fourcc);
    if (status != DP_OK)
        return status;
    if (fourcc != FAISS_FLAT_L2 && fourcc != FAISS_FLAT_IP && fourcc != FAISS_FLAT_OLD)
        return parse_refuse_part(p, "its refinement is", fourcc, "flat (IxF2, IxFI, IxFl), which ',RFlat' makes");
    status = parse_header(p, "the refinement", 8, &h);
    if (status == DP_OK)
        status = parse_count(p, "the refinement's vectors", sizeof(float), 0, &floats);
    if (status != DP_OK)
        return status;
    if ((size_t)h.d != refine->dim || (uint64_t)h.ntotal != p->ivf->ntotal ||
        h.metric != (int32_t)p->ivf->codec.metric ||
        __builtin_mul_overflow(p->ivf->ntotal, (uint64_t)refine->dim, &expected) || floats != expected)
        return source_fail(
            &p->source, DP_CORRUPT,
            "the refinement has %" PRId64 " vectors, %" PRId32 " dimensions, metric %" PRId32 " and %" PRIu64
            " floats; the index needs %" PRIu64 " vectors, %zu dimensions and metric %d",
            h.ntotal, h.d, h.metric, floats, p->ivf->ntotal, refine->dim, (int)p->ivf->codec.metric);
    refine->offset = p->source.at;
    status = source_skip(&p->source, "the refinement's vectors", 4 * floats);
    if (status == DP_OK)
        status = source_fields(&p->source, "the refinement's k_factor", FACTOR_BYTES, 0, &c);
    if (status != DP_OK)
        return status;
    refine->k_factor = cursor_f32(&c);
    if (isfinite(refine->k_factor) && refine->k_factor >= 0.0f)
        return DP_OK;
    return source_fail(&p->source, DP_CORRUPT, "the refinement has a k_factor of %g", (double)refine->k_factor);
}
