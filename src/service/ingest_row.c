/* ingest_row.c: parses one line, {"id": 7, "text": "…", …attributes}. */
#include "service/ingest_row.h"

#include "base/json.h"
#include "service/ingest.h"

struct parse {
    struct json_reader r;
    struct json_writer w; /* the attributes */
    struct arena *arena;
    struct ingest_row *row;
    struct span names[INGEST_ATTRIBUTES_MAX]; /* names of all fields so far */
    size_t count;
    bool has_id;
};

/* Returns whether the next value has this type. If not, the reader fails. */
static bool expect(struct parse *p, enum json_type type, const char *name)
{
    enum json_type found = json_peek(&p->r);
    if (found == type)
        return true;
    if (found != JSON_NOTHING)
        json_reject(&p->r, DP_INVALID, "\"%s\" must be %s, not %s", name, json_type_name(type),
                    json_type_name(found));
    return false;
}

static void read_id(struct parse *p)
{
    struct index_id *id = &p->row->id;
    p->has_id = true;
    if (json_peek(&p->r) == JSON_NUMBER) {
        struct json_reader before = p->r;
        if (json_read_u64(&p->r, &id->number))
            return;
        p->r = before;
        json_reject(&p->r, DP_INVALID, "\"id\" must be an unsigned integer below 2^64 or a string");
        return;
    }
    id->is_string = true;
    if (json_peek(&p->r) != JSON_STRING && json_peek(&p->r) != JSON_NOTHING)
        json_reject(&p->r, DP_INVALID, "\"id\" must be an unsigned integer or a string, not %s",
                    json_type_name(json_peek(&p->r)));
    else if (json_read_string(&p->r, p->arena, &id->text) && (id->text.len == 0 || id->text.len > INDEX_ID_MAX))
        json_reject(&p->r, DP_INVALID, "\"id\" must have 1 to %d bytes, not %zu", INDEX_ID_MAX, id->text.len);
}

static bool is_blank(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] != ' ' && (text.data[i] < '\t' || text.data[i] > '\r'))
            return false;
    return true;
}

static void read_text(struct parse *p)
{
    struct span raw = {NULL, 0};
    struct json_reader before = p->r;
    if (!expect(p, JSON_STRING, "text") || !json_read_string(&p->r, p->arena, &p->row->text))
        return;
    if (is_blank(p->row->text)) {
        json_reject(&p->r, DP_INVALID, "\"text\" is empty");
        return;
    }
    json_read_raw(&before, &raw);
    json_field_raw(&p->w, "text", raw);
}

static void read_vector(struct parse *p)
{
    struct json_reader ahead = p->r;
    size_t count = 0;
    if (!expect(p, JSON_ARRAY, "vector"))
        return;
    json_enter_array(&ahead);
    while (json_next_item(&ahead) && json_skip(&ahead))
        count++;
    if (json_failed(&ahead)) {
        p->r = ahead; /* takes over the error */
        return;
    }
    float *vector = count <= INDEX_DIM_MAX ? arena_array(p->arena, count ? count : 1, sizeof *vector) : NULL;
    if (count == 0 || count > INDEX_DIM_MAX) {
        json_reject(&p->r, DP_INVALID, "\"vector\" must have 1 to %d numbers, not %zu", INDEX_DIM_MAX, count);
        return;
    }
    if (!vector) {
        json_reject(&p->r, DP_NOMEM, "a vector");
        return;
    }
    json_enter_array(&p->r);
    for (size_t i = 0; json_next_item(&p->r) && i < count; i++)
        if (!json_read_float(&p->r, &vector[i]))
            return;
    p->row->vector = vector;
    p->row->dim = count;
}

/* Remembers a field's name. Returns false, and makes the reader fail, for a repeated or malformed name. */
static bool check_name(struct parse *p, struct span name)
{
    for (size_t i = 0; i < p->count; i++)
        if (span_equal(p->names[i], name)) {
            json_reject(&p->r, DP_INVALID, "the field \"%.*s\" is given twice", name.len < 60 ? (int)name.len : 0,
                        (const char *)name.data);
            return false;
        }
    if (p->count == INGEST_ATTRIBUTES_MAX)
        json_reject(&p->r, DP_INVALID, "a row has more than %d fields", INGEST_ATTRIBUTES_MAX);
    else if (name.len == 0 || name.len > INGEST_ATTRIBUTE_NAME_MAX)
        json_reject(&p->r, DP_INVALID, "a field's name must have 1 to %d bytes, not %zu",
                    INGEST_ATTRIBUTE_NAME_MAX, name.len);
    else if (name.data[0] == '$')
        json_reject(&p->r, DP_INVALID, "a field's name must not begin with '$'");
    else {
        p->names[p->count++] = name;
        return true;
    }
    return false;
}

enum dp_status ingest_row_parse(struct span line, struct arena *arena, struct buffer *scratch,
                                struct ingest_row *row, struct dp_error *error)
{
    struct parse p = {.arena = arena, .row = row};
    struct span name, value;
    *row = (struct ingest_row){.line = row->line};
    buffer_clear(scratch);
    json_reader_init(&p.r, line);
    json_writer_init(&p.w, scratch);
    json_begin_object(&p.w);
    if (json_peek(&p.r) == JSON_NOTHING)
        return dp_fail(error, DP_INVALID, "expected a JSON object, as {\"id\": 1, \"text\": \"…\"}");
    if (json_peek(&p.r) != JSON_OBJECT)
        json_reject(&p.r, DP_INVALID, "a row must be an object, not %s%s", json_type_name(json_peek(&p.r)),
                    json_peek(&p.r) == JSON_ARRAY ? ": write one object in each line, as jq -c '.[]' does" : "");
    json_enter_object(&p.r);
    while (json_next_key(&p.r, arena, &name) && check_name(&p, name)) {
        if (span_equal_str(name, "id")) {
            read_id(&p);
        } else if (span_equal_str(name, "text")) {
            read_text(&p);
        } else if (span_equal_str(name, "vector")) {
            read_vector(&p);
        } else if (json_read_raw(&p.r, &value)) {
            json_key_span(&p.w, name);
            json_raw(&p.w, value);
        }
    }
    json_end(&p.r);
    if (json_failed(&p.r))
        return json_error(&p.r, error);
    if (!p.has_id)
        return dp_fail(error, DP_INVALID, "\"id\" is missing");
    json_end_object(&p.w);
    if (buffer_check(scratch, "the attributes of a row", error) != DP_OK)
        return error->status;
    row->attributes = arena_copy(arena, buffer_span(scratch));
    return row->attributes.data ? DP_OK : dp_fail_nomem(error, "a row");
}
