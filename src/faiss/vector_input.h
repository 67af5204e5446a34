/* faiss/vector_input.h: makes a vector_source of a .npy, .fvecs or .bvecs file, and reads it block by block. */
#ifndef FAISS_VECTOR_INPUT_H
#define FAISS_VECTOR_INPUT_H

#include "os/file.h"
#include "vector/vector_file.h"
#include "vector/vector_source.h"

struct vector_input {
    struct os_input file;
    const char *path; /* the caller's string */
    struct vector_layout layout;
    uint8_t *bytes; /* room for a piece of the file, if its numbers are not floats; else NULL */
};

/* Opens the file at `path`; the string must outlive the input. DP_INVALID when the file holds no vectors, or an
 * array of one dimension; DP_NOT_FOUND, DP_DENIED, DP_IO, DP_NOMEM. */
enum dp_status vector_input_open(struct call *call, const char *path, struct vector_input *out);
void vector_input_close(struct vector_input *input);

/* The source is valid as long as the input. Its reads fail with DP_STALE once the file has become shorter. */
struct vector_source vector_input_source(struct vector_input *input);

/* Reads exactly `count` ids from the .npy file at `path`. Sets *out to int64_t[count], which the caller frees with
 * mem_free. */
enum dp_status vector_input_ids(struct call *call, const char *path, uint64_t count, int64_t **out);

#endif
