/* capi/arguments.h: checks the pointers, options and structs that a caller of the C API passes.
 *
 * Options and the structs that the library fills begin with `size_t size`. A new field goes to the end of such
 * a struct, at an offset of at least the sizeof in every released version, because the padding at the end of an
 * older program's struct may hold anything.
 */
#ifndef CAPI_ARGUMENTS_H
#define CAPI_ARGUMENTS_H

#include <stddef.h>

#include "base/error.h"

/* Maximum bytes of such a struct. A greater size means that the caller never set it. */
enum { CAPI_STRUCT_MAX = 4096 };

/* Checks pairs of name and pointer, up to a NULL name. DP_INVALID names the first pointer that is NULL.
 *
 *     capi_need(error, "dp_model_open", "runtime", runtime, "path", path, NULL) */
enum dp_status capi_need(struct dp_error *error, const char *function, ...) __attribute__((sentinel));

/* Copies a caller's options into `to`, a struct of `size` bytes that begins with its size. Fields that an older
 * caller does not have become zero. `from` NULL: all fields become zero.
 *
 * type  "struct dp_embed_options", for errors
 *
 * DP_INVALID: the caller did not set the size (`to` is zeros then), or a newer caller set a field that this
 * library does not know (`to` holds the known fields then). */
enum dp_status capi_options(struct dp_error *error, const char *function, const char *type, const void *from,
                            void *to, size_t size);

/* Checks a struct that the library will fill. DP_INVALID: the caller did not set its size. */
enum dp_status capi_answer_check(struct dp_error *error, const char *function, const char *type, const void *to);

/* Fills a caller's struct from `from`, which has `size` bytes, as far as the caller's struct goes. Keeps the
 * caller's size, and sets bytes that only the caller's struct has to zero. */
void capi_answer(void *to, const void *from, size_t size);

#endif
