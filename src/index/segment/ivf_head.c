/* ivf_head.c: packs the head of an .ivf object into section CENT, and makes it again from the section. */
#include "index/segment/ivf_head.h"

#include "base/alloc.h"
#include "base/checksum.h"

/* The first byte of the section: HEAD_WHOLE, or the bits of a code. */
enum { FORM_LEN = 1, HEAD_WHOLE = 0 };

static uint64_t codes_len(uint64_t count, unsigned bits)
{
    return bits == CENTROID_FEW_BITS ? (count + 1) / 2 : count;
}

/* Returns the bytes of the coded form; 0 when they are too many for a section. */
static uint64_t coded_len(uint64_t nlist, uint64_t dim, unsigned bits)
{
    const uint64_t codes_max = SEGMENT_HOT_MAX;
    if (dim > codes_max || nlist > codes_max || codes_len(nlist * dim, bits) > codes_max)
        return 0;
    return FORM_LEN + 4 * dim * sizeof(float) + nlist * sizeof(uint32_t) + codes_len(nlist * dim, bits);
}

static void put_codes(const struct centroid_codes *centroids, struct buffer *out)
{
    const size_t count = centroids->count * centroids->dim, len = (size_t)codes_len(count, centroids->bits);
    uint8_t *to = buffer_reserve(out, len);
    if (!to)
        return;
    for (size_t i = 0; i < len; i++) {
        if (centroids->bits == CENTROID_MORE_BITS)
            to[i] = centroids->codes[i];
        else
            to[i] = (uint8_t)(centroids->codes[2 * i] |
                              (2 * i + 1 < count ? centroids->codes[2 * i + 1] << CENTROID_FEW_BITS : 0));
    }
    out->len += len;
}

/* Unpacks `count` codes. */
static void read_codes(const uint8_t *from, size_t count, unsigned bits, uint8_t *codes)
{
    for (size_t i = 0; i < count; i++) {
        if (bits == CENTROID_MORE_BITS)
            codes[i] = from[i];
        else
            codes[i] = i % 2 ? from[i / 2] >> CENTROID_FEW_BITS : from[i / 2] & ((1 << CENTROID_FEW_BITS) - 1);
    }
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
    uint64_t coded = coded_len(spec->nlist, spec->codec.dim, centroids->bits);
    if (coded == 0 || coded >= FORM_LEN + faiss_ivf_head_bytes(spec)) {
        buffer_u8(out, HEAD_WHOLE);
        return put_head(call, spec, out);
    }
    buffer_u8(out, (uint8_t)centroids->bits);
    buffer_append(out, span_of(centroids->least, floats));
    buffer_append(out, span_of(centroids->step, floats));
    buffer_append(out, span_of(spec->codec.trained, 2 * floats));
    for (size_t i = 0; i < spec->nlist; i++)
        buffer_u32(out, (uint32_t)spec->list_sizes[i]);
    put_codes(centroids, out);
    return buffer_check(out, "the centroids of a segment", &call->error);
}

/* The arrays of a head that is made from its codes. */
struct head_arrays {
    float *ranges; /* [4][dim]: least, step, trained */
    uint64_t *list_sizes;
    float *centroids;
    uint8_t *codes; /* [nlist][dim] */
};

static void free_arrays(struct head_arrays *arrays)
{
    mem_free(arrays->ranges);
    mem_free(arrays->list_sizes);
    mem_free(arrays->centroids);
    mem_free(arrays->codes);
}

/* Reads the coded form. `bytes` has the right length. */
static enum dp_status read_coded(struct call *call, const struct segment_hot *hot, unsigned bits,
                                 struct span bytes, struct head_arrays *out)
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
    read_codes(at.rest.data, codes, bits, out->codes);
    const struct centroid_codes centroids = {.count = hot->nlist,
                                             .dim = dim,
                                             .bits = bits,
                                             .least = out->ranges,
                                             .step = out->ranges + dim,
                                             .codes = out->codes};
    centroid_codes_decode(&centroids, out->centroids);
    return DP_OK;
}

static enum dp_status unpack_coded(struct call *call, const struct segment_hot *hot, enum vector_metric metric,
                                   unsigned bits, struct span bytes, struct buffer *out)
{
    const size_t dim = hot->dim;
    struct head_arrays arrays = {0};
    if (dim == 0 || FORM_LEN + bytes.len != coded_len(hot->nlist, dim, bits))
        return call_fail(call, DP_CORRUPT, "section CENT has the wrong length");
    enum dp_status status = read_coded(call, hot, bits, bytes, &arrays);
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
    if (at.failed || (form != HEAD_WHOLE && form != CENTROID_FEW_BITS && form != CENTROID_MORE_BITS))
        return call_fail(call, DP_CORRUPT, "section CENT is missing or malformed");
    if (form != HEAD_WHOLE)
        status = unpack_coded(call, hot, metric, form, at.rest, out);
    else
        status = append_head(call, out, at.rest);
    if (status == DP_OK && (out->len != hot->ivf_head || checksum64(buffer_span(out)) != hot->ivf_head_checksum))
        return call_fail(call, DP_CORRUPT, "section CENT does not have the head of the .ivf object");
    return status;
}
