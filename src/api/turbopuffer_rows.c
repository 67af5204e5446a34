/* turbopuffer_rows.c: reads upsert_rows, upsert_columns, patch_rows, patch_columns and deletes.
 *
 * Values stay raw JSON, because the schema may follow the rows in the body, and part of it is in the namespace.
 * Only ids and the attribute "vector" are read here. A vector is an array of numbers or base 64 of little-endian
 * float32; a column "vector" may also be one flat array or one base 64 string for all rows.
 */
#include "api/turbopuffer_rows.h"

#include <math.h>
#include <stdio.h>

#include "api/fields.h"
#include "base/array.h"
#include "base/base64.h"

enum { ID_RAW_MAX = 6 * INDEX_ID_MAX + 2 }; /* each byte as \u00xx, and the quotes */
enum { ROWS_FIRST = 64, NAMES_FIRST = 16, NUMBERS_FIRST = 2048, NAME_SHOWN = 60 };
/* From these numbers on, an array of rows or of values gets room for the maximum at once. Room that nobody writes to
 * takes no memory, and an arena would keep all smaller arrays. */
enum { ROWS_MANY = 4096, VALUES_MANY = 32 * 1024 };

void rows_parse_init(struct rows_parse *p, struct body_parse *body)
{
    *p = (struct rows_parse){.body = body, .r = &body->r, .call = body->call};
}

static void refuse_memory(struct rows_parse *p)
{
    json_reject(p->r, DP_NOMEM, "the rows of a write");
}

/* ---- ids ---------------------------------------------------------------------------------------------- */

/* Reads a string. Checks its raw length first, because a long string with escapes would need much memory. */
static void read_text_id(struct rows_parse *p, struct json_reader *r, struct span *out)
{
    struct json_reader ahead = *r;
    struct span raw;
    if (json_read_raw(&ahead, &raw) && raw.len > ID_RAW_MAX)
        body_refuse(p->body, DP_INVALID, "an id has 1 to %d bytes", INDEX_ID_MAX);
    else
        json_read_string(r, p->call->arena, out);
}

static void read_row_id(struct rows_parse *p, struct json_reader *r, struct index_id *out)
{
    enum json_type type = json_peek(r);
    *out = (struct index_id){0};
    if (type == JSON_NUMBER) {
        struct json_reader before = *r;
        if (json_read_u64(r, &out->number))
            return;
        *r = before;
        json_reject(r, DP_INVALID, "an id must be an unsigned integer below 2^64, a UUID or a string");
        return;
    }
    out->is_string = true;
    if (type != JSON_STRING && type != JSON_NOTHING)
        json_reject(r, DP_INVALID, "an id must be an unsigned integer, a UUID or a string, not %s",
                    json_type_name(type));
    else
        read_text_id(p, r, &out->text);
}

static struct write_row *add_row(struct rows_parse *p, const struct write_row *row)
{
    if (p->row_count == TURBOPUFFER_ROWS_MAX) {
        body_refuse(p->body, DP_TOO_LARGE, "the request has more than %d rows: split it", TURBOPUFFER_ROWS_MAX);
        return NULL;
    }
    struct write_row *rows = p->rows;
    if (p->row_count == ROWS_MANY && p->row_capacity == ROWS_MANY) {
        rows = arena_array(p->call->arena, TURBOPUFFER_ROWS_MAX, sizeof *rows);
        if (rows)
            memcpy(rows, p->rows, p->row_count * sizeof *rows);
        p->row_capacity = TURBOPUFFER_ROWS_MAX;
    } else {
        rows = arena_reserve(p->call->arena, rows, p->row_count, &p->row_capacity, sizeof *rows, ROWS_FIRST);
    }
    if (!rows) {
        refuse_memory(p);
        return NULL;
    }
    p->rows = rows;
    rows[p->row_count] = *row;
    return &rows[p->row_count++];
}

