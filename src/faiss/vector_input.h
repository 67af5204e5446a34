/* faiss/vector_input.h: the vectors of a .npy, .fvecs or .bvecs file as a vector_source: read in blocks, never whole. */
#ifndef FAISS_VECTOR_INPUT_H
#define FAISS_VECTOR_INPUT_H

#include "os/file.h"
#include "vector/vector_file.h"
#include "vector/vector_source.h"

struct vector_input {
    struct os_input file;
    const char *path; /* the caller's */
    struct vector_layout layout;
    uint8_t *bytes; /* of a piece whose numbers must be taken one by one */
};

/* Opens the file at `path`, which must stay as long as the input. DP_INVALID for what is no file of vectors, or of one
 * dimension;
 * DP_NOT_FOUND, DP_DENIED, DP_IO, DP_NOMEM. */
enum dp_status vector_input_open(struct call *call, const char *path, struct vector_input *out);
void vector_input_close(struct vector_input *input);

/* Valid as long as the input. Its reads fail with DP_STALE once the file has become shorter. */
struct vector_source vector_input_source(struct vector_input *input);

/* The ids of a .npy at `path`, which must be `count`. *out: int64_t[count], to be freed by mem_free. */
enum dp_status vector_input_ids(struct call *call, const char *path, uint64_t count, int64_t **out);

#endif
