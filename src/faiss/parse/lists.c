/* parse/lists.c: parses the places and sizes of the inverted lists.
 *
 *   arrays   "ilar", u64 nlist, u64 code_size,
 *            ("full", vec u64 sizes | "sprs", vec u64 (list, size) pairs, in ascending order of lists);
 *            then for each list: its codes, its ids as i64
 *   blocks   "ilbl", u64 nlist, u64 2^64 - 1, u64 rows of a block, u64 bytes of a block;
 *            then for each list: vec i64 ids, vec u8 codes
 *
 * Lists may hold fewer vectors than the header counts: FAISS counts a vector with a NaN (with L2, also one with an
 * infinity), but puts it into no list. It is an error if lists hold more vectors than the header counts.
 *
 * The sizes of array lists stand together. Those of block lists lie between the lists, so the parser walks over
 * the lists once, window by window. It keeps only the sizes and offsets, and jumps over a list that is longer
 * than the window.
 */
#include <inttypes.h>

#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"

enum { ARRAY_BYTES = 28, BLOCK_BYTES = 32, SPARSE_PAIRS_A_STEP = SOURCE_FIELDS_MAX / 16, WALK_BYTES = 4 << 20 };

uint64_t parse_lists_ahead(const struct faiss_parser *p)
{
    return p->kind->blocks ? 4 + BLOCK_BYTES : 4 + ARRAY_BYTES + 8 * p->ivf->nlist;
}

static enum dp_status make_offsets(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    return parse_alloc(p, "the places of its lists", ivf->nlist + 1, sizeof *ivf->list_offset, &ivf->list_offset);
}

static enum dp_status take_total(struct faiss_parser *p, uint64_t total)
{
    p->ivf->listed = total;
    if (total <= p->ivf->ntotal)
        return DP_OK;
    return source_fail(&p->source, DP_CORRUPT, "its lists hold %" PRIu64 " vectors, its header counts %" PRIu64,
                       total, p->ivf->ntotal);
}

/* ---- arrays -------------------------------------------------------------------------------------------- */

/* Reads each pair's size into list_offset[list + 1]. */
static enum dp_status read_sparse_sizes(struct faiss_parser *p, uint64_t pairs)
{
    struct faiss_ivf *ivf = p->ivf;
    struct cursor c = {0};
    uint64_t least = 0;
    for (uint64_t done = 0; done < pairs;) {
        uint64_t step = pairs - done < SPARSE_PAIRS_A_STEP ? pairs - done : SPARSE_PAIRS_A_STEP;
        enum dp_status status =
            source_fields(&p->source, "the list sizes", (size_t)step * 16, (pairs - done - step) * 16, &c);
        if (status != DP_OK)
            return status;
        for (uint64_t i = 0; i < step; i++) {
            uint64_t list = cursor_u64(&c), size = cursor_u64(&c);
            if (list < least || list >= ivf->nlist)
                return source_fail(&p->source, DP_CORRUPT,
                                   "sparse sizes name list %" PRIu64 " where %" PRIu64 " to %" PRIu64
                                   " are allowed",
                                   list, least, ivf->nlist - 1);
            ivf->list_offset[list + 1] = size;
            least = list + 1;
        }
        done += step;
    }
    return DP_OK;
}

/* Turns sizes into offsets, and checks that every list lies inside the file. */
static enum dp_status place_lists(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t entry = (uint64_t)ivf->codec.code_size + 8, at = p->source.at, end = p->source.size, total = 0;
    ivf->head_bytes = at;
    ivf->list_offset[0] = at;
    for (uint64_t l = 0; l < ivf->nlist; l++) {
        uint64_t size = ivf->list_offset[l + 1];
        if (size > (end - at) / entry)
            return source_fail(&p->source, DP_CORRUPT,
                               "list %" PRIu64 " of %" PRIu64 " vectors reaches beyond the file's %" PRIu64
                               " bytes",
                               l, size, end);
        at += size * entry;
        total += size;
        ivf->list_offset[l + 1] = at;
    }
    p->source.at = at;
    return take_total(p, total);
}