void rows_read_deletes(struct rows_parse *p)
{
    if (!body_expect(p->body, JSON_ARRAY, "deletes", NULL) || !json_enter_array(p->r))
        return;
    while (json_next_item(p->r)) {
        struct write_row row = {.kind = WRITE_DELETE};
        read_row_id(p, p->r, &row.id);
        if (json_failed(p->r) || !add_row(p, &row))
            return;
    }
}

/* ---- vectors ------------------------------------------------------------------------------------------ */

static bool are_finite(const float *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!isfinite(numbers[i]))
            return false;
    return true;
}

/* Refuses `count` more numbers of vectors if they exceed the limit. Returns false after a refusal. */
static bool count_numbers(struct rows_parse *p, size_t count)
{
    if (count <= (TURBOPUFFER_VECTORS_MAX - p->vector_bytes) / sizeof(float))
        return true;
    body_refuse(p->body, DP_TOO_LARGE, "the vectors of the request have more than %d bytes as float32: split it",
                TURBOPUFFER_VECTORS_MAX);
    return false;
}

/* Copies `count` numbers of p->floats to the arena. */
static const float *keep_floats(struct rows_parse *p, size_t count)
{
    float *kept = arena_array(p->call->arena, count, sizeof *kept);
    p->vector_bytes += count * sizeof *kept;
    if (kept)
        memcpy(kept, p->floats, count * sizeof *kept);
    else
        refuse_memory(p);
    return kept;
}

/* Reads the numbers of an array into p->floats. Returns their count; 0 after a failure. */
static size_t read_numbers(struct rows_parse *p, struct json_reader *r)
{
    size_t count = 0;
    if (!fields_expect(r, JSON_ARRAY, "\"vector\"") || !json_enter_array(r))
        return 0;
    while (json_next_item(r)) {
        if (!count_numbers(p, count + 1))
            return 0;
        float *floats =
            arena_reserve(p->call->arena, p->floats, count, &p->float_capacity, sizeof *floats, NUMBERS_FIRST);
        if (!floats) {
            json_reject(r, DP_NOMEM, "a vector");
            return 0;
        }
        p->floats = floats;
        fields_expect(r, JSON_NUMBER, "a component of \"vector\"");
        if (!json_read_float(r, &floats[count]))
            return 0;
        count++;
    }
    return json_failed(r) ? 0 : count;
}

/* Decodes a base 64 string into numbers in the arena. */
static const float *read_base64(struct rows_parse *p, struct json_reader *r, size_t *count)
{
    struct span text;
    size_t len = 0;
    struct json_reader before = *r, ahead = *r;
    /* Counts for the worst case: a backslash before each character. (Some clients write one before '/'.) */
    if (json_read_raw(&ahead, &text) && !count_numbers(p, text.len / 8 * 3 / sizeof(float)))
        return NULL;
    if (!json_read_string(r, p->call->arena, &text) || !count_numbers(p, text.len / 4 * 3 / sizeof(float)))
        return NULL;
    uint8_t *bytes = arena_alloc(p->call->arena, text.len / 4 * 3 + 3);
    if (!bytes) {
        json_reject(r, DP_NOMEM, "a vector");
        return NULL;
    }
    if (!base64_decode(text, bytes, &len) || len % sizeof(float) != 0) {
        *r = before;
        json_reject(r, DP_INVALID, "\"vector\" is not base 64 of float32 numbers");
        return NULL;
    }
    *count = len / sizeof(float);
    p->vector_bytes += len;
    const float *numbers = (const float *)bytes; /* arenas align to 16 bytes */
    if (are_finite(numbers, *count))
        return numbers;
    body_refuse(p->body, DP_INVALID, "a vector holds NaN or an infinite number");
    return NULL;
}

/* Reads null, an array of numbers or a base 64 string. After TURBOPUFFER_VECTORS_RAW bytes of vectors, keeps the text
 * unread. */
