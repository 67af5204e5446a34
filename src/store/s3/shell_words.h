/* store/s3/shell_words.h: splits a text into words as a POSIX shell does: quotes and backslashes keep blanks, and
 * nothing is expanded. It does what Python's shlex.split does, which boto3 uses. Pure: no I/O.
 */
#ifndef STORE_S3_SHELL_WORDS_H
#define STORE_S3_SHELL_WORDS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { SHELL_WORDS_MAX = 256 };

struct shell_words {
    struct span *words; /* each has a NUL behind it; in the arena */
    size_t count;
};

/* DP_INVALID: a quote does not end, a backslash stands at the end, or there are more than SHELL_WORDS_MAX words. The
 * message names no part of the text. DP_NOMEM. */
enum dp_status shell_words_split(struct span text, struct arena *arena, struct shell_words *out,
                                 struct dp_error *error);

#endif
