/* embed/model_config.h: what config.json and its neighbours say about an encoder.
 *
 * Four small JSON files of a Hugging Face / sentence-transformers folder, each parsed on its own; what this
 * engine cannot compute is refused here, by name.
 */
#ifndef EMBED_MODEL_CONFIG_H
#define EMBED_MODEL_CONFIG_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum {
    MODEL_HIDDEN_MAX = 4096,
    MODEL_INTERMEDIATE_MAX = 16384,
    MODEL_LAYERS_MAX = 128,
    MODEL_TOKENS_MAX = 8192,
    MODEL_VOCAB_MAX = 1 << 20,
    MODEL_NAME_MAX = 128
};

/* The values are stored in packed models: never renumber. */
enum model_pooling { POOLING_MEAN = 0, POOLING_CLS = 1, POOLING_MAX = 2, POOLING_LAST = 3 };

struct model_config {
    uint32_t hidden; /* width of a token */
    uint32_t layers;
    uint32_t heads;        /* divides hidden */
    uint32_t intermediate; /* width of the feed-forward layer */
    uint32_t vocab;
    uint32_t positions;  /* rows of the position table */
    uint32_t max_tokens; /* of a text, special tokens included; at most `positions` */
    float epsilon;       /* of layer norm */
    enum model_pooling pooling;
    bool normalize; /* whether the model's own last step divides by the L2 norm */
};

const char *model_pooling_name(enum model_pooling pooling); /* "mean", … */

/* config.json: fills everything up to epsilon; max_tokens becomes `positions`. DP_UNSUPPORTED names a model
 * type, activation or position embedding that the native engine does not have. */
enum dp_status model_config_parse(struct span json, struct arena *arena, struct model_config *config,
                                  struct dp_error *error);

/* config.json of an encoder of any type, for an engine that has its own graph: fills vocab, positions and max_tokens,
 * each 0 where the file does not tell; the others stay 0. Positions that a model of this type (RoBERTa and its kin)
 * does not use for tokens are not counted. */
enum dp_status model_config_parse_outline(struct span json, struct arena *arena, struct model_config *config,
                                          struct dp_error *error);

/* modules.json: whether the model normalises; the folder of its pooling configuration in the arena, empty
 * when there is no pooling module. DP_UNSUPPORTED names a module that is neither Transformer, Pooling nor
 * Normalize. */
enum dp_status model_config_parse_modules(struct span json, struct arena *arena, struct model_config *config,
                                          struct span *pooling_folder, struct dp_error *error);

/* 1_Pooling/config.json. Exactly one known mode must be chosen, and its width must be the model's (where config.hidden
 * is known). */
enum dp_status model_config_parse_pooling(struct span json, struct arena *arena, struct model_config *config,
                                          struct dp_error *error);

/* sentence_bert_config.json: max_seq_length, when it gives one, lowers max_tokens. */
enum dp_status model_config_parse_sentence(struct span json, struct arena *arena, struct model_config *config,
                                           struct dp_error *error);

/* The bounds above, and that heads divide hidden. What a packed model says is checked by the same. */
enum dp_status model_config_check(const struct model_config *config, struct dp_error *error);

#endif
