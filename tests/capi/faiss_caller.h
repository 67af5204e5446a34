/* faiss_caller.h: FAISS's own answers over the test files (tests/golden/make_faiss_golden.py describes them), and a
 * caller's file, for tests of FAISS files through the public C API. */
#ifndef TEST_CAPI_FAISS_CALLER_H
#define TEST_CAPI_FAISS_CALLER_H

#include <dipper/dipper.h>
#include <stdatomic.h>

#include "base/span.h"

enum { NAME_BYTES = 128, ANSWERS_MAX = 4096, DIM_MAX = 512 };

/* FAISS's answers: queries, then ids and distances for each nprobe. */
struct answers {
    struct cursor rest;
    uint32_t count, d, k, searches;
    float largest; /* largest squared length of a vector in the file */
    float *queries;
};

/* A caller's file in memory, which counts its calls and can fail at one of them. */
struct caller {
    struct span bytes;
    _Atomic size_t calls, ranges, frees;
    size_t act_at; /* the call, from 1, at which the fields below take effect; 0: never */
    enum dp_status status;
    const char *sentence;
    size_t short_by;
    bool slow; /* takes all the time that is left */
    int64_t told_ms;
};

/* The bytes of tests/data/faiss/NAME.SUFFIX. */
struct span faiss_golden(const char *name, const char *suffix);
/* The answers of NAME. The caller frees a.queries. */
struct answers faiss_answers(const char *name);
/* Opens a caller's file. options may be NULL. */
enum dp_status caller_try(struct caller *caller, const struct dp_index_options *options, struct dp_index **out,
                          struct dp_error *error);
/* Opens a caller's file, or fails the test. */
struct dp_index *caller_open(struct caller *caller, const struct dp_index_options *options);
/* The free_ctx of a caller's file. Counts its calls. */
void caller_free(void *ctx);
/* Opens a URL, or fails the test. */
struct dp_index *open_faiss_url(const char *url, const struct dp_index_options *options);
/* Searches all queries of the answers. */
enum dp_status search_answers(const struct dp_index *index, const struct answers *a, size_t nprobe, int64_t *ids,
                              float *distances, struct dp_error *error);
/* Repeats all of FAISS's searches. Returns the number of queries. */
size_t agree_with_faiss(const struct dp_index *index, const char *name);

#endif
