/* embed/folder/sentence_config.h: the files that sentence-transformers adds to a transformers model: modules,
 * pooling, maximum length.
 *
 * Each file is parsed alone. The parsers understand a field that changes vectors, or refuse it by name;
 * docs/models.md lists them.
 */
#ifndef EMBED_SENTENCE_CONFIG_H
#define EMBED_SENTENCE_CONFIG_H

#include "embed/folder/bert_config.h"

/* modules.json. Folders are plain names; empty means the model's folder, or no such module. */
struct sentence_modules {
    struct span transformer, pooling, normalize;
    bool normalizes;
};

/* DP_UNSUPPORTED names a module other than Transformer, Pooling, Normalize and Dropout (which does nothing here),
 * or one in the wrong place. `transformer` is filled even then, if it came first. */
enum dp_status sentence_modules_parse(struct span json, struct arena *arena, struct sentence_modules *out,
                                      struct dp_error *error);

/* 1_Pooling/config.json: one mode (mean by default), as "pooling_mode" since version 5.4, before that as one
 * boolean per mode. Its width must be config.hidden, if that is known. *skips_prompt: pooling leaves out the
 * tokens of a prompt. */
enum dp_status sentence_pooling_parse(struct span json, struct arena *arena, struct bert_config *config,
                                      bool *skips_prompt, struct dp_error *error);

/* 2_Normalize/config.json: checks that it normalises the text's vector. */
enum dp_status sentence_normalize_parse(struct span json, struct arena *arena, struct dp_error *error);

/* sentence_bert_config.json */
struct sentence_settings {
    uint32_t max_tokens; /* 0: the file does not say; UINT32_MAX: no limit */
    bool lowercases;     /* texts are lower-cased before the tokenizer */
};
enum dp_status sentence_settings_parse(struct span json, struct arena *arena, struct sentence_settings *out,
                                       struct dp_error *error);

#endif
