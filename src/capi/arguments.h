/* capi/arguments.h: checks of what a caller of the C API passes: pointers, options, structs to fill.
 *
 * Options and the structs that the library fills begin with `size_t size`. New fields go to the end of such a struct, at or
 * behind the sizeof of every released version: padding at the end of an older program's struct may hold anything.
 */
#ifndef CAPI_ARGUMENTS_H
#define CAPI_ARGUMENTS_H

#include <stddef.h>

#include "base/error.h"

/* Larger structs are refused: their size was never set. */
enum { CAPI_STRUCT_MAX = 4096 };

/* DP_INVALID, with the name of the first pointer that is NULL. Takes pairs of name and pointer, then NULL.
 *
 *     capi_need(error, "dp_model_open", "runtime", runtime, "path", path, NULL) */
enum dp_status capi_need(struct dp_error *error, const char *function, ...) __attribute__((sentinel));

/* Copies a caller's options into `to`, a struct of `size` bytes that begins with its size: fields that an older caller
 * does not have are zero. NULL: zeros.
 *
 * type  "struct dp_embed_options", for errors
 *
 * DP_INVALID if the size was not set (`to` is zeros then), or if a newer caller set a field behind ours (`to` holds
 * the fields that we know). */
enum dp_status capi_options(struct dp_error *error, const char *function, const char *type, const void *from,
                            void *to, size_t size);

/* DP_INVALID if the size of a struct that is to be filled was not set. */
enum dp_status capi_answer_check(struct dp_error *error, const char *function, const char *type, const void *to);

/* Fills a caller's struct: `from` as far as the caller's struct goes, and zeros behind. The caller's size stays. */
void capi_answer(void *to, const void *from, size_t size);

#endif
