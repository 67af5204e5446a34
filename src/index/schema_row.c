/* schema_row.c: normalises the attributes of rows, and learns new ones. */
#include "index/schema_row.h"

#include "base/array.h"
#include "base/base64.h"
#include "filter/value.h"
#include "filter/vector_value.h"

enum {
    SEEN_WORDS = SCHEMA_ATTRIBUTES_MAX / 64,
    DOCUMENT_ROOM = 2 * INDEX_DOCUMENT_MAX + 64,
    SHOWN_MAX = 16 * INDEX_DOCUMENT_MAX
};

/* A row on its way into a document. */
struct row_printing {
    struct schema *schema;
    struct arena *arena;
    struct json_reader r;
    struct buffer text;
    struct json_writer w;
    bool patch;
    size_t next;               /* where the search for the next attribute begins: rows often keep their order */
    uint64_t seen[SEEN_WORDS]; /* a bit for each attribute of the schema that the row has named */
    struct span *typeless;     /* names that are not in the schema, with null or [] */
    size_t typeless_count, typeless_room;
    struct dp_error *error;
};

static struct attribute *find_next(struct row_printing *p, struct span name)
{
    struct schema *schema = p->schema;
    for (size_t i = 0; i < schema->count; i++) {
        size_t at = p->next + i < schema->count ? p->next + i : p->next + i - schema->count;
        if (span_equal(schema->attributes[at].name, name)) {
            p->next = at + 1 < schema->count ? at + 1 : 0;
            return &schema->attributes[at];
        }
    }
    return NULL;
}

/* Marks an attribute as named. Returns false if it was named before. */
static bool mark_seen(struct row_printing *p, const struct attribute *a)
{
    size_t at = (size_t)(a - p->schema->attributes);
    uint64_t bit = UINT64_C(1) << at % 64, before = p->seen[at / 64];
    p->seen[at / 64] = before | bit;
    return !(before & bit);
}

static enum dp_status fail_attribute(struct row_printing *p, struct span name, const char *why)
{
    return dp_fail(p->error, DP_INVALID, "attribute \"%.*s\"%s", SPAN_FMT(name), why);
}

static bool is_typeless(struct row_printing *p, struct span name)
{
    for (size_t i = 0; i < p->typeless_count; i++) {
        if (span_equal(p->typeless[i], name))
            return true;
    }
    return false;
}

static enum dp_status note_typeless(struct row_printing *p, struct span name)
{
    enum dp_status status = schema_check_name(name, p->error);
    if (status)
        return status;
    if (p->typeless_count == SCHEMA_ATTRIBUTES_MAX)
        return dp_fail(p->error, DP_TOO_LARGE, "a row has more than %d attributes", SCHEMA_ATTRIBUTES_MAX);
    struct span *list =
        arena_reserve(p->arena, p->typeless, p->typeless_count, &p->typeless_room, sizeof *list, 8);
    if (!list)
        return dp_fail_nomem(p->error, "a row's attributes");
    p->typeless = list;
    list[p->typeless_count++] = name;
    return DP_OK;
}

/* Returns whether the number is an integer that does not fit an int64, or the array has one. */
static bool is_huge(struct span raw)
{
    struct json_reader r;
    int64_t whole;
    json_reader_init(&r, raw);
    bool array = json_peek(&r) == JSON_ARRAY && json_enter_array(&r);
    while (!array || json_next_item(&r)) {
        struct json_reader before = r;
        struct span item;
        if (!json_read_raw(&r, &item))
            return false;
        bool integer = !memchr(item.data, '.', item.len) && !memchr(item.data, 'e', item.len) &&
                       !memchr(item.data, 'E', item.len);
        if (integer && !json_read_i64(&before, &whole))
            return true;
        if (!array)
            return false;
    }
    return false;
}

/* Finds the type of the next value, which stays unread. *known: whether it has one. */
static enum dp_status infer_next(struct row_printing *p, struct span name, enum attribute_type *type, bool *known)
{
    struct json_reader ahead = p->r;
    if (value_infer(&ahead, type, known))
        return DP_OK;
    if (json_failed(&ahead)) {
        enum dp_status status = json_error(&ahead, p->error);
        dp_error_prefix(p->error, "attribute \"%.*s\"", SPAN_FMT(name));
        return status;
    }
    return fail_attribute(p, name,
                          " must be a string, a number, true, false, null, or an array of strings, numbers or "
                          "booleans; other types need a declaration");
}

/* Adds the attribute that the next value shows. *out: NULL if the value shows no type; then it was consumed. */
static enum dp_status learn_attribute(struct row_printing *p, struct span name, struct attribute **out)
{
    struct attribute a = {.name = name, .learned = true};
    struct json_reader before = p->r;
    struct span raw;
    bool known;
    *out = NULL;
    if (is_typeless(p, name))
        return fail_attribute(p, name, " occurs twice in one row");
    enum dp_status status = infer_next(p, name, &a.type, &known);
    if (status)
        return status;
    if (!json_read_raw(&p->r, &raw))
        return json_error(&p->r, p->error);
    if (!known)
        return note_typeless(p, name);
    p->r = before;
    if (attribute_item_type(a.type) == ATTRIBUTE_FLOAT && is_huge(raw))
        return fail_attribute(p, name, " is an integer beyond int64: declare its type, uint or float, first");
    status = schema_add(p->schema, p->arena, &a, p->error);
    if (status == DP_OK)
        *out = &p->schema->attributes[p->schema->count - 1];
    return status;
}

/* An attribute that this request has learned may widen from int to float. */
static enum dp_status widen_learned(struct row_printing *p, struct attribute *a)
{
    enum attribute_type type;
    bool known;
    if (!a->learned || (a->type != ATTRIBUTE_INT && a->type != ATTRIBUTE_INTS))
        return DP_OK;
    enum dp_status status = infer_next(p, a->name, &type, &known);
    return status == DP_OK && known ? schema_widen(a, type, true, p->error) : status;
}

