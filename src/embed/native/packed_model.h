/* embed/native/packed_model.h: a model in one file: int8 weights, embedding tables, tokenizer and prompts. The
 * encoder uses the bytes where they lie.
 *
 * Layout, little-endian (docs/internals/packed-model.md describes it byte by byte):
 *     header    magic, format version, sizes, the model's parameters, a table of sections, XXH3-64 of all these
 *     sections  in the order of packed_section(); each begins at a multiple of 64 and has an XXH3-64 in the table
 * The parameters determine all lengths except those of tokenizer and prompts, so a reader can check the table.
 */
#ifndef EMBED_PACKED_MODEL_H
#define EMBED_PACKED_MODEL_H

#include "base/buffer.h"
#include "embed/native/encoder.h"
#include "embed/folder/model_source.h"

enum {
    PACKED_VERSION = 3,
    PACKED_ALIGN = 64,
    PACKED_FIXED_BYTES = 232,  /* bytes of the header before the section table */
    PACKED_ENTRY_BYTES = 24,   /* bytes of an entry of the table: offset, length, checksum */
    PACKED_SECTIONS_FIRST = 6, /* tokenizer, word codes, word scales, positions, embedding norm, prompts */
    PACKED_SECTIONS_LAYER = 6  /* qkv, attention out, attention norm, ffn in, ffn out, ffn norm */
};

#define PACKED_MAGIC "DIPMODEL"

/* The content of a section. */
enum packed_kind {
    PACKED_TOKENIZER,
    PACKED_PROMPTS,     /* the packed form of embed/prompts.h */
    PACKED_WORD_CODES,  /* s8[vocab][hidden] */
    PACKED_WORD_SCALES, /* f32[vocab] */
    PACKED_POSITIONS,   /* f32[max_tokens][hidden] */
    PACKED_NORM,        /* f32 gamma[hidden], beta[hidden]; also unscale[hidden] if a residual stream is added */
    PACKED_DENSE        /* s8[n/64][k/4][64][4], f32 scale[n], sum[n], bias[n] */
};

struct packed_section {
    enum packed_kind kind;
    size_t n, k;    /* padded outputs and inputs of a dense section */
    uint64_t bytes; /* 0 for tokenizer and prompts: only the table has their lengths */
};

static inline size_t packed_section_count(const struct bert_config *c)
{
    return PACKED_SECTIONS_FIRST + (size_t)c->layers * PACKED_SECTIONS_LAYER;
}

/* Returns the bytes of the header: fixed part, table and checksum, rounded up to PACKED_ALIGN. */
static inline size_t packed_header_bytes(const struct bert_config *c)
{
    size_t bytes = PACKED_FIXED_BYTES + packed_section_count(c) * PACKED_ENTRY_BYTES + 8;
    return (bytes + PACKED_ALIGN - 1) / PACKED_ALIGN * PACKED_ALIGN;
}

/* Returns the content and size of section number `index`. */
struct packed_section packed_section(const struct bert_config *c, size_t index);

/* An open packed model. It points into the packed bytes. */
struct packed_model {
    struct encoder encoder; /* allocates only its layers array */
    char name[MODEL_NAME_MAX + 1];
    uint8_t fingerprint[32];
    struct span tokenizer;
    struct prompts prompts; /* point into the packed bytes */
};

/* Opens `bytes`, which must be 64-byte aligned and outlive the model. Verifies every checksum. Errors:
 * DP_CORRUPT (with the reason), DP_UNSUPPORTED (another format version), DP_NOMEM. */
enum dp_status packed_model_open(struct span bytes, struct packed_model *out, struct dp_error *error);
void packed_model_close(struct packed_model *m);

#endif
