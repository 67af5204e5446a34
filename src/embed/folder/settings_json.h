/* embed/folder/settings_json.h: helpers of the parsers of a model folder's small files. */
#ifndef EMBED_SETTINGS_JSON_H
#define EMBED_SETTINGS_JSON_H

#include "base/json.h"

/* Passes on the JSON reader's error, with the file's name before it. Returns its status. */
static inline enum dp_status settings_fail(const struct json_reader *r, const char *file, struct dp_error *error)
{
    enum dp_status status = json_error(r, error);
    dp_error_prefix(error, "%s", file);
    return status;
}

/* Reads an integer. A larger integer than UINT32_MAX becomes UINT32_MAX. */
static inline bool settings_u32(struct json_reader *r, uint32_t *out)
{
    uint64_t value;
    if (!json_read_u64(r, &value))
        return false;
    *out = value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return true;
}

/* Reads a string, and refuses any other than `only`. */
static inline bool settings_expect(struct json_reader *r, struct arena *arena, struct span key, const char *only)
{
    struct span value;
    if (!json_read_string(r, arena, &value))
        return false;
    if (!span_equal_str(value, only))
        json_reject(r, DP_UNSUPPORTED, "%.*s \"%.*s\": supported is \"%s\"", SPAN_FMT(key), SPAN_FMT(value), only);
    return !json_failed(r);
}

/* Reads a maximum number of tokens. null leaves *out unchanged. A number above UINT32_MAX, such as 1e30, means no
 * limit and becomes UINT32_MAX. */
static inline bool settings_limit(struct json_reader *r, uint32_t *out)
{
    double value;
    if (json_peek(r) == JSON_NULL)
        return json_skip(r);
    if (!json_read_double(r, &value))
        return false;
    if (value < 3)
        json_reject(r, DP_INVALID, "a limit of %.0f tokens has no room for a word", value);
    else
        *out = value >= (double)UINT32_MAX ? UINT32_MAX : (uint32_t)value;
    return !json_failed(r);
}

#endif
