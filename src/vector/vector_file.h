/* vector/vector_file.h: reads vectors from files of other programs: .npy, .fvecs and .bvecs. */
#ifndef VECTOR_VECTOR_FILE_H
#define VECTOR_VECTOR_FILE_H

#include "base/error.h"
#include "base/span.h"

enum vector_type {
    VECTOR_F16,
    VECTOR_F32,
    VECTOR_F64,
    VECTOR_I8,
    VECTOR_I16,
    VECTOR_I32,
    VECTOR_I64,
    VECTOR_U8,
    VECTOR_U16,
    VECTOR_U32,
    VECTOR_U64,
    VECTOR_BOOL /* a byte: 0 is false, any other value true */
};

/* How the vectors of a file lie in it. */
struct vector_layout {
    enum vector_type type;
    size_t size;     /* bytes of a number */
    bool big_endian; /* numbers of several bytes begin with the highest byte */
    bool columns; /* Fortran's order: the numbers of all vectors for dimension 0, then those for dimension 1, … */
    bool one_dim;   /* the file is one array of numbers: one vector, or ids */
    uint64_t count; /* vectors */
    size_t dim;
    uint64_t begin;   /* bytes before the first vector */
    size_t prefix;    /* bytes before a vector's numbers: its dimension, in .fvecs and .bvecs */
    size_t row_bytes; /* bytes of a vector, prefix included; for columns they do not lie together */
};

enum {
    VECTOR_HEAD_MAX = 1 << 16, /* maximum bytes of a header */
    /* Maximum dimensions. Readers allocate a row before they read it, and the header of a file without vectors may
     * claim any dimension. */
    VECTOR_DIM_MAX = 1 << 20
};

/* Reads a header. head: the first VECTOR_HEAD_MAX bytes of a file of file_bytes, or all if it has fewer. The
 * first of them decide the format:
 *   .npy    NumPy's format, versions 1 to 3: an array of 1 or 2 dimensions, in C's or Fortran's order, of
 *   booleans, whole
 *           numbers of 1 to 8 bytes or floats of 2 to 8 bytes, in either byte order
 *   .fvecs  for each vector its dimension as i32, then its floats; all of one dimension
 *   .bvecs  for each vector its dimension as i32, then its numbers, one byte each, 0 to 255
 *
 * begin + count * row_bytes equals file_bytes. DP_INVALID: the message has `name`, the fault, and what to do. */
enum dp_status vector_layout_parse(struct span head, uint64_t file_bytes, const char *name,
                                   struct vector_layout *out, struct dp_error *error);
/* Whether the file's rows can be used as float[dim] without conversion. */
bool vector_layout_is_plain(const struct vector_layout *layout);
/* Takes the vectors that lie in `bytes`, whole rows from number `first` on: out float[bytes.len /
 * row_bytes][dim]. Not for columns. DP_INVALID for a row of another dimension. */
enum dp_status vector_layout_take(const struct vector_layout *layout, struct span bytes, uint64_t first,
                                  const char *name, float *out, struct dp_error *error);
/* Offset in the file of a column's number for vector `first`. */
uint64_t vector_layout_column_at(const struct vector_layout *layout, size_t column, uint64_t first);
/* Takes the numbers in `bytes` as one column of out: float[bytes.len / size][dim]. */
void vector_layout_take_column(const struct vector_layout *layout, struct span bytes, size_t column, float *out);

struct vector_file {
    float *values; /* float[count][dim] */
    size_t count, dim;
};

/* Takes the vectors of a whole file. Needs at most four times the file's size in memory. DP_INVALID, with `name`
 * and the fault; DP_NOMEM. */
enum dp_status vector_file_parse(struct span bytes, const char *name, struct vector_file *out,
                                 struct dp_error *error);
void vector_file_deinit(struct vector_file *file);

/* Takes the ids of a whole .npy: whole numbers in one dimension (or in one column or row). *out: int64_t[*count];
 * the caller frees it by mem_free. */
enum dp_status vector_ids_parse(struct span bytes, const char *name, int64_t **out, size_t *count,
                                struct dp_error *error);

#endif
