/* embed/folder/bert_config.h: the parameters of an encoder, as config.json gives them.
 *
 * The native engine computes only BERT. The parser names and refuses each feature that this engine lacks. For an
 * engine that has a graph, a second parser reads an outline: only the fields that encoders of every type share.
 *
 * sentence_config.h, tokenizer_config.h and prompts.h read the other files of a model folder.
 */
#ifndef EMBED_BERT_CONFIG_H
#define EMBED_BERT_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"
#include "embed/engine.h"

enum {
    MODEL_HIDDEN_MAX = 4096,
    MODEL_INTERMEDIATE_MAX = 16384,
    MODEL_LAYERS_MAX = 128,
    MODEL_TOKENS_MAX = 8192,
    MODEL_TYPES_MAX = 1024,
    MODEL_VOCAB_MAX = 1 << 20,
    MODEL_NAME_MAX = 128
};

struct bert_config {
    uint32_t hidden; /* floats of a token's vector */
    uint32_t layers;
    uint32_t heads;        /* divides `hidden` */
    uint32_t intermediate; /* width of the feed-forward layer */
    uint32_t vocab;
    uint32_t types;      /* rows of the token type table; texts use row 0 */
    uint32_t positions;  /* rows of the position table */
    uint32_t max_tokens; /* maximum tokens of a text, special tokens included; at most `positions` */
    float epsilon;       /* added to the variance in a layer norm */
    enum model_pooling pooling;
    bool normalize; /* whether the model's last step divides by the L2 norm */
};

/* Reads config.json: fills all fields up to `epsilon`, and sets max_tokens to `positions`. DP_UNSUPPORTED names a
 * feature that the native engine lacks: another type, activation or kind of position, a decoder, code in the
 * model. */
enum dp_status bert_config_parse(struct span json, struct arena *arena, struct bert_config *config,
                                 struct dp_error *error);

/* Reads config.json of an encoder of any type, for an engine that has a graph. Fills vocab, positions and
 * max_tokens, with 0 for a field that the file does not give. All other fields become 0. `positions` does
 * not count the positions that RoBERTa and its kin reserve. */
enum dp_status bert_config_parse_outline(struct span json, struct arena *arena, struct bert_config *config,
                                         struct dp_error *error);

/* Reads from config.json the two fields by which transformers chooses a class of tokenizer. An absent field gives
 * an empty span. */
enum dp_status bert_config_parse_classes(struct span json, struct arena *arena, struct span *model_type,
                                         struct span *tokenizer_class, struct dp_error *error);

/* Checks the MODEL_*_MAX bounds, that `heads` divides `hidden`, and that epsilon is in [0, 1). Also for packed
 * models. */
enum dp_status bert_config_check(const struct bert_config *config, struct dp_error *error);

#endif
