/* write.c: writes inverted files. Their grammar, all little-endian:
 *
 *   file      = head, list-data
 *   head      = index-header "IwFl" | "IwSq"
 *               u64 nlist, u64 nprobe
 *               quantizer: index-header "IxF2" | "IxFI", u64 nlist * d, f32 centroids[nlist][d]
 *               direct map: u8 0, u64 0
 *               IwSq only: i32 qtype = 0 (8 bit), i32 rangestat = 0 (min, max), f32 0, u64 d, u64 code_size,
 *                          u64 2 * d, f32 vmin[d], f32 vdiff[d], u64 code_size, u8 by_residual
 *               "ilar", u64 nlist, u64 code_size, "full", u64 nlist, u64 sizes[nlist]
 *   index-header = fourcc, i32 d, i64 ntotal, i64 2^20, i64 2^20, u8 is_trained = 1, i32 metric
 *   list-data = for each list in order: its codes, its ids as i64
 */
#include "faiss/write.h"

#include <inttypes.h>
#include <limits.h>

#include "base/buffer.h"
#include "faiss/parse/format.h"

enum {
    IVF_FIXED_BYTES = FAISS_HEADER_BYTES + 8 + 8,
    QUANTIZER_FIXED_BYTES = FAISS_HEADER_BYTES + 8,
    DIRECT_MAP_BYTES = 1 + 8,
    SQ_FIXED_BYTES = 4 + 4 + 4 + 8 + 8 + 8 + 8 + 1,
    LISTS_FIXED_BYTES = 4 + 8 + 8 + 4 + 8,
    PIECE_BYTES = 1 << 20, /* maximum bytes of an array per call of the sink */
    IDS_A_PIECE = 512
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "centroids and ids are written without conversion");

uint64_t faiss_ivf_head_bytes(const struct faiss_ivf_spec *spec)
{
    uint64_t d = spec->codec.dim, nlist = spec->nlist, centroids, sizes;
    uint64_t fixed = IVF_FIXED_BYTES + QUANTIZER_FIXED_BYTES + DIRECT_MAP_BYTES + LISTS_FIXED_BYTES;
    if (spec->codec.kind == IVF_SQ8)
        fixed += SQ_FIXED_BYTES + 2 * d * sizeof(float);
    if (d > INT32_MAX || __builtin_mul_overflow(nlist, d * sizeof(float), &centroids) ||
        __builtin_mul_overflow(nlist, (uint64_t)8, &sizes) || __builtin_add_overflow(fixed, centroids, &fixed) ||
        __builtin_add_overflow(fixed, sizes, &fixed))
        return 0;
    return fixed;
}

/* Counts the vectors of all lists. Returns false when the sum overflows an i64. */
static bool count_vectors(const struct faiss_ivf_spec *spec, uint64_t *total)
{
    *total = 0;
    for (size_t l = 0; l < spec->nlist; l++)
        if (__builtin_add_overflow(*total, spec->list_sizes[l], total))
            return false;
    return *total <= INT64_MAX;
}

uint64_t faiss_ivf_file_bytes(const struct faiss_ivf_spec *spec)
{
    uint64_t bytes = faiss_ivf_head_bytes(spec), total, data;
    if (bytes == 0 || !count_vectors(spec, &total) ||
        __builtin_mul_overflow(total, (uint64_t)spec->codec.code_size + 8, &data) ||
        __builtin_add_overflow(bytes, data, &bytes))
        return 0;
    return bytes;
}

static enum dp_status write_bytes(struct call *call, struct faiss_ivf_writer *writer, struct span bytes)
{
    if (bytes.len == 0)
        return DP_OK;
    writer->written += bytes.len;
    return writer->sink.write(call, writer->sink.ctx, bytes);
}

static void put_index_header(struct buffer *b, uint32_t fourcc, const struct ivf_codec *codec, uint64_t ntotal)
{
    buffer_u32(b, fourcc);
    buffer_u32(b, (uint32_t)codec->dim);
    buffer_u64(b, ntotal);
    buffer_u64(b, FAISS_DUMMY);
    buffer_u64(b, FAISS_DUMMY);
    buffer_u8(b, 1); /* is_trained */
    buffer_u32(b, (uint32_t)codec->metric);
}

static void put_start(struct buffer *b, const struct faiss_ivf_spec *spec, uint64_t total)
{
    const struct ivf_codec *codec = &spec->codec;
    size_t nprobe = spec->nprobe > 0 ? spec->nprobe : (spec->nlist + 15) / 16;
    put_index_header(b, codec->kind == IVF_FLAT ? FAISS_IVF_FLAT : FAISS_IVF_SQ, codec, total);
    buffer_u64(b, spec->nlist);
    buffer_u64(b, nprobe < spec->nlist ? nprobe : spec->nlist);
    put_index_header(b, codec->metric == VECTOR_L2 ? FAISS_FLAT_L2 : FAISS_FLAT_IP, codec, spec->nlist);
    buffer_u64(b, (uint64_t)spec->nlist * codec->dim);
}

