/* embed/folder/tokenizer_config.h: what tokenizer_config.json says beside tokenizer.json.
 *
 * transformers builds a tokenizer of a class of its own (BertTokenizer and its kin) anew: the normalizer is made of this
 * file's fields, or of their defaults, and the one in tokenizer.json is not looked at. Of any other class
 * (PreTrainedTokenizerFast) tokenizer.json counts as it is.
 */
#ifndef EMBED_TOKENIZER_CONFIG_H
#define EMBED_TOKENIZER_CONFIG_H

#include "embed/tokenizer.h"

struct tokenizer_config {
    uint32_t max_tokens; /* of a text; UINT32_MAX: any number */
    struct span class;   /* "BertTokenizerFast"; empty: it does not tell */
    bool lowercase, chinese_chars;
    bool has_strip_accents, strip_accents;
};

/* What holds where there is no such file. */
struct tokenizer_config tokenizer_config_usual(void);

/* DP_UNSUPPORTED names a field that changes tokens in a way this tokenizer does not have. */
enum dp_status tokenizer_config_parse(struct span json, struct arena *arena, struct tokenizer_config *out,
                                      struct dp_error *error);

/* What becomes of tokenizer.json. The model's type and the class of its config.json (or empty) count where the file
 * names no class. */
struct tokenizer_changes tokenizer_config_changes(const struct tokenizer_config *config, struct span model_type,
                                                  struct span model_class);

#endif
