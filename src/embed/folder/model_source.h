/* embed/folder/model_source.h: an open model folder: its configuration, its weights and its tokenizer.json.
 *
 * The folder has the Hugging Face / sentence-transformers layout: it needs config.json, model.safetensors and
 * tokenizer.json. tokenizer_config.json, modules.json and the files of its modules, and
 * config_sentence_transformers.json are optional (without modules.json: mean pooling, not normalised, as in
 * sentence-transformers). docs/models.md lists their fields. Before version 2 of sentence-transformers, the
 * transformer's files lay in a folder 0_Transformer. Opening reads the weights into memory once; callers then ask
 * for one layer after another.
 */
#ifndef EMBED_MODEL_SOURCE_H
#define EMBED_MODEL_SOURCE_H

#include "base/buffer.h"
#include "embed/folder/bert_config.h"
#include "embed/prompts.h"
#include "embed/folder/safetensors.h"
#include "embed/tokenizer.h"

/* The four matrices of a layer. */
enum dense_kind { DENSE_QKV, DENSE_ATTENTION_OUT, DENSE_FFN_IN, DENSE_FFN_OUT, DENSE_KINDS };
/* The two norms of a layer. */
enum norm_kind { NORM_ATTENTION, NORM_FFN, NORM_KINDS };

/* Sets *n and *k to the output width and the input width of a layer's matrix. */
static inline void dense_shape(const struct bert_config *c, enum dense_kind kind, size_t *n, size_t *k)
{
    *n = kind == DENSE_QKV ? (size_t)3 * c->hidden : kind == DENSE_FFN_IN ? c->intermediate : c->hidden;
    *k = kind == DENSE_FFN_OUT ? c->intermediate : c->hidden;
}

struct model_source {
    struct arena arena;
    struct buffer weights, tokenizer_json;
    struct safetensors tensors;
    struct bert_config config;
    char name[MODEL_NAME_MAX + 1];
    uint8_t fingerprint[32]; /* the fingerprint without prompts */
    const char *prefix;      /* every tensor's name begins with it: "" or "bert." */
    const char *folder;      /* in the arena */
    const char *transformer; /* the folder with config.json, tokenizer.json and weights; usually `folder` */
    struct tokenizer_changes changes; /* changes to tokenizer.json by the folder's other files */
    struct prompts prompts;           /* in the arena */
    bool is_outline;                  /* model_source_open_outline opened it */
    /* Of an outline: the reason why config.pooling and config.normalize are unknown; else DP_OK. */
    struct dp_error no_pooling;
};

/* Opens a folder, or a model by name ("all-MiniLM-L6-v2", "org/name") in an offline Hugging Face hub cache
 * ($HF_HUB_CACHE, $HF_HOME/hub, ~/.cache/huggingface/hub). DP_NOT_FOUND names the places that it tried. Call
 * model_source_close even after a failure. */
enum dp_status model_source_open(const char *path, struct model_source *s, struct dp_error *error);
/* Opens without the weights, to learn whether the native engine can run the model. */
enum dp_status model_source_open_settings(const char *path, struct model_source *s, struct dp_error *error);
/* Opens a model of any type without the weights, for an engine that has a graph. Of the sizes in `config` it fills
 * only those that bert_config_parse_outline gives. It does not fill the fingerprint. */
enum dp_status model_source_open_outline(const char *path, struct model_source *s, struct dp_error *error);
void model_source_close(struct model_source *s);

/* Checks that the folder has weights. DP_NOT_FOUND says what it has instead, and what to do. */
enum dp_status model_source_check_weights(const struct model_source *s, struct dp_error *error);

/* Makes the folder's tokenizer: tokenizer.json with the changes that the folder's other files make. */
enum dp_status model_source_tokenizer(const struct model_source *s, struct tokenizer **out,
                                      struct dp_error *error);
/* Describes, for the fingerprint, how the folder's other files change tokenizer.json. Writes the text into `out` and
 * returns it. The text is "" for the usual changes. */
const char *model_source_tokenizer_mark(const struct model_source *s, char out[64]);

/* Read the embedding tables as floats: words[count][hidden] from row `first`; positions[max_tokens][hidden], to
 * which the function adds the embedding of token type 0. */
enum dp_status model_source_words(const struct model_source *s, size_t first, size_t count, float *words,
                                  struct dp_error *error);
enum dp_status model_source_positions(const struct model_source *s, float *positions, struct dp_error *error);
enum dp_status model_source_embedding_norm(const struct model_source *s, float *gamma, float *beta,
                                           struct dp_error *error);
/* Reads a matrix of a layer: weight[n][k] and bias[n], with the n and k of dense_shape(). */
enum dp_status model_source_dense(const struct model_source *s, unsigned layer, enum dense_kind kind,
                                  float *weight, float *bias, struct dp_error *error);
enum dp_status model_source_norm(const struct model_source *s, unsigned layer, enum norm_kind kind, float *gamma,
                                 float *beta, struct dp_error *error);

#endif
