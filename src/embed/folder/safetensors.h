/* embed/folder/safetensors.h: the tensors of a .safetensors file, read in place.
 *
 * The file: u64 header length, a JSON object {name: {"dtype", "shape", "data_offsets": [begin, end]}, …,
 * "__metadata__": {…}}, then the data the offsets count from. Nothing is copied: the bytes must outlive the table,
 * which never changes after parsing; any thread may read it.
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
    uint64_t count;   /* product of the shape */
    struct span data; /* any alignment */
};

struct safetensors {
    const struct tensor *tensors; /* in the arena */
    size_t count;
};

/* Parses the whole file's bytes into `out`, which lives in `arena`. DP_CORRUPT: a header that breaks the format,
 * or a tensor outside the file; DP_NOMEM. */
enum dp_status safetensors_parse(struct span file, struct arena *arena, struct safetensors *out,
                                 struct dp_error *error);

/* The tensor of that name, or NULL. */
const struct tensor *safetensors_find(const struct safetensors *st, const char *name);

/* Copies `count` elements from element `first` as floats. DP_UNSUPPORTED: not a float of 16 or 32 bits;
 * DP_CORRUPT: an infinite or NaN value, or too few elements. */
enum dp_status tensor_read(const struct tensor *t, uint64_t first, uint64_t count, float *out,
                           struct dp_error *error);

#endif