static enum dp_status parse_arrays(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    char text[FOURCC_TEXT_MAX];
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "the lists", ARRAY_BYTES, 8 * ivf->nlist, &c);
    if (status != DP_OK)
        return status;
    uint64_t nlist = cursor_u64(&c), code_size = cursor_u64(&c);
    uint32_t kind = cursor_u32(&c);
    uint64_t count = cursor_u64(&c);
    bool sparse = kind == FAISS_SIZES_SPARSE;
    if (kind != FAISS_SIZES_FULL && !sparse)
        return source_fail(&p->source, DP_UNSUPPORTED, "its list sizes are of kind '%s'; supported: full, sprs",
                           parse_fourcc_text(kind, text));
    if (ivf->codec.block_rows > 0)
        return source_fail(&p->source, DP_CORRUPT, "an index of kind '%s' has array lists, not blocks",
                           ivf->fourcc);
    if (nlist != ivf->nlist || code_size != ivf->codec.code_size ||
        (sparse ? count % 2 != 0 || count / 2 > nlist : count != nlist))
        return source_fail(&p->source, DP_CORRUPT,
                           "%" PRIu64 " lists of %" PRIu64 "-byte codes and %" PRIu64
                           " sizes, in an index of %" PRIu64 " lists of %zu-byte codes",
                           nlist, code_size, count, ivf->nlist, ivf->codec.code_size);
    status = source_check(&p->source, "the list sizes", 8 * count);
    if (status == DP_OK)
        status = make_offsets(p);
    if (status == DP_OK)
        status = sparse ? read_sparse_sizes(p, count / 2)
                        : source_copy(&p->source, "the list sizes", ivf->list_offset + 1, 8 * count, 0);
    return status == DP_OK ? place_lists(p) : status;
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

static enum dp_status walk_list(struct faiss_parser *p, uint64_t list, uint64_t *size)
{
    struct faiss_ivf *ivf = p->ivf;
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "a list's size", 8, WALK_BYTES, &c);
    if (status != DP_OK)
        return status;
    *size = cursor_u64(&c);
    ivf->list_offset[list] = p->source.at;
    const uint64_t left = p->source.size - p->source.at;
    const bool ids_fit = *size <= left / 8;
    const uint64_t codes = ids_fit ? ivf_codec_list_bytes(&ivf->codec, *size) : 0;
    if (!ids_fit || codes > left)
        return source_fail(&p->source, DP_CORRUPT,
                           "list %" PRIu64 " of %" PRIu64 " vectors reaches beyond the file's %" PRIu64 " bytes",
                           list, *size, p->source.size);
    /* A scan checks the length of the codes, which lies between ids and codes. */
    return source_skip(&p->source, "a list", *size * 8 + 8 + codes);
}

static enum dp_status parse_blocks(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    struct cursor c;
    uint64_t total = 0;
    enum dp_status status = source_fields(&p->source, "the lists", BLOCK_BYTES, WALK_BYTES, &c);
    if (status != DP_OK)
        return status;
    uint64_t nlist = cursor_u64(&c);
    cursor_u64(&c); /* skip 2^64 - 1, which stands for the code size */
    uint64_t rows = cursor_u64(&c), bytes = cursor_u64(&c);
    if (ivf->codec.block_rows == 0)
        return source_fail(&p->source, DP_CORRUPT, "an index of kind '%s' has block lists, not arrays",
                           ivf->fourcc);
    if (nlist != ivf->nlist || rows != ivf->codec.block_rows || bytes != ivf->codec.block_bytes)
        return source_fail(&p->source, DP_CORRUPT,
                           "%" PRIu64 " lists in blocks of %" PRIu64 " vectors and %" PRIu64
                           " bytes, in an index of %" PRIu64 " lists, %zu vectors, %zu bytes",
                           nlist, rows, bytes, ivf->nlist, ivf->codec.block_rows, ivf->codec.block_bytes);
    ivf->head_bytes = p->source.at;
    status = source_check(&p->source, "the lists", 16 * nlist);
    if (status == DP_OK)
        status = make_offsets(p);
    if (status == DP_OK)
        status = parse_alloc(p, "the sizes of its lists", nlist, sizeof *ivf->list_size, &ivf->list_size);
    for (uint64_t l = 0; status == DP_OK && l < nlist; l++) {
        status = walk_list(p, l, &ivf->list_size[l]);
        total += ivf->list_size[l];
    }
    if (status != DP_OK)
        return status;
    ivf->list_offset[nlist] = p->source.at;
    return take_total(p, total);
}

enum dp_status parse_lists(struct faiss_parser *p)
{
    uint32_t fourcc;
    enum dp_status status = parse_u32(p, "the kind of its lists", parse_lists_ahead(p) - 4, &fourcc);
    if (status != DP_OK)
        return status;
    if (fourcc == FAISS_LISTS_ARRAY)
        return parse_arrays(p);
    if (fourcc == FAISS_LISTS_BLOCK)
        return parse_blocks(p);
    return parse_refuse_part(p, "its lists are", fourcc, "arrays (ilar), blocks (ilbl)");
}
