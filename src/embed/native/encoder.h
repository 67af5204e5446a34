/* embed/native/encoder.h: a BERT encoder over sequences that lie one after another, in int8 or fp32.
 *
 * The encoder does not own its weights: they lie in a packed model, or in arrays made from a safetensors file. A
 * run reads the weights and writes only its workspace, so any number of threads may run one encoder, each with a
 * workspace.
 */
#ifndef EMBED_ENCODER_H
#define EMBED_ENCODER_H

#include "embed/engine.h"
#include "embed/folder/bert_config.h"
#include "os/team.h"
#include "simd/encoder.h"

/* The weights of a linear layer. The encoder's `int8` says which member is valid. */
union dense_layer {
    struct int8_linear int8;
    struct fp32_linear fp32;
};

struct norm_weights {
    const float *gamma, *beta; /* [hidden] */
    /* [hidden]: multiplies the residual stream before the addition; NULL: no multiplication */
    const float *unscale;
};

/* The matrices that multiply the residual stream. */
enum stream_kind { STREAM_QKV, STREAM_FFN_IN, STREAM_KINDS };

struct encoder_layer {
    union dense_layer qkv; /* hidden → query, key, value, in this order */
    union dense_layer attention_out;
    union dense_layer ffn_in; /* GELU follows */
    union dense_layer ffn_out;
    struct norm_weights attention_norm, ffn_norm;
};

struct encoder {
    struct bert_config config;
    bool int8;
    const int8_t *words_int8; /* [vocab][hidden]; only in int8 */
    const float *words_scale; /* [vocab]; only in int8 */
    const float *words_fp32;  /* [vocab][hidden]; only in fp32 */
    const float *positions;   /* [max_tokens][hidden]; the embedding of token type 0 is already added */
    struct norm_weights embedding_norm;
    struct encoder_layer *layers; /* [config.layers] */
};

/* Memory for runs whose texts have at most `rows` tokens together. One thread at a time may use it. */
struct encoder_workspace;
struct encoder_workspace *encoder_workspace_new(const struct encoder *encoder, size_t rows); /* NULL: no memory */
void encoder_workspace_free(struct encoder_workspace *w);

/* Encodes and pools `n` texts. Together they have at most as many tokens as a workspace has rows. Allocates
 * nothing. The vectors do not depend on the team's size.
 *
 * team        computes together; NULL: the calling thread computes alone
 * workspaces  struct encoder_workspace *[team_size(team)] */
void encoder_run(const struct encoder *encoder, struct team *team, void *const *workspaces,
                 const struct engine_item *items, size_t n);

/* Encodes one text on the calling thread, and updates greatest[layers][STREAM_KINDS][hidden]: the greatest
 * absolute value of each channel of the residual stream before a matrix multiplies it. */
void encoder_observe(const struct encoder *encoder, struct encoder_workspace *workspace,
                     const struct engine_item *item, float *greatest);

/* Returns the stride of a row of activations, in floats: the width, padded to whole weight panels. */
static inline size_t encoder_stride(size_t width)
{
    return (width + ENCODER_BLOCK_N - 1) / ENCODER_BLOCK_N * ENCODER_BLOCK_N;
}

/* Returns the input channels of an int8 layer: the width, padded to a multiple of four, because one step
 * multiplies four channels. */
static inline size_t encoder_depth(size_t width)
{
    return (width + ENCODER_BLOCK_K - 1) / ENCODER_BLOCK_K * ENCODER_BLOCK_K;
}

#endif
