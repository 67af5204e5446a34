/* embed/folder/sentence_config.h: parses the files that sentence-transformers adds to a transformers model:
 * modules, pooling, normalisation, maximum length.
 *
 * Each parser reads one file. It understands every field that changes vectors, or refuses the field by its name;
 * docs/models.md lists the fields.
 */
#ifndef EMBED_SENTENCE_CONFIG_H
#define EMBED_SENTENCE_CONFIG_H

#include "embed/folder/bert_config.h"

/* The content of modules.json. Each folder is a plain name. An empty `transformer` is the model's folder; any
 * other empty name: there is no such module. */
struct sentence_modules {
    struct span transformer, pooling, normalize;
    bool normalizes;
};

/* Parses modules.json. DP_UNSUPPORTED names a module other than Transformer, Pooling, Normalize and Dropout, or
 * one in the wrong place. (Dropout does nothing outside training.) Even then *out has `transformer`, if that
 * module came first. */
enum dp_status sentence_modules_parse(struct span json, struct arena *arena, struct sentence_modules *out,
                                      struct dp_error *error);

/* Parses 1_Pooling/config.json and sets config->pooling. Since version 5.4 of sentence-transformers, the file names
 * its mode in "pooling_mode". Older files have one boolean per mode. If the file has neither, the mode is "mean".
 * The file's width must be config->hidden, unless config->hidden is 0. Sets *skips_prompt to whether pooling leaves
 * out the tokens of a prompt. */
enum dp_status sentence_pooling_parse(struct span json, struct arena *arena, struct bert_config *config,
                                      bool *skips_prompt, struct dp_error *error);

/* Parses 2_Normalize/config.json, and checks that the module normalises the text's vector. */
enum dp_status sentence_normalize_parse(struct span json, struct arena *arena, struct dp_error *error);

/* The content of sentence_bert_config.json. */
struct sentence_settings {
    uint32_t max_tokens; /* maximum tokens of a text; 0: the file does not say; UINT32_MAX: no limit */
    bool lowercases;     /* the model wants texts in lower case, before the tokenizer */
};
enum dp_status sentence_settings_parse(struct span json, struct arena *arena, struct sentence_settings *out,
                                       struct dp_error *error);

#endif