static void put_codec_and_lists(struct buffer *b, const struct faiss_ivf_spec *spec)
{
    const struct ivf_codec *codec = &spec->codec;
    buffer_u8(b, 0); /* no direct map */
    buffer_u64(b, 0);
    if (codec->kind == IVF_SQ8) {
        buffer_u32(b, FAISS_QT_8BIT);
        buffer_u32(b, FAISS_RS_MINMAX);
        buffer_f32(b, 0.0f);
        buffer_u64(b, codec->dim);
        buffer_u64(b, codec->code_size);
        buffer_u64(b, 2 * (uint64_t)codec->dim);
        buffer_append(b, span_of(codec->trained, 2 * codec->dim * sizeof(float)));
        buffer_u64(b, codec->code_size);
        buffer_u8(b, codec->by_residual);
    }
    buffer_u32(b, FAISS_LISTS_ARRAY);
    buffer_u64(b, spec->nlist);
    buffer_u64(b, codec->code_size);
    buffer_u32(b, FAISS_SIZES_FULL);
    buffer_u64(b, spec->nlist);
}

static enum dp_status check_spec(struct call *call, const struct faiss_ivf_spec *spec)
{
    const struct ivf_codec *codec = &spec->codec;
    size_t code_size = codec->kind == IVF_FLAT ? codec->dim * sizeof(float) : codec->dim;
    if (codec->dim < 1 || codec->dim > INT32_MAX || spec->nlist < 1 || codec->code_size != code_size ||
        (codec->kind == IVF_FLAT && codec->by_residual) || faiss_ivf_file_bytes(spec) == 0)
        return call_fail(call, DP_INVALID,
                         "cannot write an inverted file of %zu lists of %zu dimensions (%zu-byte codes)",
                         spec->nlist, codec->dim, codec->code_size);
    return DP_OK;
}

/* Writes an array in pieces of at most PIECE_BYTES, so that no sink gets a large array at once. */
static enum dp_status write_array(struct call *call, struct faiss_ivf_writer *writer, const void *array,
                                  size_t len)
{
    const uint8_t *next = array;
    enum dp_status status = DP_OK;
    while (status == DP_OK && len > 0) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        status = write_bytes(call, writer, span_of(next, piece));
        next += piece;
        len -= piece;
    }
    return status;
}

enum dp_status faiss_ivf_write_begin(struct call *call, struct faiss_ivf_writer *writer,
                                     const struct faiss_ivf_spec *spec, struct faiss_sink sink)
{
    *writer = (struct faiss_ivf_writer){.spec = spec, .sink = sink};
    enum dp_status status = check_spec(call, spec);
    if (status != DP_OK)
        return status;
    writer->head_bytes = faiss_ivf_head_bytes(spec);
    uint64_t total;
    count_vectors(spec, &total);
    struct buffer b;
    buffer_init(&b, 1024 + 2 * spec->codec.dim * sizeof(float));
    put_start(&b, spec, total);
    status = buffer_check(&b, "the head of an inverted file", &call->error);
    if (status == DP_OK)
        status = write_bytes(call, writer, buffer_span(&b));
    if (status == DP_OK)
        status = write_array(call, writer, spec->centroids, spec->nlist * spec->codec.dim * sizeof(float));
    buffer_clear(&b);
    put_codec_and_lists(&b, spec);
    if (status == DP_OK)
        status = buffer_check(&b, "the head of an inverted file", &call->error);
    if (status == DP_OK)
        status = write_bytes(call, writer, buffer_span(&b));
    if (status == DP_OK)
        status = write_array(call, writer, spec->list_sizes, spec->nlist * sizeof *spec->list_sizes);
    buffer_deinit(&b);
    return status;
}

/* Checks the length of the next list against the spec, and writes its codes. */
static enum dp_status begin_list(struct call *call, struct faiss_ivf_writer *writer, struct span codes)
{
    const struct faiss_ivf_spec *spec = writer->spec;
    size_t list = writer->next_list;
    if (list >= spec->nlist)
        return call_fail(call, DP_INVALID, "an inverted file of %zu lists got one list more", spec->nlist);
    if (codes.len % spec->codec.code_size != 0 || codes.len / spec->codec.code_size != spec->list_sizes[list])
        return call_fail(call, DP_INVALID, "list %zu has %zu bytes of codes, not %" PRIu64 " codes of %zu bytes",
                         list, codes.len, spec->list_sizes[list], spec->codec.code_size);
    writer->next_list++;
    return write_bytes(call, writer, codes);
}

enum dp_status faiss_ivf_write_list(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                    struct span ids)
{
    if (ids.len % sizeof(int64_t) != 0 || ids.len / sizeof(int64_t) != codes.len / writer->spec->codec.code_size)
        return call_fail(call, DP_INVALID, "list %zu has %zu bytes of ids for %zu codes", writer->next_list,
                         ids.len, codes.len / writer->spec->codec.code_size);
    enum dp_status status = begin_list(call, writer, codes);
    return status == DP_OK ? write_bytes(call, writer, ids) : status;
}

enum dp_status faiss_ivf_write_list_from(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                         int64_t first_id)
{
    enum dp_status status = begin_list(call, writer, codes);
    int64_t ids[IDS_A_PIECE];
    for (size_t left = codes.len / writer->spec->codec.code_size; status == DP_OK && left > 0;) {
        size_t n = left < IDS_A_PIECE ? left : IDS_A_PIECE;
        for (size_t i = 0; i < n; i++)
            ids[i] = first_id++;
        status = write_bytes(call, writer, span_of(ids, n * sizeof *ids));
        left -= n;
    }
    return status;
}

enum dp_status faiss_ivf_write_end(struct call *call, struct faiss_ivf_writer *writer)
{
    if (writer->next_list != writer->spec->nlist)
        return call_fail(call, DP_INVALID, "an inverted file of %zu lists got only %zu", writer->spec->nlist,
                         writer->next_list);
    return DP_OK;
}
