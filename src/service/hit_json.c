/* hit_json.c: writes a hit as JSON, and copies the fields of its attributes as they are stored. */
#include "service/hit_json.h"

static bool is_among(const struct span *names, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal(names[i], name))
            return true;
    return false;
}

static void write_vector(struct json_writer *w, const float *vector, const struct hit_format *format)
{
    json_key(w, "vector");
    if (format->base64)
        json_base64(w, span_of(vector, format->dim * sizeof *vector));
    else
        json_floats(w, vector, format->dim);
}

/* Returns the logical bytes of a value as it is stored. */
static uint64_t count_value(struct span json)
{
    struct json_reader r;
    struct span item;
    uint64_t sum = 0;
    json_reader_init(&r, json);
    switch (json_peek(&r)) {
    case JSON_BOOL: return sizeof(bool);
    case JSON_NUMBER: return sizeof(uint64_t);
    case JSON_STRING: return json.len - 2; /* without its quotes */
    case JSON_ARRAY:
        json_enter_array(&r);
        while (json_next_item(&r) && json_read_raw(&r, &item))
            sum += count_value(item);
        return sum;
    case JSON_NULL:
    case JSON_OBJECT:
    case JSON_NOTHING: break;
    }
    return 0;
}

void hit_write_id(struct json_writer *w, const struct index_id *id)
{
    if (id->is_string)
        json_string(w, id->text);
    else
        json_u64(w, id->number);
}

/* Returns the logical bytes of a hit without its attributes. */
static uint64_t count_hit(const struct index_hit *hit, const struct hit_format *format)
{
    uint64_t bytes = hit->id.is_string ? hit->id.text.len : sizeof hit->id.number;
    if (!format->no_distance)
        bytes += sizeof hit->dist;
    return hit->vector ? bytes + format->dim * sizeof *hit->vector : bytes;
}

enum dp_status hit_write_json(struct json_writer *w, struct call *call, const struct index_hit *hit,
                              const struct hit_format *format)
{
    struct json_reader r;
    struct span name, value;
    uint64_t logical = format->logical_bytes ? count_hit(hit, format) : 0;
    json_begin_object(w);
    json_key(w, "id");
    hit_write_id(w, &hit->id);
    if (!format->no_distance)
        json_field_float(w, "$dist", hit->dist);
    if (hit->vector && format->dim)
        write_vector(w, hit->vector, format);
    json_reader_init(&r, hit->attributes.len ? hit->attributes : span_str("{}"));
    json_enter_object(&r);
    while (json_next_key(&r, call->arena, &name) && json_read_raw(&r, &value)) {
        if (is_among(format->excluded, format->excluded_count, name))
            continue;
        json_key_span(w, name);
        json_raw(w, value);
        logical += format->logical_bytes ? count_value(value) : 0;
    }
    if (format->logical_bytes)
        *format->logical_bytes += logical;
    json_end(&r);
    json_end_object(w);
    if (!json_failed(&r))
        return DP_OK;
    return json_error(&r, &call->error) == DP_NOMEM
               ? DP_NOMEM
               : call_fail(call, DP_CORRUPT, "the attributes of a row are no JSON object");
}
