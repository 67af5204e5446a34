/* embed/folder/bert_config.h: what config.json says of a BERT encoder.
 *
 * The native engine computes BERT alone; the parser refuses by name what that engine lacks. An outline, for an engine
 * that has a graph, fills the fields that encoders of every type share.
 *
 * Its neighbours in the folder: sentence_config.h, tokenizer_config.h; and prompts.h.
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
    uint32_t hidden; /* width of a token */
    uint32_t layers;
    uint32_t heads;        /* divides hidden */
    uint32_t intermediate; /* width of the feed-forward layer */
    uint32_t vocab;
    uint32_t types;      /* rows of the token type table; texts use row 0 */
    uint32_t positions;  /* rows of the position table */
    uint32_t max_tokens; /* of a text, special tokens included; at most `positions` */
    float epsilon;       /* of layer norm */
    enum model_pooling pooling;
    bool normalize; /* whether the model's last step divides by the L2 norm */
};

/* Reads config.json: fills all fields up to epsilon; max_tokens becomes `positions`. DP_UNSUPPORTED names what the
 * native engine lacks: another type, activation or kind of position, a decoder, code in the model. */
enum dp_status bert_config_parse(struct span json, struct arena *arena, struct bert_config *config,
                                 struct dp_error *error);

/* Reads config.json of an encoder of any type, for an engine that has a graph: fills vocab, positions and
 * max_tokens, each 0 if the file does not say; other fields stay 0. Does not count the positions that RoBERTa and
 * its kin reserve. */
enum dp_status bert_config_parse_outline(struct span json, struct arena *arena, struct bert_config *config,
                                         struct dp_error *error);

/* Reads from config.json the two fields that choose transformers' class of tokenizer; empty if absent. */
enum dp_status bert_config_parse_classes(struct span json, struct arena *arena, struct span *model_type,
                                         struct span *tokenizer_class, struct dp_error *error);

/* Checks the bounds above, and that heads divide hidden. Packed models pass the same check. */
enum dp_status bert_config_check(const struct bert_config *config, struct dp_error *error);

#endif
