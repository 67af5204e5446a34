/* vector/vector_file.h: vectors as other programs leave them in files: .npy and .fvecs. */
#ifndef VECTOR_VECTOR_FILE_H
#define VECTOR_VECTOR_FILE_H

#include "base/error.h"
#include "base/span.h"

struct vector_file {
    float *values; /* float[count][dim] */
    size_t count, dim;
};

/* Takes the vectors of a whole file. By its first bytes it is
 *   .npy    NumPy's format, versions 1 to 3: an array of 1 or 2 dimensions, little-endian float32 or float64, in
 *   C order
 *   .fvecs  for each vector its dimension as i32, then its floats; all of one dimension
 *
 * Takes at most the file's size in memory. DP_INVALID, with `name` and what is wrong; DP_NOMEM. */
enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error);
void vector_file_deinit(struct vector_file *file);

#endif
