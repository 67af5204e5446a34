/* config/toml.h: reads the part of TOML that settings need: tables, and keys with a string, an integer or a
 * boolean.
 *
 * Strings are "basic" with escapes or 'literal', on one line. Integers are decimal; underscores are allowed.
 * The reader refuses other values, [[arrays of tables]] and quoted keys, and says so by name. Each error names
 * the line.
 */
#ifndef CONFIG_TOML_H
#define CONFIG_TOML_H

#include "base/arena.h"
#include "base/error.h"
#include "base/span.h"

enum { TOML_KEYS_MAX = 4096, TOML_KEY_MAX_BYTES = 256 };

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN };

struct toml_value {
    enum toml_type type;
    struct span text; /* a string without its escapes and NUL; an integer's sign and digits; true or false */
    unsigned line;    /* number, from 1 */
};

/* Receives each value in the file's order. `key` begins with its table: "server.port". A failure ends the
 * reading. Spans live in the arena. */
struct toml_sink {
    enum dp_status (*take)(void *ctx, struct span key, const struct toml_value *value, struct dp_error *error);
    void *ctx;
};

/* Reads `text` and gives its values to the sink. `file` is for messages: "dipper.toml, line 3: …". DP_INVALID:
 * not TOML, or a repeated key or table; DP_UNSUPPORTED: TOML that this reader does not know; or the sink's
 * failure. */
enum dp_status toml_read(const char *file, struct span text, struct arena *arena, const struct toml_sink *sink,
                         struct dp_error *error);

#endif
