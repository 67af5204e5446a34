/* hit_json.c: writes a hit as JSON, and copies the fields of its attributes as they are stored. */
#include "service/hit_json.h"

static bool is_among(const struct span *names, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal(names[i], name))
            return true;
    return false;
}

enum dp_status hit_write_json(struct json_writer *w, struct call *call, const struct index_hit *hit,
                              const struct span *excluded, size_t excluded_count)
{
    struct json_reader r;
    struct span name, value;
    json_begin_object(w);
    json_key(w, "id");
    if (hit->id.is_string)
        json_string(w, hit->id.text);
    else
        json_u64(w, hit->id.number);
    json_field_float(w, "$dist", hit->dist);
    json_reader_init(&r, hit->attributes.len ? hit->attributes : span_str("{}"));
    json_enter_object(&r);
    while (json_next_key(&r, call->arena, &name) && json_read_raw(&r, &value)) {
        if (is_among(excluded, excluded_count, name))
            continue;
        json_key_span(w, name);
        json_raw(w, value);
    }
    json_end(&r);
    json_end_object(w);
    if (!json_failed(&r))
        return DP_OK;
    return json_error(&r, &call->error) == DP_NOMEM
               ? DP_NOMEM
               : call_fail(call, DP_CORRUPT, "the attributes of a row are no JSON object");
}
