/* vector/vector_file.h: vectors as other programs leave them in files: .npy and .fvecs. */
#ifndef VECTOR_VECTOR_FILE_H
#define VECTOR_VECTOR_FILE_H

#include "base/error.h"
#include "base/span.h"

/* How the vectors of a file lie in it. */
enum vector_type { VECTOR_F32, VECTOR_F64, VECTOR_I64, VECTOR_FVECS };
struct vector_layout {
    enum vector_type type;
    uint64_t count; /* vectors */
    size_t dim;
    uint64_t begin;   /* bytes before the first */
    size_t row_bytes; /* from one to the next */
};

enum { VECTOR_HEAD_MAX = 1 << 16 }; /* bytes at a file's beginning that always hold its header */

/* Reads a header. head: the first bytes of a file of file_bytes, VECTOR_HEAD_MAX of them or all. By its first bytes it is
 *   .npy    NumPy's format, versions 1 to 3: an array of 1 or 2 dimensions, little-endian float32, float64 or
 *   int64, in C order
 *   .fvecs  for each vector its dimension as i32, then its floats; all of one dimension
 *
 * begin + count * row_bytes is exactly file_bytes. DP_INVALID, with `name` and what is wrong. */
enum dp_status vector_layout_parse(struct span head, uint64_t file_bytes, const char *name,
                                   struct vector_layout *out, struct dp_error *error);
/* DP_INVALID when the numbers are integers. */
enum dp_status vector_layout_want_floats(const struct vector_layout *layout, const char *name,
                                         struct dp_error *error);
/* Takes the vectors that lie in `bytes`, whole rows from number `first` on: out float[bytes.len / row_bytes][dim].
 * DP_INVALID for a row of another dimension. */
enum dp_status vector_layout_take(const struct vector_layout *layout, struct span bytes, uint64_t first,
                                  const char *name, float *out, struct dp_error *error);

struct vector_file {
    float *values; /* float[count][dim] */
    size_t count, dim;
};

/* Takes the vectors of a whole file. Takes at most the file's size in memory. DP_INVALID, with `name` and what is
 * wrong; DP_NOMEM. */
enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error);
void vector_file_deinit(struct vector_file *file);

/* The ids of a whole .npy: int64 in one dimension (or in one column). *out: int64_t[*count], to be freed by mem_free. */
enum dp_status vector_ids_parse(struct span bytes, const char *name, int64_t **out, size_t *count,
                                struct dp_error *error);

#endif
