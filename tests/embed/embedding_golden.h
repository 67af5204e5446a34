/* embedding_golden.h: the texts and vectors of tests/data/embedding (tests/golden/make_embedding_golden.py). */
#ifndef EMBEDDING_GOLDEN_H
#define EMBEDDING_GOLDEN_H

#include "embed/tokenizer.h"

struct golden {
    size_t count, dim;
    struct tokens *texts; /* [count] */
    float *vectors;       /* [count][dim] */
};

/* Fails the test if the file is missing or truncated. */
struct golden golden_load(void);
void golden_free(struct golden *g);

/* The folder of all-MiniLM-L6-v2: $DIPPER_MODEL_DIR, or models/ of the source tree. If it is missing, fails the
 * test and names scripts/fetch-model. */
const char *golden_model(void);

#endif