static void read_vector_value(struct rows_parse *p, struct json_reader *r, struct write_row *row)
{
    size_t count = 0;
    if (fields_null(r))
        return;
    if (p->vector_bytes >= TURBOPUFFER_VECTORS_RAW) {
        json_read_raw(r, &row->raw_vector);
        return;
    }
    if (json_peek(r) == JSON_STRING) {
        row->vector = read_base64(p, r, &count);
    } else {
        count = read_numbers(p, r);
        row->vector = count ? keep_floats(p, count) : NULL;
    }
    if (json_failed(r))
        return;
    if (count == 0 || count > INDEX_DIM_MAX)
        body_refuse(p->body, DP_INVALID, "a vector has 1 to %d numbers, not %zu", INDEX_DIM_MAX, count);
    row->dim = (uint32_t)count;
}

/* Reads the vector of a row that has kept its text. For write_request.read_vector. */
static enum dp_status read_kept_vector(struct call *call, struct write_row *row)
{
    struct body_parse body;
    struct rows_parse p;
    bool malformed;
    body_init(&body, call, row->raw_vector);
    rows_parse_init(&p, &body);
    read_vector_value(&p, p.r, row);
    enum dp_status status = body_end(&body, &malformed);
    return status == DP_OK || status == DP_NOMEM ? status : call_restatus(call, DP_INVALID);
}

/* ---- values ------------------------------------------------------------------------------------------- */

/* Returns the position of an attribute's name, which may be new; SIZE_MAX after a failure. */
static size_t intern_attribute(struct rows_parse *p, struct span name)
{
    size_t guess = p->next_attribute;
    if (guess < p->attribute_count && span_equal(p->attributes[guess], name))
        return guess;
    for (size_t i = 0; i < p->attribute_count; i++)
        if (span_equal(p->attributes[i], name))
            return i;
    if (p->attribute_count == WRITE_ATTRIBUTES_MAX) {
        body_refuse(p->body, DP_INVALID, "the request has more than %d different attributes",
                    WRITE_ATTRIBUTES_MAX);
        return SIZE_MAX;
    }
    struct arena *arena = p->call->arena;
    struct span *names = arena_reserve(arena, p->attributes, p->attribute_count, &p->attribute_capacity,
                                       sizeof *names, NAMES_FIRST);
    size_t *last =
        arena_reserve(arena, p->last_rows, p->attribute_count, &p->last_capacity, sizeof *last, NAMES_FIRST);
    p->attributes = names ? names : p->attributes;
    p->last_rows = last ? last : p->last_rows;
    if (!names || !last) {
        refuse_memory(p);
        return SIZE_MAX;
    }
    names[p->attribute_count] = name;
    last[p->attribute_count] = 0;
    return p->attribute_count++;
}

static struct write_value *add_values(struct rows_parse *p, size_t count)
{
    if (count > TURBOPUFFER_VALUES_MAX - p->value_count) {
        body_refuse(p->body, DP_TOO_LARGE, "the rows of the request have more than %d values: split it",
                    TURBOPUFFER_VALUES_MAX);
        return NULL;
    }
    size_t room = p->value_capacity - p->value_count;
    if (!p->values || room < count) {
        size_t wanted = p->value_count + count, capacity = p->value_capacity ? p->value_capacity : ROWS_FIRST;
        while (capacity < wanted)
            capacity *= 2;
        capacity = capacity > VALUES_MANY ? TURBOPUFFER_VALUES_MAX : capacity;
        struct write_value *values = arena_array(p->call->arena, capacity, sizeof *values);
        if (!values) {
            refuse_memory(p);
            return NULL;
        }
        if (p->value_count)
            memcpy(values, p->values, p->value_count * sizeof *values);
        p->values = values;
        p->value_capacity = capacity;
    }
    p->value_count += count;
    return p->values + p->value_count - count;
}

static void refuse_twice(struct rows_parse *p, struct span name)
{
    body_refuse(p->body, DP_INVALID, "\"%.*s\" is given twice in one row",
                name.len < NAME_SHOWN ? (int)name.len : 0, (const char *)name.data);
}

