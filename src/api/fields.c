/* fields.c: reads fields strictly: unknown ones, repeated ones and wrong types fail. */
#include "api/fields.h"

#include "base/array.h"

#include <assert.h>

enum { NAME_SHOWN_MAX = 60, FLOATS_FIRST = 1024 };

bool fields_next(struct json_reader *r, struct arena *arena, const char *const *names, size_t count,
                 uint64_t *seen, int *field)
{
    struct span key;
    if (!json_next_key(r, arena, &key))
        return false;
    for (size_t i = 0; i < count; i++) {
        assert(names[i]); /* NULL: the enum of fields got a member, but `names` did not */
        if (!span_equal_str(key, names[i]))
            continue;
        uint64_t bit = UINT64_C(1) << i;
        if (*seen & bit) {
            json_reject(r, DP_INVALID, "the field \"%s\" is given twice", names[i]);
            return false;
        }
        *seen |= bit;
        *field = (int)i;
        return true;
    }
    if (key.len < NAME_SHOWN_MAX)
        json_reject(r, DP_INVALID, "unknown field \"%.*s\"", SPAN_FMT(key));
    else
        json_reject(r, DP_INVALID, "unknown field: its name has %zu bytes, more than any field's", key.len);
    return false;
}

bool fields_enter_request(struct json_reader *r)
{
    /* For an empty or malformed body the JSON reader has the better message. */
    return (json_peek(r) == JSON_NOTHING || fields_expect(r, JSON_OBJECT, "the request")) && json_enter_object(r);
}

bool fields_expect(struct json_reader *r, enum json_type type, const char *name)
{
    enum json_type found = json_peek(r);
    if (found == type)
        return true;
    if (found != JSON_NOTHING)
        json_reject(r, DP_INVALID, "%s must be %s, not %s", name, json_type_name(type), json_type_name(found));
    return false;
}

bool fields_string(struct json_reader *r, struct arena *arena, const char *name, struct span *out)
{
    return fields_expect(r, JSON_STRING, name) && json_read_string(r, arena, out);
}

bool fields_bool(struct json_reader *r, const char *name, bool *out)
{
    return fields_expect(r, JSON_BOOL, name) && json_read_bool(r, out);
}

bool fields_u32(struct json_reader *r, const char *name, uint32_t least, uint32_t most, uint32_t *out)
{
    if (!fields_expect(r, JSON_NUMBER, name))
        return false;
    struct json_reader before = *r;
    int64_t value;
    if (json_read_i64(r, &value) && value >= least && value <= most) {
        *out = (uint32_t)value;
        return true;
    }
    *r = before;
    json_reject(r, DP_INVALID, "%s must be an integer from %u to %u", name, least, most);
    return false;
}

bool fields_floats(struct json_reader *r, struct arena *arena, const char *name, size_t max, const float **out,
                   size_t *count)
{
    if (!fields_expect(r, JSON_ARRAY, name) || !json_enter_array(r))
        return false;
    float *values = NULL;
    size_t len = 0, capacity = 0;
    while (json_next_item(r)) {
        if (len == max) {
            json_reject(r, DP_INVALID, "%s has more than %zu numbers", name, max);
            return false;
        }
        float *more = arena_reserve(arena, values, len, &capacity, sizeof *more, FLOATS_FIRST);
        if (!more) {
            json_reject(r, DP_NOMEM, "a vector");
            return false;
        }
        values = more;
        if (!fields_expect(r, JSON_NUMBER, name) || !json_read_float(r, &values[len]))
            return false;
        len++;
    }
    *out = values;
    *count = len;
    return !json_failed(r);
}

bool fields_null(struct json_reader *r)
{
    return json_peek(r) == JSON_NULL && json_read_null(r);
}

size_t fields_count_items(const struct json_reader *r)
{
    struct json_reader ahead = *r;
    size_t count = 0;
    if (!json_enter_array(&ahead))
        return 0;
    while (json_next_item(&ahead) && json_skip(&ahead))
        count++;
    return count;
}
