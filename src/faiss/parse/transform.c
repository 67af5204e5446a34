/* parse/transform.c: parses the transforms that an index applies to each query before the search.
 *
 *   transforms  i32 count, then each: its fields by kind, i32 d_in, i32 d_out, u8 is_trained
 *   LTra, rrot  u8 have_bias, vec f32 A[d_out][d_in], vec f32 b          LTra also stands for OPQ
 *   Pcam        f32 power, f32 epsilon, u8 rotation, i32 bins, vec f32 mean, vec f32 eigenvalues, vec f32 PCA,
 *               then the fields of LTra
 *   PcAm        as Pcam, but without epsilon
 *   PCAm        as Pcam, but without epsilon and bins
 *   VNrm        f32 norm
 *   VCnt        vec f32 mean
 *   RmDT        vec i32 map
 *   HRot        u32 seed
 *
 * A transform's dimensions come last, but the parser knows d_in before: the first transform takes the dimension of
 * the index, and each later transform takes the d_out of the one before it.
 */
#include <inttypes.h>

#include "faiss/parse/format.h"
#include "faiss/parse/parse.h"

enum {
    TRAILER_BYTES = 9,
    AFTER_BYTES = 256 * 1024 /* bytes to read ahead: the next headers, and the start of a quantizer */
};

static enum dp_status skip_floats(struct faiss_parser *p, const char *what)
{
    uint64_t count;
    enum dp_status status = parse_count(p, what, sizeof(float), 64, &count);
    return status == DP_OK ? source_skip(&p->source, what, count * sizeof(float)) : status;
}

static enum dp_status parse_linear(struct faiss_parser *p, struct vector_transform *t)
{
    struct cursor c;
    uint64_t floats, biases;
    enum dp_status status =
        source_fields(&p->source, "a transform's bias flag", 1, 4 * (uint64_t)t->dim_in + AFTER_BYTES, &c);
    if (status != DP_OK)
        return status;
    uint8_t have_bias = cursor_u8(&c);
    t->kind = TRANSFORM_LINEAR;
    status = parse_count(p, "a transform's matrix", sizeof(float), AFTER_BYTES, &floats);
    if (status != DP_OK)
        return status;
    if (have_bias > 1 || floats == 0 || floats % t->dim_in != 0 || floats / t->dim_in > INT32_MAX)
        return source_fail(&p->source, DP_CORRUPT, "a transform's matrix of %" PRIu64 " floats for %zu dimensions",
                           floats, t->dim_in);
    t->dim_out = (size_t)(floats / t->dim_in);
    status = parse_array(p, "a transform's matrix", floats, sizeof(float), AFTER_BYTES, &t->matrix);
    if (status == DP_OK)
        status = parse_count(p, "a transform's bias", sizeof(float), AFTER_BYTES, &biases);
    if (status != DP_OK)
        return status;
    if (have_bias == 0)
        return source_skip(&p->source, "a transform's bias", biases * sizeof(float));
    if (biases != t->dim_out)
        return source_fail(&p->source, DP_CORRUPT, "a transform's bias has %" PRIu64 " floats, not %zu", biases,
                           t->dim_out);
    return parse_array(p, "a transform's bias", biases, sizeof(float), AFTER_BYTES, &t->offset);
}

static enum dp_status parse_pca(struct faiss_parser *p, uint32_t fourcc, struct vector_transform *t)
{
    struct cursor c;
    size_t fields = fourcc == FAISS_PCA ? 13 : fourcc == FAISS_PCA_OLD ? 9 : 5;
    enum dp_status status = source_fields(&p->source, "a PCA transform", fields, 64, &c);
    if (status == DP_OK)
        status = skip_floats(p, "the PCA's mean");
    if (status == DP_OK)
        status = skip_floats(p, "the PCA's eigenvalues");
    if (status == DP_OK)
        status = skip_floats(p, "the PCA's matrix");
    return status == DP_OK ? parse_linear(p, t) : status;
}

static enum dp_status parse_center(struct faiss_parser *p, struct vector_transform *t)
{
    uint64_t count;
    enum dp_status status = parse_count(p, "a centering's mean", sizeof(float), AFTER_BYTES, &count);
    if (status != DP_OK)
        return status;
    if (count != t->dim_in)
        return source_fail(&p->source, DP_CORRUPT, "a centering's mean has %" PRIu64 " floats, not %zu", count,
                           t->dim_in);
    t->kind = TRANSFORM_CENTER;
    return parse_array(p, "a centering's mean", count, sizeof(float), AFTER_BYTES, &t->offset);
}