/* Reads a value of the present row. mark: differs between rows, so that a repeated attribute of a row is found. */
static void read_row_value(struct rows_parse *p, struct span name, size_t mark, struct write_row *row)
{
    struct span raw;
    size_t attribute = intern_attribute(p, name);
    if (attribute == SIZE_MAX)
        return;
    p->next_attribute = attribute + 1;
    if (p->last_rows[attribute] == mark) {
        refuse_twice(p, name);
        return;
    }
    p->last_rows[attribute] = mark;
    if (!json_read_raw(p->r, &raw))
        return;
    struct write_value *value = add_values(p, 1);
    if (!value)
        return;
    *value = (struct write_value){raw.data, (uint32_t)raw.len, (uint32_t)attribute};
    row->value_count++;
}

/* ---- rows --------------------------------------------------------------------------------------------- */

static void refuse_patched_vector(struct rows_parse *p)
{
    body_refuse(p->body, DP_INVALID, "a patch cannot change \"vector\"; upsert the whole row");
}

static void read_row(struct rows_parse *p, const char *field, enum write_kind kind)
{
    struct write_row row = {.kind = kind, .first_value = p->value_count};
    bool has_id = false, has_vector = false;
    struct span key;
    char what[40];
    snprintf(what, sizeof what, "each of %s", field);
    if (!fields_expect(p->r, JSON_OBJECT, what) || !json_enter_object(p->r))
        return;
    p->next_attribute = 0;
    while (json_next_key(p->r, p->call->arena, &key)) {
        bool is_id = span_equal_str(key, "id"), is_vector = span_equal_str(key, "vector");
        if ((is_id && has_id) || (is_vector && has_vector)) {
            refuse_twice(p, key);
        } else if (is_id) {
            has_id = true;
            read_row_id(p, p->r, &row.id);
        } else if (is_vector && kind == WRITE_PATCH) {
            refuse_patched_vector(p);
        } else if (is_vector) {
            has_vector = true;
            read_vector_value(p, p->r, &row);
        } else {
            read_row_value(p, key, p->row_count + 1, &row);
        }
    }
    if (json_failed(p->r))
        return;
    if (has_id)
        add_row(p, &row);
    else
        json_reject(p->r, DP_INVALID, "a row of %s lacks its id", field);
}

void rows_read_rows(struct rows_parse *p, const char *field, enum write_kind kind)
{
    if (!body_expect(p->body, JSON_ARRAY, field, NULL) || !json_enter_array(p->r))
        return;
    while (json_next_item(p->r))
        read_row(p, field, kind);
}

void rows_read_patch(struct rows_parse *p, const char *field, struct write_row *out)
{
    struct span key;
    *out = (struct write_row){.kind = WRITE_PATCH, .first_value = p->value_count};
    if (!fields_expect(p->r, JSON_OBJECT, field) || !json_enter_object(p->r))
        return;
    p->next_attribute = 0;
    while (json_next_key(p->r, p->call->arena, &key)) {
        if (span_equal_str(key, "id"))
            body_refuse(p->body, DP_INVALID, "%s cannot change \"id\"", field);
        else if (span_equal_str(key, "vector"))
            refuse_patched_vector(p);
        else
            read_row_value(p, key, SIZE_MAX, out);
    }
}

/* ---- columns ------------------------------------------------------------------------------------------ */

/* A column that waits until the number of rows is known. */
struct column {
    struct span name;
    struct json_reader at; /* before its value */
    size_t items;          /* of the value, if it is an array */
};

static void refuse_length(struct rows_parse *p, struct span name, size_t count, size_t rows)
{
    body_refuse(p->body, DP_INVALID, "column \"%.*s\" has %zu values, but \"id\" has %zu",
                name.len < NAME_SHOWN ? (int)name.len : 0, (const char *)name.data, count, rows);
}

