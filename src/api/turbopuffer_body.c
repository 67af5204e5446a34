/* turbopuffer_body.c: what the parsers of turbopuffer's requests share. */
#include "api/turbopuffer_body.h"

#include <stdarg.h>

#include "api/fields.h"

enum { VALUE_SHOWN = 20 };

void body_init(struct body_parse *b, struct call *call, struct span body)
{
    *b = (struct body_parse){.call = call};
    json_reader_init(&b->r, body);
}

void body_refuse(struct body_parse *b, enum dp_status status, const char *format, ...)
{
    va_list args;
    if (json_failed(&b->r)) /* the reader has the better message */
        return;
    va_start(args, format);
    dp_vfail(&b->call->error, status, format, args);
    va_end(args);
    b->refused = true;
    json_reject(&b->r, status, "refused");
}

void body_not_yet(struct body_parse *b, const char *what, const char *instead)
{
    body_refuse(b, DP_UNSUPPORTED, "%s is not supported yet by this server: %s", what, instead);
}

/* Returns turbopuffer's name for a type of JSON; With `expected`, the name has its article. */
static const char *service_word(enum json_type type, bool expected)
{
    switch (type) {
    case JSON_ARRAY: return expected ? "a sequence" : "sequence";
    case JSON_OBJECT: return expected ? "a map" : "map";
    case JSON_STRING: return expected ? "a string" : "string";
    case JSON_NUMBER: return expected ? "a number" : "number";
    case JSON_BOOL: return expected ? "a boolean" : "boolean";
    case JSON_NULL: return "null";
    case JSON_NOTHING: break;
    }
    return "nothing";
}

bool body_expect(struct body_parse *b, enum json_type type, const char *name, const char *expected)
{
    const enum json_type found = json_peek(&b->r);
    struct json_reader ahead = b->r;
    struct span raw = {NULL, 0};
    if (found == type)
        return true;
    if (found == JSON_NOTHING)
        return false;
    /* turbopuffer's message shows the value only if it is a string. */
    const bool shown = found == JSON_STRING && json_read_raw(&ahead, &raw) && raw.len <= VALUE_SHOWN;
    json_reject(&b->r, DP_INVALID, "%s must be %s, not %s (invalid type: %s%s%.*s, expected %s)", name,
                json_type_name(type), json_type_name(found), service_word(found, false), shown ? " " : "",
                shown ? (int)raw.len : 0, (const char *)raw.data, expected ? expected : service_word(type, true));
    return false;
}

enum dp_status body_end(struct body_parse *b, bool *malformed)
{
    json_end(&b->r);
    *malformed = !b->refused && b->r.status == DP_INVALID;
    return b->refused ? b->call->error.status : json_error(&b->r, &b->call->error);
}

void body_u32(struct body_parse *b, const char *name, uint32_t least, uint32_t most, uint32_t *out)
{
    double number;
    if (!fields_expect(&b->r, JSON_NUMBER, name))
        return;
    struct json_reader before = b->r;
    int64_t value;
    if (json_read_i64(&b->r, &value) && value >= least && value <= most) {
        *out = (uint32_t)value;
        return;
    }
    b->r = before;
    if (json_read_double(&b->r, &number))
        body_refuse(b, DP_INVALID, "%s must be an integer from %u to %u", name, least, most);
}

void body_metric(struct body_parse *b, enum index_metric *out)
{
    struct span name;
    if (!fields_string(&b->r, b->call->arena, "distance_metric", &name))
        return;
    *out = span_equal_str(name, "cosine_distance") ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    if (*out != INDEX_COSINE && !span_equal_str(name, "euclidean_squared"))
        json_reject(&b->r, DP_INVALID, "distance_metric must be \"cosine_distance\" or \"euclidean_squared\"");
}
