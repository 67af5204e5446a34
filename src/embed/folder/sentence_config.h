/* embed/folder/sentence_config.h: what sentence-transformers writes beside a transformers model: which modules there are, how
 * token vectors become one, how long a text may be.
 *
 * Each file is parsed on its own. A field that changes vectors is understood or refused by its name; docs/models.md
 * lists them, with what the library does.
 */
#ifndef EMBED_SENTENCE_CONFIG_H
#define EMBED_SENTENCE_CONFIG_H

#include "embed/folder/bert_config.h"

/* modules.json. Folders are plain names, or empty: the model's folder itself, or no such module. */
struct sentence_modules {
    struct span transformer, pooling, normalize;
    bool normalizes;
};

/* DP_UNSUPPORTED names a module that is none of Transformer, Pooling, Normalize and Dropout (which does nothing here),
 * or that is in another place; `transformer` is known even then, when it came first. */
enum dp_status sentence_modules_parse(struct span json, struct arena *arena, struct sentence_modules *out,
                                      struct dp_error *error);

/* 1_Pooling/config.json: one mode (mean where none is chosen), written as "pooling_mode" since version 5.4 and as one
 * boolean a mode before; its width must be the model's (where config.hidden is known). *skips_prompt: the tokens of a
 * prompt are left out of the pool. */
enum dp_status sentence_pooling_parse(struct span json, struct arena *arena, struct bert_config *config,
                                      bool *skips_prompt, struct dp_error *error);

/* 2_Normalize/config.json: that it is the text's vector that is normalised. */
enum dp_status sentence_normalize_parse(struct span json, struct arena *arena, struct dp_error *error);

/* sentence_bert_config.json */
struct sentence_settings {
    uint32_t max_tokens; /* 0: it does not tell; UINT32_MAX: any number */
    bool lowercases;     /* texts, before the tokenizer does anything */
};
enum dp_status sentence_settings_parse(struct span json, struct arena *arena, struct sentence_settings *out,
                                       struct dp_error *error);

#endif
