/* parse/index.c: parses a file from its first byte: wrappers, the index inside them, and the parts behind the
 * index.
 *
 *   file         = index
 *   index        = "IxPT" header transforms index
 *                | ("IxMp" | "IxM2") header index, vec i64 ids
 *                | "IxRF" header index, refinement
 *                | an inverted file's fourcc, ivf-header, codec, lists
 *                | ("IxF2" | "IxFI" | "IxFl" | "IxSQ"), flat
 *
 * The parser trusts no length: it checks that a part lies inside the file before it allocates or skips the part.
 * It keeps the source's window; one copy of the centroids, of the codec's tables and of the transforms' matrices;
 * 8 bytes for each list (16 for lists in blocks); and 8 bytes for each id of an id map.
 */
#include <inttypes.h>
#include <stdio.h>

#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"
#include "vector/pq.h"

static bool is_flat(uint32_t fourcc)
{
    return fourcc == FAISS_FLAT_L2 || fourcc == FAISS_FLAT_IP || fourcc == FAISS_FLAT_OLD || fourcc == FAISS_SQ;
}

static bool is_id_map(uint32_t fourcc)
{
    return fourcc == FAISS_ID_MAP || fourcc == FAISS_ID_MAP_2;
}

/* The wrappers around an index, and what they say about it. */
struct wrappers {
    struct index_header first;
    uint32_t kinds[PARSE_NESTING_MAX]; /* fourccs, the outermost wrapper first */
    unsigned count;
    bool id_map;
};

/* Adds a wrapper's `bytes` behind the index to tail_bytes. Errors: DP_CORRUPT (`fits` is false, or the file is too
 * short). */
static enum dp_status expect_tail(struct faiss_parser *p, const char *what, bool fits, uint64_t bytes,
                                  int64_t ntotal)
{
    if (!fits || __builtin_add_overflow(p->tail_bytes, bytes, &p->tail_bytes) ||
        p->tail_bytes > p->source.size - p->source.at)
        return source_fail(&p->source, DP_CORRUPT, "%s of %" PRId64 " vectors, in a file of %" PRIu64 " bytes",
                           what, ntotal, p->source.size);
    return DP_OK;
}

static enum dp_status begin_id_map(struct faiss_parser *p, const struct index_header *h, struct wrappers *w)
{
    uint64_t bytes;
    if (w->id_map)
        return source_fail(&p->source, DP_UNSUPPORTED, "an id map inside another; supported: one");
    if (p->ivf->refine.present)
        return source_fail(
            &p->source, DP_UNSUPPORTED,
            "an id map inside a refined index, where FAISS mistakes ids for numbers; supported: around it "
            "(IDMap,IVF…,RFlat)");
    w->id_map = true;
    bool fits = !__builtin_mul_overflow((uint64_t)h->ntotal, (uint64_t)8, &bytes) &&
                !__builtin_add_overflow(bytes, (uint64_t)8, &bytes);
    return expect_tail(p, "an id map", fits, bytes, h->ntotal);
}

static enum dp_status begin_refinement(struct faiss_parser *p, const struct index_header *h)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t bytes;
    if (ivf->refine.present)
        return source_fail(&p->source, DP_UNSUPPORTED, "a refined index inside another; supported: one");
    ivf->refine =
        (struct faiss_refinement){.present = true, .dim = ivf->codec.dim, .transforms = ivf->transform_count};
    bool fits = parse_refinement_bytes((uint64_t)h->ntotal, ivf->codec.dim, &bytes);
    return expect_tail(p, "a refinement", fits, bytes, h->ntotal);
}

static enum dp_status parse_wrapper(struct faiss_parser *p, uint32_t fourcc, struct wrappers *w)
{
    struct index_header h;
    enum dp_status status = parse_header(p, "a wrapper", 64, &h);
    if (status != DP_OK)
        return status;
    if (w->count == PARSE_NESTING_MAX)
        return source_fail(&p->source, DP_UNSUPPORTED, "indexes nested more than %d deep", PARSE_NESTING_MAX);
    w->kinds[w->count++] = fourcc;
    if (p->ivf->codec.dim == 0)
        p->ivf->codec.dim = (size_t)h.d;
    if (w->count == 1)
        w->first = h;
    if ((size_t)h.d != p->ivf->codec.dim || h.ntotal != w->first.ntotal || h.metric != w->first.metric)
        return source_fail(&p->source, DP_CORRUPT,
                           "a wrapper of %" PRId32 " dimensions, %" PRId64 " vectors and metric %" PRId32
                           " inside one of %zu, %" PRId64 " and %" PRId32,
                           h.d, h.ntotal, h.metric, p->ivf->codec.dim, w->first.ntotal, w->first.metric);
    if (fourcc == FAISS_PRE_TRANSFORM)
        return parse_transforms(p);
    return fourcc == FAISS_REFINE ? begin_refinement(p, &h) : begin_id_map(p, &h, w);
}