/* Skips the value of a column and counts its items. */
static bool skip_column(struct json_reader *r, size_t *items)
{
    if (json_peek(r) != JSON_ARRAY)
        return json_skip(r);
    json_enter_array(r);
    while (json_next_item(r) && json_skip(r))
        ++*items;
    return !json_failed(r);
}

/* Reads all columns of the object up to their values, which are skipped. Returns NULL after a failure. */
static struct column *find_columns(struct rows_parse *p, size_t *count)
{
    struct column *columns = NULL;
    struct span key;
    size_t capacity = 0;
    *count = 0;
    while (json_next_key(p->r, p->call->arena, &key)) {
        for (size_t i = 0; i < *count; i++)
            if (span_equal(columns[i].name, key))
                body_refuse(p->body, DP_INVALID, "the column \"%.*s\" is given twice",
                            key.len < NAME_SHOWN ? (int)key.len : 0, (const char *)key.data);
        if (*count == WRITE_ATTRIBUTES_MAX)
            body_refuse(p->body, DP_INVALID, "the request has more than %d columns", WRITE_ATTRIBUTES_MAX);
        if (json_failed(p->r))
            return NULL;
        struct column *more =
            arena_reserve(p->call->arena, columns, *count, &capacity, sizeof *columns, NAMES_FIRST);
        if (!more) {
            refuse_memory(p);
            return NULL;
        }
        columns = more;
        columns[*count] = (struct column){key, *p->r, 0};
        if (!skip_column(p->r, &columns[*count].items))
            return NULL;
        ++*count;
    }
    return json_failed(p->r) ? NULL : columns;
}

/* Adds a row for each id of the column. */
static void read_id_column(struct rows_parse *p, struct json_reader *r, enum write_kind kind, size_t columns)
{
    if (!fields_expect(r, JSON_ARRAY, "the column \"id\"") || !json_enter_array(r))
        return;
    while (json_next_item(r)) {
        struct write_row row = {.kind = kind, .value_count = (uint32_t)columns};
        read_row_id(p, r, &row.id);
        if (json_failed(r) || !add_row(p, &row))
            return;
    }
}

/* Reads the values of a column. `values` is the place of the first row's value; rows are `width` places apart. */
static void read_value_column(struct rows_parse *p, struct json_reader *r, struct span name,
                              struct write_value *values, size_t width)
{
    struct span raw;
    size_t attribute = intern_attribute(p, name);
    if (attribute == SIZE_MAX)
        return;
    p->next_attribute = attribute + 1;
    json_enter_array(r);
    for (; json_next_item(r) && json_read_raw(r, &raw); values += width)
        *values = (struct write_value){raw.data, (uint32_t)raw.len, (uint32_t)attribute};
}

/* Cuts numbers for all rows, float[rows][dim], into vectors. */
static void cut_flat_vectors(struct rows_parse *p, struct write_row *rows, size_t count, const float *numbers,
                             size_t total)
{
    size_t dim = count ? total / count : 0;
    if (count && (total == 0 || total % count != 0 || dim > INDEX_DIM_MAX)) {
        body_refuse(p->body, DP_INVALID, "column \"vector\" has %zu numbers for %zu rows", total, count);
        return;
    }
    if (!count && total)
        refuse_length(p, span_str("vector"), total, 0);
    for (size_t i = 0; i < count; i++) {
        rows[i].vector = numbers + i * dim;
        rows[i].dim = (uint32_t)dim;
    }
}