static enum dp_status print_attribute(struct row_printing *p, struct span name)
{
    struct attribute *a = find_next(p, name);
    enum dp_status status = DP_OK;
    if (!a) {
        status = learn_attribute(p, name, &a);
        if (status || !a)
            return status;
    }
    if (!mark_seen(p, a))
        return fail_attribute(p, name, " occurs twice in one row");
    bool null = json_peek(&p->r) == JSON_NULL;
    if (a->type == ATTRIBUTE_VECTOR && p->patch)
        return fail_attribute(p, name, ": a patch cannot change a vector; upsert the whole row");
    if (null && (!p->patch || a->dropped))
        return json_read_null(&p->r) ? DP_OK : json_error(&p->r, p->error);
    if (a->dropped)
        return fail_attribute(p, name, " was dropped: use another name");
    if (!null)
        status = widen_learned(p, a);
    if (status)
        return status;
    json_key_span(&p->w, a->name);
    status = value_put(a, &p->r, p->arena, &p->text, p->error);
    p->w.after_key = false; /* value_put() has written the value */
    return status;
}

enum dp_status schema_normalize(struct schema *schema, struct arena *arena, struct span object, bool patch,
                                struct span *out, struct dp_error *error)
{
    struct row_printing p = {.schema = schema, .arena = arena, .patch = patch, .error = error};
    struct span name;
    enum dp_status status = DP_OK;
    json_reader_init(&p.r, object);
    buffer_init(&p.text, DOCUMENT_ROOM);
    json_writer_init(&p.w, &p.text);
    json_enter_object(&p.r);
    json_begin_object(&p.w);
    while (status == DP_OK && json_next_key(&p.r, arena, &name))
        status = print_attribute(&p, name);
    if (status == DP_OK)
        json_end(&p.r);
    if (status == DP_OK && json_failed(&p.r)) {
        status = json_error(&p.r, error);
        dp_error_prefix(error, "a row's attributes");
    }
    if (status == DP_OK) {
        json_end_object(&p.w);
        status = buffer_check(&p.text, "a row's attributes", error);
    }
    if (status == DP_OK && p.text.len > INDEX_DOCUMENT_MAX)
        status = dp_fail(error, DP_TOO_LARGE, "a row's attributes have %zu bytes, more than %d", p.text.len,
                         INDEX_DOCUMENT_MAX);
    if (status == DP_OK) {
        *out = arena_copy(arena, buffer_span(&p.text));
        if (!out->data)
            status = dp_fail_nomem(error, "a row's attributes");
    }
    buffer_deinit(&p.text);
    return status;
}

static bool shows_all_as_stored(const struct schema *schema)
{
    for (size_t i = 0; i < schema->count; i++) {
        if (schema->attributes[i].dropped || schema->attributes[i].type == ATTRIBUTE_VECTOR)
            return false;
    }
    return true;
}

/* Writes the value of a vector attribute. */
static enum dp_status show_vector(const struct attribute *a, struct span value, bool base64, struct arena *arena,
                                  struct json_writer *w, struct dp_error *error)
{
    struct buffer bytes;
    float *numbers = arena_array(arena, a->dim, sizeof *numbers);
    if (!numbers)
        return dp_fail_nomem(error, "a vector");
    if (!vector_of_normal(a, value, numbers)) { /* null */
        json_raw(w, value);
        return DP_OK;
    }
    if (!base64) {
        json_floats(w, numbers, a->dim);
        return DP_OK;
    }
    buffer_init(&bytes, (size_t)ATTRIBUTE_DIM_MAX * 8);
    buffer_u8(&bytes, '"');
    struct buffer elements;
    buffer_init(&elements, (size_t)ATTRIBUTE_DIM_MAX * sizeof(float));
    for (uint32_t i = 0; i < a->dim; i++)
        buffer_f32(&elements, numbers[i]);
    base64_encode(buffer_span(&elements), &bytes);
    buffer_u8(&bytes, '"');
    enum dp_status status = buffer_check(&elements, "a vector", error);
    if (status == DP_OK)
        status = buffer_check(&bytes, "a vector", error);
    if (status == DP_OK)
        json_raw(w, buffer_span(&bytes));
    buffer_deinit(&elements);
    buffer_deinit(&bytes);
    return status;
}

enum dp_status schema_show(const struct schema *schema, struct arena *arena, struct span document, bool base64,
                           struct span *out, struct dp_error *error)
{
    struct json_reader r;
    struct json_writer w;
    struct buffer text;
    struct span key, value;
    enum dp_status status = DP_OK;
    *out = document;
    if (shows_all_as_stored(schema))
        return DP_OK;
    json_reader_init(&r, document);
    buffer_init(&text, SHOWN_MAX);
    json_writer_init(&w, &text);
    json_enter_object(&r);
    json_begin_object(&w);
    while (status == DP_OK && json_next_key(&r, arena, &key) && json_read_raw(&r, &value)) {
        const struct attribute *a = schema_find(schema, key);
        if (a && a->dropped)
            continue;
        json_key_span(&w, key);
        if (a && a->type == ATTRIBUTE_VECTOR)
            status = show_vector(a, value, base64, arena, &w, error);
        else
            json_raw(&w, value);
    }
    if (status == DP_OK) {
        json_end_object(&w);
        status = json_failed(&r) ? json_error(&r, error) : buffer_check(&text, "a document", error);
    }
    if (status == DP_OK) {
        *out = arena_copy(arena, buffer_span(&text));
        if (!out->data)
            status = dp_fail_nomem(error, "a document");
    }
    buffer_deinit(&text);
    return status;
}
