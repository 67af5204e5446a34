/* embed/folder/safetensors.h: the tensors of a .safetensors file, read in place.
 *
 * The file has three parts: the header's length (u64), the header, and the data. The header is a JSON object
 * {name: {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__": {…}}. Offsets count from the start
 * of the data. The table points into the file's bytes, so these must outlive it. It never changes after parsing,
 * and any thread may read it.
 */
#ifndef EMBED_SAFETENSORS_H
#define EMBED_SAFETENSORS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { TENSOR_DIMS_MAX = 8, TENSORS_MAX = 65536 };

enum tensor_type { TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_OTHER };

struct tensor {
    struct span name;
    enum tensor_type type;
    struct span type_name; /* as the file spells it */
    unsigned dims;
    uint64_t shape[TENSOR_DIMS_MAX];
    uint64_t count;   /* number of elements: the product of the shape */
    struct span data; /* at any alignment */
};

struct safetensors {
    const struct tensor *tensors; /* in the arena */
    size_t count;
};

/* Parses the bytes of a whole file. The table lies in `arena`. DP_CORRUPT: the header breaks the format, or a
 * tensor lies outside the file; DP_UNSUPPORTED: an unknown dtype; DP_TOO_LARGE: more than TENSORS_MAX tensors;
 * DP_NOMEM. */
enum dp_status safetensors_parse(struct span file, struct arena *arena, struct safetensors *out,
                                 struct dp_error *error);

/* Returns the tensor with the name `name`, or NULL. */
const struct tensor *safetensors_find(const struct safetensors *st, const char *name);

/* Converts `count` elements, from element `first` on, to floats. DP_UNSUPPORTED: the elements are not floats of 16
 * or 32 bits. DP_CORRUPT: a value is infinite or NaN, or the tensor has too few elements. */
enum dp_status tensor_read(const struct tensor *t, uint64_t first, uint64_t count, float *out,
                           struct dp_error *error);

#endif