/* Reads an array of vectors, an array of base 64 strings, one flat array of numbers, or one base 64 string. */
static void read_vector_column(struct rows_parse *p, struct json_reader *r, struct write_row *rows, size_t count,
                               size_t items)
{
    struct json_reader ahead = *r;
    const bool is_flat = json_peek(r) == JSON_STRING ||
                         (json_enter_array(&ahead) && json_next_item(&ahead) && json_peek(&ahead) == JSON_NUMBER);
    if (is_flat) {
        size_t total = 0;
        const float *numbers = NULL;
        if (json_peek(r) == JSON_STRING) {
            numbers = read_base64(p, r, &total);
        } else {
            total = read_numbers(p, r);
            numbers = total ? keep_floats(p, total) : NULL;
        }
        if (!json_failed(r))
            cut_flat_vectors(p, rows, count, numbers, total);
        return;
    }
    if (!fields_expect(r, JSON_ARRAY, "the column \"vector\""))
        return;
    if (items != count)
        refuse_length(p, span_str("vector"), items, count);
    json_enter_array(r);
    for (size_t i = 0; !json_failed(p->r) && json_next_item(r); i++)
        read_vector_value(p, r, &rows[i]);
}

/* Fails unless each column of values is an array of `rows` values. */
static void check_columns(struct rows_parse *p, struct column *columns, size_t count, size_t rows)
{
    for (size_t i = 0; i < count; i++) {
        struct json_reader *r = &columns[i].at;
        if (span_equal_str(columns[i].name, "id") || span_equal_str(columns[i].name, "vector"))
            continue;
        if (!fields_expect(r, JSON_ARRAY, "a column"))
            *p->r = *r; /* takes over the error */
        else if (columns[i].items != rows)
            refuse_length(p, columns[i].name, columns[i].items, rows);
        if (json_failed(p->r))
            return;
    }
}

/* Reads the columns into the rows that the ids have added. `width`: the number of columns besides "id" and
 * "vector". */
static void read_columns(struct rows_parse *p, struct column *columns, size_t count, size_t first, size_t width)
{
    size_t rows = p->row_count - first, number = 0, base = p->value_count;
    check_columns(p, columns, count, rows);
    struct write_value *values = json_failed(p->r) ? NULL : add_values(p, rows * width);
    for (size_t i = 0; values && i < rows; i++)
        p->rows[first + i].first_value = base + i * width;
    p->next_attribute = 0;
    for (size_t i = 0; i < count && !json_failed(p->r); i++) {
        struct json_reader *r = &columns[i].at;
        if (span_equal_str(columns[i].name, "id"))
            continue;
        if (span_equal_str(columns[i].name, "vector"))
            read_vector_column(p, r, rows ? p->rows + first : NULL, rows, columns[i].items);
        else
            read_value_column(p, r, columns[i].name, values + number++, width);
        if (json_failed(r) && !json_failed(p->r))
            *p->r = *r; /* takes over the error */
    }
}

void rows_read_columns(struct rows_parse *p, const char *field, enum write_kind kind)
{
    size_t count, first = p->row_count, width = 0;
    if (!body_expect(p->body, JSON_OBJECT, field, NULL) || !json_enter_object(p->r))
        return;
    struct column *columns = find_columns(p, &count), *ids = NULL;
    for (size_t i = 0; columns && i < count; i++) {
        bool is_id = span_equal_str(columns[i].name, "id"), is_vector = span_equal_str(columns[i].name, "vector");
        ids = is_id ? &columns[i] : ids;
        width += !is_id && !is_vector;
        if (is_vector && kind == WRITE_PATCH)
            refuse_patched_vector(p);
    }
    if (json_failed(p->r))
        return;
    if (!ids) {
        json_reject(p->r, DP_INVALID, "%s lacks the column \"id\"", field);
        return;
    }
    struct json_reader r = ids->at;
    read_id_column(p, &r, kind, width);
    if (json_failed(&r) && !json_failed(p->r))
        *p->r = r; /* takes over the error */
    if (!json_failed(p->r))
        read_columns(p, columns, count, first, width);
}

void rows_parse_finish(const struct rows_parse *p, struct write_request *out)
{
    out->rows = p->rows;
    out->row_count = p->row_count;
    out->read_vector = read_kept_vector;
    out->values = p->values;
    out->attributes = p->attributes;
    out->attribute_count = p->attribute_count;
}
