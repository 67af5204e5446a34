/* smoothing.c: finds the divisors of the residual stream's channels.
 *
 * Let m be the greatest absolute value of a channel, and w the greatest absolute value of its weights. The divisor
 * is the cube root of m^2 / w, rounded to a quarter of an octave. SmoothQuant's exponent for m lies between 0.5
 * and 0.9; 2/3 gave the best cosines (docs/internals/packed-model.md). The code only compares and multiplies
 * doubles, so the result does not depend on a library's pow().
 */
#include "embed/native/smoothing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "embed/native/fp32_model.h"

enum {
    TEXTS = 8,   /* number of random texts */
    TOKENS = 64, /* tokens per text, or the model's maximum if that is less */
    STEPS_OCTAVE = 4,
    OCTAVES_MOST = 10 /* a divisor lies between 2^-10 and 2^10 */
};

static enum dp_status greatest_of(const struct model_source *source, float *greatest, struct dp_error *error)
{
    struct fp32_model model;
    enum dp_status status = fp32_model_open(source, &model, error);
    if (status != DP_OK)
        return status;
    size_t count = source->config.max_tokens < TOKENS ? source->config.max_tokens : TOKENS;
    float *pooled = mem_alloc(source->config.hidden * sizeof *pooled);
    struct encoder_workspace *workspace = encoder_workspace_new(&model.encoder, count);
    if (!pooled || !workspace)
        status = dp_fail_nomem(error, "a model's channels");
    uint64_t seed = 1; /* the generator is Knuth's MMIX */
    for (int t = 0; t < TEXTS && status == DP_OK; t++) {
        int32_t ids[TOKENS];
        for (size_t i = 0; i < count; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            ids[i] = (int32_t)((seed >> 33) % source->config.vocab);
        }
        encoder_observe(&model.encoder, workspace, &(struct engine_item){ids, count, pooled, 0}, greatest);
    }
    encoder_workspace_free(workspace);
    mem_free(pooled);
    fp32_model_close(&model);
    return status;
}

/* Returns the divisor nearest to the cube root of m^2 / w; 1 if that root is 0, infinite or NaN. */
static float divisor_of(double m, double w)
{
    static const double quarter[STEPS_OCTAVE] = {1.0, 1.189207115002721, 1.4142135623730951, 1.6817928305074292};
    static const double half_step_cubed = 1.2968395546510096; /* 2^(3/8) */
    double wanted = m * m / w;
    if (!(wanted > 0.0) || isinf(wanted))
        return 1.0f;
    for (int step = 0;; step++) {
        double s = ldexp(quarter[step % STEPS_OCTAVE], step / STEPS_OCTAVE - OCTAVES_MOST);
        if (step == 2 * OCTAVES_MOST * STEPS_OCTAVE || wanted < s * s * s * half_step_cubed)
            return (float)s;
    }
}

/* Sets most[k] to the greatest absolute weight of each input channel. weight, bias: scratch. */
static enum dp_status greatest_weights(const struct model_source *source, unsigned layer, enum dense_kind kind,
                                       float *weight, float *bias, float *most, struct dp_error *error)
{
    size_t n, k;
    dense_shape(&source->config, kind, &n, &k);
    enum dp_status status = model_source_dense(source, layer, kind, weight, bias, error);
    if (status != DP_OK)
        return status;
    memset(most, 0, k * sizeof *most);
    for (size_t c = 0; c < n; c++)
        for (size_t i = 0; i < k; i++)
            most[i] = fmaxf(most[i], fabsf(weight[c * k + i]));
    return DP_OK;
}

enum dp_status smoothing_find(const struct model_source *source, struct smoothing *out, struct dp_error *error)
{
    static const enum dense_kind dense[STREAM_KINDS] = {[STREAM_QKV] = DENSE_QKV, [STREAM_FFN_IN] = DENSE_FFN_IN};
    const struct bert_config *c = &source->config;
    size_t hidden = c->hidden, widest = c->intermediate > 3 * hidden ? c->intermediate : 3 * hidden;
    *out = (struct smoothing){hidden, mem_calloc((size_t)c->layers * STREAM_KINDS * hidden, sizeof(float))};
    float *weight = mem_alloc(widest * hidden * sizeof *weight),
          *rows = mem_alloc((widest + hidden) * sizeof *rows);
    enum dp_status status = DP_OK;
    if (!out->scale || !weight || !rows)
        status = dp_fail_nomem(error, "a model's channels");
    else
        status = greatest_of(source, out->scale, error);
    for (unsigned i = 0; i < c->layers * STREAM_KINDS && status == DP_OK; i++) {
        float *scale = out->scale + i * hidden, *most = rows + widest;
        status = greatest_weights(source, i / STREAM_KINDS, dense[i % STREAM_KINDS], weight, rows, most, error);
        for (size_t d = 0; d < hidden && status == DP_OK; d++)
            scale[d] = divisor_of((double)scale[d], (double)most[d]);
    }
    mem_free(weight);
    mem_free(rows);
    if (status != DP_OK)
        smoothing_free(out);
    return status;
}

void smoothing_free(struct smoothing *s)
{
    mem_free(s->scale);
    memset(s, 0, sizeof *s);
}
