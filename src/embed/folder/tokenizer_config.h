/* embed/folder/tokenizer_config.h: tokenizer_config.json, which may change tokenizer.json.
 *
 * For BertTokenizer and its kin, transformers builds the normalizer from this file's fields or their defaults, and
 * ignores the normalizer in tokenizer.json. For any other class (PreTrainedTokenizerFast) tokenizer.json counts.
 */
#ifndef EMBED_TOKENIZER_CONFIG_H
#define EMBED_TOKENIZER_CONFIG_H

#include "embed/tokenizer.h"

struct tokenizer_config {
    uint32_t max_tokens; /* of a text; UINT32_MAX: no limit */
    struct span class;   /* "BertTokenizerFast"; empty: not given */
    bool lowercase, chinese_chars;
    bool has_strip_accents, strip_accents;
};

/* The defaults, for a folder without the file. */
struct tokenizer_config tokenizer_config_usual(void);

/* DP_UNSUPPORTED names a field that changes tokens in a way this tokenizer does not have. */
enum dp_status tokenizer_config_parse(struct span json, struct arena *arena, struct tokenizer_config *out,
                                      struct dp_error *error);

/* The changes to tokenizer.json. If the file names no class, the model's type and the class in config.json (or
 * empty) count. */
struct tokenizer_changes tokenizer_config_changes(const struct tokenizer_config *config, struct span model_type,
                                                  struct span model_class);

#endif
