/* embed/folder/tokenizer_config.h: parses tokenizer_config.json, which may change tokenizer.json.
 *
 * For BertTokenizer and its kin, transformers builds the normalizer from this file's fields or their defaults, and
 * ignores the normalizer in tokenizer.json. For any other class, such as PreTrainedTokenizerFast, transformers
 * uses the normalizer in tokenizer.json.
 */
#ifndef EMBED_TOKENIZER_CONFIG_H
#define EMBED_TOKENIZER_CONFIG_H

#include "embed/tokenizer.h"

struct tokenizer_config {
    uint32_t max_tokens; /* maximum tokens of a text; UINT32_MAX: no limit */
    struct span class;   /* such as "BertTokenizerFast"; empty: the file gives none */
    bool lowercase, chinese_chars;
    bool has_strip_accents, strip_accents;
};

/* Returns the defaults, for a folder without the file. */
struct tokenizer_config tokenizer_config_usual(void);

/* Parses the file. DP_UNSUPPORTED names a field that asks for something this tokenizer cannot do. */
enum dp_status tokenizer_config_parse(struct span json, struct arena *arena, struct tokenizer_config *out,
                                      struct dp_error *error);

/* Returns the changes to tokenizer.json. model_type and model_class come from config.json, and decide if `config`
 * has no class. Either may be empty. */
struct tokenizer_changes tokenizer_config_changes(const struct tokenizer_config *config, struct span model_type,
                                                  struct span model_class);

#endif
