/* tiny_model.h: a random BERT of a few thousand weights, written as a model folder. */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* Widths that no register or panel divides. */
enum {
    TINY_HIDDEN = 20,
    TINY_HEADS = 2,
    TINY_INTERMEDIATE = 36,
    TINY_VOCAB = 11,
    TINY_POSITIONS = 12,
    TINY_TOKENS = 9
};

struct tiny_options {
    uint32_t layers; /* 0: one */
    uint64_t seed;
    const char *type;   /* the tensors' type: "F32" (also NULL), "F16" or "BF16" */
    const char *config; /* replace the usual config.json, sentence_bert_config.json, modules.json, … */
    const char *sentence;
    const char *modules;
    const char *pooling;
    const char *tokenizer;
    const char *without;    /* a tensor to leave out */
    const char *not_finite; /* a tensor whose first value is NaN */
    const char *prefix;     /* before every tensor's name */
    bool flat;              /* all weights of matrices have one absolute value */
    float loud;             /* multiplies channel 5 of gamma behind attention; 0: no change */
};

/* Writes the folder `name` in the test's scratch folder. Returns its path, in a static buffer. */
const char *tiny_model_write(const char *name, const struct tiny_options *options);

/* tokenizer.json of the tiny model: [UNK] [CLS] [SEP] [PAD] and seven words. */
extern const char tiny_tokenizer[];

#endif
