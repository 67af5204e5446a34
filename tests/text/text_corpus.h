/* text_corpus.h: random texts, the text index of them, and their postings as a test counts them. */
#ifndef TEXT_CORPUS_H
#define TEXT_CORPUS_H

#include "base/arena.h"
#include "base/buffer.h"
#include "text/index.h"
#include "text/index_build.h"

enum { CORPUS_COLUMNS = 2, CORPUS_PARTS = 5 };

/* Texts of words "w0", "w1", …: word w is about 1 / (w + 1) as frequent as w0. */
struct corpus {
    struct arena arena;
    uint32_t rows, words;
    uint32_t *tfs;     /* [CORPUS_COLUMNS][words][rows] */
    uint32_t *lengths; /* [CORPUS_COLUMNS][rows]: tokens */
    struct buffer tdic, post, tidx, tfrq, lens;
    struct text_index index;
};

void corpus_init(struct corpus *c, uint64_t seed, uint32_t rows, uint32_t words, uint32_t length,
                 const struct text_build_limits *limits);
void corpus_deinit(struct corpus *c);
struct span corpus_word(uint32_t word, char text[16]);

static inline uint32_t corpus_tf(const struct corpus *c, uint32_t column, uint32_t word, uint32_t row)
{
    return c->tfs[((size_t)column * c->words + word) * c->rows + row];
}

/* Opens the postings of a token. Returns false if the index does not have it. */
bool corpus_open(struct corpus *c, uint32_t column, struct span token, struct postings *out);

#endif