/* Reads the wrappers, up to the fourcc of the inverted file or the flat index inside them. */
static enum dp_status parse_wrappers(struct faiss_parser *p, struct wrappers *w)
{
    for (;;) {
        enum dp_status status = parse_u32(p, "its kind", PARSE_HEADER_BYTES + 16, &p->fourcc);
        if (status != DP_OK)
            return status;
        p->kind = parse_find_kind(p->fourcc);
        if (is_flat(p->fourcc) || (p->kind && p->kind->codec))
            return DP_OK;
        if (p->fourcc != FAISS_PRE_TRANSFORM && p->fourcc != FAISS_REFINE && !is_id_map(p->fourcc))
            return parse_refuse_file(p);
        status = parse_wrapper(p, p->fourcc, w);
        if (status != DP_OK)
            return status;
    }
}

/* Checks that the index has the dimension, vectors and metric that its wrappers say. */
static enum dp_status check_wrapped(struct faiss_parser *p, const struct wrappers *w, size_t dim)
{
    struct faiss_ivf *ivf = p->ivf;
    if (w->count == 0)
        ivf->dim_in = ivf->codec.dim;
    else if (ivf->codec.dim != dim || ivf->ntotal != (uint64_t)w->first.ntotal ||
             (int32_t)ivf->codec.metric != w->first.metric)
        return source_fail(&p->source, DP_CORRUPT,
                           "an index of %zu dimensions, %" PRIu64
                           " vectors and metric %d inside an index of %zu, %" PRId64 " and %" PRId32,
                           ivf->codec.dim, ivf->ntotal, (int)ivf->codec.metric, dim, w->first.ntotal,
                           w->first.metric);
    return DP_OK;
}

static enum dp_status parse_ivf(struct faiss_parser *p, const struct wrappers *w)
{
    struct faiss_ivf *ivf = p->ivf;
    size_t dim = ivf->codec.dim;
    enum dp_status status = parse_ivf_header(p);
    if (status == DP_OK)
        status = check_wrapped(p, w, dim);
    if (status == DP_OK)
        status = p->kind->codec(p);
    if (status == DP_OK)
        status = parse_lists(p);
    if (status == DP_OK && pq_has_constants(&ivf->codec)) {
        /* Scans will make one constant for each vector. */
        status = parse_reserve(p, "its lists' constants", ivf->listed, sizeof(float));
        if (status == DP_OK)
            status = parse_alloc(p, "its lists' constants", ivf->nlist, sizeof *ivf->constants, &ivf->constants);
    }
    return status;
}

static enum dp_status parse_core(struct faiss_parser *p, const struct wrappers *w)
{
    struct faiss_ivf *ivf = p->ivf;
    char text[FOURCC_TEXT_MAX];
    size_t dim = ivf->codec.dim;
    snprintf(ivf->fourcc, sizeof ivf->fourcc, "%s", parse_fourcc_text(p->fourcc, text));
    if (!is_flat(p->fourcc))
        return parse_ivf(p, w);
    enum dp_status status = parse_flat(p);
    return status == DP_OK ? check_wrapped(p, w, dim) : status;
}

static enum dp_status parse_id_map(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    uint64_t count;
    enum dp_status status = parse_count(p, "the id map", 8, 8 * ivf->ntotal, &count);
    if (status != DP_OK)
        return status;
    if (count != ivf->ntotal)
        return source_fail(&p->source, DP_CORRUPT, "an id map of %" PRIu64 " ids for %" PRIu64 " vectors", count,
                           ivf->ntotal);
    return parse_array(p, "the id map", count, 8, 0, &ivf->id_map);
}

static enum dp_status parse_all(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    struct wrappers w = {0};
    enum dp_status status = parse_wrappers(p, &w);
    if (status != DP_OK)
        return status;
    if (w.count > 0)
        ivf->dim_in = (size_t)w.first.d;
    status = parse_core(p, &w);
    /* Behind the index come the wrappers' parts, the innermost wrapper's first. */
    for (unsigned i = w.count; status == DP_OK && i-- > 0;)
        if (is_id_map(w.kinds[i]))
            status = parse_id_map(p);
        else if (w.kinds[i] == FAISS_REFINE)
            status = parse_refinement(p);
    return status;
}

enum dp_status parse_file(struct faiss_source *source, struct faiss_ivf *ivf)
{
    struct faiss_parser p = {.source = *source, .ivf = ivf};
    enum dp_status status = parse_all(&p);
    ivf->open_rounds = p.source.rounds;
    ivf->open_bytes = p.source.bytes;
    source_deinit(&p.source);
    return status;
}
