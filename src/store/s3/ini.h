/* store/s3/ini.h: reads a file of sections, keys and values, as the tools of AWS read their profile files.
 *
 * The grammar is that of Python's configparser, which the AWS CLI and boto3 use:
 *   "[name]"         begins a section
 *   "key = value"    or "key: value"; keys have no case; only blanks before the key are ignored
 *   a deeper line    continues the value of the key before it, even after empty lines
 *   # or ;           at a line's start begins a comment
 * A value whose first line is empty is a group of "name = value" lines, which ini_nested reads. Differences: a byte
 * order mark is skipped, and a section or a key may come twice, where configparser fails. Pure: no I/O.
 */
#ifndef STORE_S3_INI_H
#define STORE_S3_INI_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { INI_LINES_MAX = 20000 }; /* sections and keys of a file together */

/* One "key = value", or the header of a section, which has an empty key. */
struct ini_line {
    struct span section, key;
    struct span value; /* the lines of a continued value are joined by newlines, without their indents */
};

struct ini_file {
    struct ini_line *lines;
    size_t count;
};

/* Parses a copy of `text`, which lies in the arena. DP_INVALID names `path` and the line; DP_NOMEM. */
enum dp_status ini_parse(const char *path, struct span text, struct arena *arena, struct ini_file *out,
                         struct dp_error *error);

bool ini_has_section(const struct ini_file *file, struct span section);
/* Returns the value of a key, else that of the section DEFAULT; .data is NULL if neither has the key. */
struct span ini_value(const struct ini_file *file, struct span section, const char *key);
/* Returns the last value of "name = value" in a group; .data is NULL if there is none. */
struct span ini_nested(struct span group, const char *name);
/* Returns the text without the blanks at its ends. */
struct span ini_trim(struct span text);

#endif
