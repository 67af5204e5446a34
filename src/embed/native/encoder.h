/* embed/native/encoder.h: a BERT encoder over packed sequences, in int8 or fp32.
 *
 * Weights are views: a packed model, or arrays made from a safetensors file, own them. A run reads the weights and
 * writes only its workspace, so any number of threads may run one encoder, each with a workspace.
 */
#ifndef EMBED_ENCODER_H
#define EMBED_ENCODER_H

#include "embed/engine.h"
#include "embed/folder/bert_config.h"
#include "os/team.h"
#include "simd/encoder.h"

/* The encoder's `int8` says which. */
union dense_layer {
    struct int8_linear int8;
    struct fp32_linear fp32;
};

struct norm_weights {
    const float *gamma, *beta; /* [hidden] */
    /* [hidden]: multiplies the residual stream before the addition; NULL: no multiplication */
    const float *unscale;
};

/* Matrices that multiply the residual stream. */
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
    const int8_t *words_int8; /* [vocab][hidden]; fp32; int8 */
    const float *words_scale; /* [vocab]; int8 */
    const float *words_fp32;  /* [vocab][hidden] */
    const float *positions;   /* [max_tokens][hidden], token type 0 already added */
    struct norm_weights embedding_norm;
    struct encoder_layer *layers; /* [config.layers] */
};

/* Scratch for runs whose texts have at most `rows` tokens together. One thread at a time. */
struct encoder_workspace;
struct encoder_workspace *encoder_workspace_new(const struct encoder *encoder, size_t rows); /* NULL: no memory */
void encoder_workspace_free(struct encoder_workspace *w);

/* Encodes and pools `n` texts, which have together at most as many tokens as a workspace has rows. Allocates
 * nothing.
 *
 * The team computes together; NULL: the calling thread alone. workspaces[team_size(team)] are struct
 * encoder_workspace. The vectors do not depend on the team's size. */
void encoder_run(const struct encoder *encoder, struct team *team, void *const *workspaces,
                 const struct engine_item *items, size_t n);

/* Encodes one text on the calling thread, and raises greatest[layers][STREAM_KINDS][hidden] to the absolute values
 * of the residual stream's channels before a matrix multiplies them. */
void encoder_observe(const struct encoder *encoder, struct encoder_workspace *workspace,
                     const struct engine_item *item, float *greatest);

/* Row strides of activations, in floats: widths padded to whole weight panels. */
static inline size_t encoder_stride(size_t width)
{
    return (width + ENCODER_BLOCK_N - 1) / ENCODER_BLOCK_N * ENCODER_BLOCK_N;
}

/* Input channels of an int8 layer: widths padded to the four that one step multiplies. */
static inline size_t encoder_depth(size_t width)
{
    return (width + ENCODER_BLOCK_K - 1) / ENCODER_BLOCK_K * ENCODER_BLOCK_K;
}

#endif
