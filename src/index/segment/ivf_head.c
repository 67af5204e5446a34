/* ivf_head.c: packs the head of an .ivf object into section CENT, and makes it again from the section. */
#include "index/segment/ivf_head.h"

#include "base/alloc.h"
#include "base/checksum.h"

enum { FORM_LEN = 1 };
enum head_form { HEAD_WHOLE, HEAD_CODED };

/* Returns the bytes of the coded form; 0 when they are too many for a section. */
static uint64_t coded_len(uint64_t nlist, uint64_t dim)
{
    const uint64_t codes_max = SEGMENT_HOT_MAX;
    if (dim > codes_max || nlist > codes_max || nlist * dim > codes_max)
        return 0;
    return FORM_LEN + 4 * dim * sizeof(float) + nlist * sizeof(uint32_t) + nlist * dim;
}

static enum dp_status append_head(struct call *call, void *context, struct span bytes)
{
    struct buffer *out = context;
    buffer_append(out, bytes);
    return buffer_check(out, "the centroids of a segment", &call->error);
}

static enum dp_status put_head(struct call *call, const struct faiss_ivf_spec *spec, struct buffer *out)
{
    struct faiss_ivf_writer writer;
    return faiss_ivf_write_begin(call, &writer, spec, (struct faiss_sink){append_head, out});
}

enum dp_status ivf_head_pack(struct call *call, const struct faiss_ivf_spec *spec,
                             const struct centroid_codes *centroids, struct buffer *out)
{
    const size_t floats = centroids->dim * sizeof(float);
    uint64_t coded = coded_len(spec->nlist, spec->codec.dim);
    if (coded == 0 || coded >= FORM_LEN + faiss_ivf_head_bytes(spec)) {
        buffer_u8(out, HEAD_WHOLE);
        return put_head(call, spec, out);
    }
    buffer_u8(out, HEAD_CODED);
    buffer_append(out, span_of(centroids->least, floats));
    buffer_append(out, span_of(centroids->step, floats));
    buffer_append(out, span_of(spec->codec.trained, 2 * floats));
    for (size_t i = 0; i < spec->nlist; i++)
        buffer_u32(out, (uint32_t)spec->list_sizes[i]);
    buffer_append(out, span_of(centroids->codes, centroids->count * centroids->dim));
    return buffer_check(out, "the centroids of a segment", &call->error);
}

/* The arrays of a head that is made from its codes. */
struct head_arrays {
    float *ranges; /* [4][dim]: least, step, trained */
    uint64_t *list_sizes;
    float *centroids;
    uint8_t *codes; /* owned; the section's bytes are const */
};

static void free_arrays(struct head_arrays *arrays)
{
    mem_free(arrays->ranges);
    mem_free(arrays->list_sizes);
    mem_free(arrays->centroids);
    mem_free(arrays->codes);
}

/* Reads the coded form. `bytes` has the right length. */
static enum dp_status read_coded(struct call *call, const struct segment_hot *hot, struct span bytes,
                                 struct head_arrays *out)
{
    const size_t dim = hot->dim, ranges = 4 * dim * sizeof(float), codes = (size_t)hot->nlist * dim;
    struct cursor at = cursor_over(bytes);
    out->ranges = mem_alloc(ranges);
    out->list_sizes = mem_alloc(hot->nlist * sizeof *out->list_sizes);
    out->centroids = mem_alloc(codes * sizeof *out->centroids);
    out->codes = mem_alloc(codes);
    if (!out->ranges || !out->list_sizes || !out->centroids || !out->codes)
        return call_nomem(call, "the centroids of a segment");
    memcpy(out->ranges, cursor_bytes(&at, ranges).data, ranges);
    for (uint32_t i = 0; i < hot->nlist; i++)
        out->list_sizes[i] = cursor_u32(&at);
    memcpy(out->codes, at.rest.data, codes);
    const struct centroid_codes centroids = {
        .count = hot->nlist, .dim = dim, .least = out->ranges, .step = out->ranges + dim, .codes = out->codes};
    centroid_codes_decode(&centroids, out->centroids);
    return DP_OK;
}

static enum dp_status unpack_coded(struct call *call, const struct segment_hot *hot, enum vector_metric metric,
                                   struct span bytes, struct buffer *out)
{
    const size_t dim = hot->dim;
    struct head_arrays arrays = {0};
    if (dim == 0 || FORM_LEN + bytes.len != coded_len(hot->nlist, dim))
        return call_fail(call, DP_CORRUPT, "section CENT has the wrong length");
    enum dp_status status = read_coded(call, hot, bytes, &arrays);
    if (status == DP_OK) {
        const struct faiss_ivf_spec spec = {.codec = {.kind = IVF_SQ8,
                                                      .metric = metric,
                                                      .dim = dim,
                                                      .code_size = dim,
                                                      .by_residual = true,
                                                      .trained = arrays.ranges + 2 * dim},
                                            .nlist = hot->nlist,
                                            .centroids = arrays.centroids,
                                            .list_sizes = arrays.list_sizes};
        status = put_head(call, &spec, out);
        if (status == DP_INVALID)
            status = call_fail(call, DP_CORRUPT, "section CENT and the lists disagree");
    }
    free_arrays(&arrays);
    return status;
}

enum dp_status ivf_head_unpack(struct call *call, const struct segment_hot *hot, enum vector_metric metric,
                               struct buffer *out)
{
    const struct segment_section *section = segment_section(hot, SECTION_CENTROIDS);
    struct cursor at = cursor_over(section ? section->bytes : (struct span){0});
    uint8_t form = cursor_u8(&at);
    enum dp_status status = DP_OK;
    if (at.failed || form > HEAD_CODED)
        return call_fail(call, DP_CORRUPT, "section CENT is missing or malformed");
    if (form == HEAD_CODED)
        status = unpack_coded(call, hot, metric, at.rest, out);
    else
        status = append_head(call, out, at.rest);
    if (status == DP_OK && (out->len != hot->ivf_head || checksum64(buffer_span(out)) != hot->ivf_head_checksum))
        return call_fail(call, DP_CORRUPT, "section CENT does not have the head of the .ivf object");
    return status;
}