static enum dp_status parse_remap(struct faiss_parser *p, struct vector_transform *t)
{
    uint64_t count;
    enum dp_status status = parse_count(p, "a map of dimensions", sizeof(int32_t), AFTER_BYTES, &count);
    if (status != DP_OK)
        return status;
    if (count < 1 || count > INT32_MAX)
        return source_fail(&p->source, DP_CORRUPT, "a map of %" PRIu64 " dimensions", count);
    t->kind = TRANSFORM_REMAP;
    t->dim_out = (size_t)count;
    status = parse_array(p, "a map of dimensions", count, sizeof(int32_t), AFTER_BYTES, &t->map);
    if (status != DP_OK)
        return status;
    for (uint64_t i = 0; i < count; i++)
        if (t->map[i] >= 0 && (size_t)t->map[i] >= t->dim_in)
            return source_fail(&p->source, DP_CORRUPT, "a map of dimensions names %" PRId32 " of %zu", t->map[i],
                               t->dim_in);
    return DP_OK;
}

static enum dp_status parse_hadamard(struct faiss_parser *p, struct vector_transform *t)
{
    uint32_t seed;
    enum dp_status status = parse_u32(p, "a Hadamard rotation", AFTER_BYTES, &seed);
    t->kind = TRANSFORM_HADAMARD;
    t->seed = seed;
    t->dim_out = 1;
    while (t->dim_out < t->dim_in)
        t->dim_out *= 2;
    return status;
}

static enum dp_status parse_normalize(struct faiss_parser *p, struct vector_transform *t)
{
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "a normalisation", 4, AFTER_BYTES, &c);
    if (status != DP_OK)
        return status;
    float norm = cursor_f32(&c);
    if (norm != 2.0f)
        return source_fail(&p->source, DP_UNSUPPORTED, "a normalisation by norm %g; supported: 2", (double)norm);
    t->kind = TRANSFORM_NORMALIZE;
    return DP_OK;
}

static enum dp_status parse_transform(struct faiss_parser *p, struct vector_transform *t)
{
    uint32_t fourcc;
    enum dp_status status = parse_u32(p, "a transform's kind", 64, &fourcc);
    if (status != DP_OK)
        return status;
    switch (fourcc) {
    case FAISS_LINEAR:
    case FAISS_ROTATION: return parse_linear(p, t);
    case FAISS_PCA:
    case FAISS_PCA_OLD:
    case FAISS_PCA_OLDER: return parse_pca(p, fourcc, t);
    case FAISS_NORMALIZE: return parse_normalize(p, t);
    case FAISS_CENTER: return parse_center(p, t);
    case FAISS_REMAP: return parse_remap(p, t);
    case FAISS_HADAMARD: return parse_hadamard(p, t);
    default:
        return parse_refuse_part(
            p, "a transform is", fourcc,
            "OPQ, RR, PCA, L2norm, Pad, HR, centering (LTra, rrot, Pcam, PcAm, PCAm, VNrm, RmDT, HRot, VCnt)");
    }
}

static enum dp_status check_trailer(struct faiss_parser *p, const struct vector_transform *t)
{
    struct cursor c;
    enum dp_status status = source_fields(&p->source, "a transform's dimensions", TRAILER_BYTES, AFTER_BYTES, &c);
    if (status != DP_OK)
        return status;
    int32_t d_in = cursor_i32(&c), d_out = cursor_i32(&c);
    uint8_t is_trained = cursor_u8(&c);
    if (d_in < 1 || d_out < 1 || (size_t)d_in != t->dim_in || (size_t)d_out != t->dim_out || is_trained > 1)
        return source_fail(&p->source, DP_CORRUPT,
                           "a transform from %" PRId32 " to %" PRId32 " dimensions where %zu to %zu are needed",
                           d_in, d_out, t->dim_in, t->dim_out);
    if (!is_trained)
        return source_fail(&p->source, DP_UNSUPPORTED, "a transform is not trained");
    return DP_OK;
}

enum dp_status parse_transforms(struct faiss_parser *p)
{
    struct faiss_ivf *ivf = p->ivf;
    uint32_t count;
    enum dp_status status = parse_u32(p, "the number of transforms", 64, &count);
    if (status != DP_OK)
        return status;
    if (count > FAISS_TRANSFORMS_MAX - ivf->transform_count)
        return source_fail(&p->source, DP_UNSUPPORTED, "%" PRIu32 " transforms; supported: up to %d", count,
                           FAISS_TRANSFORMS_MAX);
    for (; count > 0; count--) {
        struct vector_transform *t = &ivf->transforms[ivf->transform_count++];
        *t = (struct vector_transform){.dim_in = ivf->codec.dim, .dim_out = ivf->codec.dim};
        status = parse_transform(p, t);
        if (status == DP_OK)
            status = check_trailer(p, t);
        if (status != DP_OK)
            return status;
        if (t->dim_in > PARSE_DIM_MAX || t->dim_out > PARSE_DIM_MAX)
            return source_fail(&p->source, DP_UNSUPPORTED,
                               "a transform from %zu to %zu dimensions; supported: up to %d", t->dim_in,
                               t->dim_out, PARSE_DIM_MAX);
        ivf->codec.dim = t->dim_out;
    }
    return DP_OK;
}
