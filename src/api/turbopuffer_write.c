/* turbopuffer_write.c: reads the body of a turbopuffer v2 write.
 *
 * Keys may come in any order, so conditions and schema are kept as raw JSON until the namespace's schema is known. null
 * means "not given".
 */
#include "api/turbopuffer_write.h"

#include "api/fields.h"
#include "api/turbopuffer_rows.h"

/* What the functions for the fields share. */
struct write_parse {
    struct rows_parse rows;
    struct turbopuffer_write *out;
    unsigned given; /* number of fields with a value, without "encryption" */
};

static void take_upsert_rows(struct write_parse *p)
{
    p->out->upserts = true;
    rows_read_rows(&p->rows, "upsert_rows", WRITE_UPSERT);
}

static void take_upsert_columns(struct write_parse *p)
{
    p->out->upserts = true;
    rows_read_columns(&p->rows, "upsert_columns", WRITE_UPSERT);
}

static void take_patch_rows(struct write_parse *p)
{
    p->out->patches = true;
    rows_read_rows(&p->rows, "patch_rows", WRITE_PATCH);
}

static void take_patch_columns(struct write_parse *p)
{
    p->out->patches = true;
    rows_read_columns(&p->rows, "patch_columns", WRITE_PATCH);
}

static void take_deletes(struct write_parse *p)
{
    p->out->deletes = true;
    rows_read_deletes(&p->rows);
}

static void read_raw(struct write_parse *p, enum json_type type, const char *field, struct span *out)
{
    if (fields_expect(p->rows.r, type, field))
        json_read_raw(p->rows.r, out);
}

static void take_upsert_condition(struct write_parse *p)
{
    read_raw(p, JSON_ARRAY, "upsert_condition", &p->out->write.upsert_condition);
}

static void take_patch_condition(struct write_parse *p)
{
    read_raw(p, JSON_ARRAY, "patch_condition", &p->out->write.patch_condition);
}

static void take_delete_condition(struct write_parse *p)
{
    read_raw(p, JSON_ARRAY, "delete_condition", &p->out->write.delete_condition);
}

static void take_return_affected_ids(struct write_parse *p)
{
    fields_bool(p->rows.r, "return_affected_ids", &p->out->return_affected_ids);
}

static void take_schema(struct write_parse *p)
{
    read_raw(p, JSON_OBJECT, "schema", &p->out->write.schema);
}

static void take_distance_metric(struct write_parse *p)
{
    p->out->write.has_metric = true;
    body_metric(p->rows.body, &p->out->write.metric);
}

static void take_create_namespace(struct write_parse *p)
{
    bool create;
    if (fields_bool(p->rows.r, "create_namespace", &create))
        p->out->write.create = create ? CREATE_ALWAYS : CREATE_NEVER;
}

static void take_disable_backpressure(struct write_parse *p)
{
    fields_bool(p->rows.r, "disable_backpressure", &p->out->write.disable_backpressure);
}

/* Reads {"mode": "default"}. Refuses keys of the client's own. */
static void take_encryption(struct write_parse *p)
{
    struct json_reader *r = p->rows.r;
    struct span key, mode = {NULL, 0};
    if (!fields_expect(r, JSON_OBJECT, "encryption") || !json_enter_object(r))
        return;
    while (json_next_key(r, p->rows.call->arena, &key)) {
        if (span_equal_str(key, "mode"))
            fields_string(r, p->rows.call->arena, "encryption.mode", &mode);
        else
            json_skip(r);
    }
    if (!json_failed(r) && !span_equal_str(mode, "default"))
        body_refuse(p->rows.body, DP_UNSUPPORTED,
                    "encryption other than {\"mode\": \"default\"} is not supported by this server");
}

static void take_delete_by_filter(struct write_parse *p)
{
    p->out->deletes = true;
    read_raw(p, JSON_ARRAY, "delete_by_filter", &p->out->write.delete_filter);
}

/* Reads {"filters": filter, "patch": {attribute: value}}. */
static void take_patch_by_filter(struct write_parse *p)
{
    enum { FILTERS, PATCH, FIELDS };
    static const char *const names[FIELDS] = {"filters", "patch"};
    struct json_reader *r = p->rows.r;
    uint64_t seen = 0;
    p->out->patches = true;
    if (!fields_expect(r, JSON_OBJECT, "patch_by_filter") || !json_enter_object(r))
        return;
    for (int field; fields_next(r, p->rows.call->arena, names, FIELDS, &seen, &field);) {
        if (field == FILTERS)
            read_raw(p, JSON_ARRAY, "patch_by_filter.filters", &p->out->write.patch_filter);
        else
            rows_read_patch(&p->rows, "patch_by_filter.patch", &p->out->write.patch);
    }
    if (!json_failed(r) && seen != (1U << FILTERS | 1U << PATCH))
        json_reject(r, DP_INVALID, "patch_by_filter needs \"filters\" and \"patch\"");
}

static void take_delete_partial(struct write_parse *p)
{
    fields_bool(p->rows.r, "delete_by_filter_allow_partial", &p->out->write.delete_partial);
}

static void take_patch_partial(struct write_parse *p)
{
    fields_bool(p->rows.r, "patch_by_filter_allow_partial", &p->out->write.patch_partial);
}

/* Reads the name of another namespace, or {"source_namespace": name}. */
static void read_source(struct write_parse *p, const char *field)
{
    struct json_reader *r = p->rows.r;
    struct span key, *source = &p->out->clone.source;
    if (json_peek(r) != JSON_OBJECT) {
        fields_string(r, p->rows.call->arena, field, source);
    } else if (json_enter_object(r)) {
        while (json_next_key(r, p->rows.call->arena, &key)) {
            if (span_equal_str(key, "source_namespace"))
                fields_string(r, p->rows.call->arena, "source_namespace", source);
            else if (span_equal_str(key, "dest_encryption"))
                take_encryption(p);
            else if (!fields_null(r)) {
                body_not_yet(p->rows.body, "a source of another server", "name a namespace of this one");
                json_skip(r);
            }
        }
    }
    if (!json_failed(r) && source->len == 0)
        json_reject(r, DP_INVALID, "\"%s\" needs the name of a namespace", field);
}

static void take_copy(struct write_parse *p)
{
    p->out->clone.copies = true;
    read_source(p, "copy_from_namespace");
}

static void take_branch(struct write_parse *p)
{
    read_source(p, "branch_from_namespace");
}

static const struct {
    const char *name;
    void (*take)(struct write_parse *p); /* NULL: not supported */
    const char *instead;                 /* for an unsupported field: what to do */
} WRITE_FIELDS[] = {
    {"upsert_rows", take_upsert_rows, NULL},
    {"upsert_columns", take_upsert_columns, NULL},
    {"patch_rows", take_patch_rows, NULL},
    {"patch_columns", take_patch_columns, NULL},
    {"deletes", take_deletes, NULL},
    {"upsert_condition", take_upsert_condition, NULL},
    {"patch_condition", take_patch_condition, NULL},
    {"delete_condition", take_delete_condition, NULL},
    {"return_affected_ids", take_return_affected_ids, NULL},
    {"schema", take_schema, NULL},
    {"distance_metric", take_distance_metric, NULL},
    {"create_namespace", take_create_namespace, NULL},
    {"disable_backpressure", take_disable_backpressure, NULL},
    {"encryption", take_encryption, NULL},
    {"delete_by_filter", take_delete_by_filter, NULL},
    {"delete_by_filter_allow_partial", take_delete_partial, NULL},
    {"patch_by_filter", take_patch_by_filter, NULL},
    {"patch_by_filter_allow_partial", take_patch_partial, NULL},
    {"copy_from_namespace", take_copy, NULL},
    {"branch_from_namespace", take_branch, NULL},
    {"sharding", NULL, "leave it out; a namespace is not split into shards"},
};
enum { WRITE_FIELD_COUNT = sizeof WRITE_FIELDS / sizeof *WRITE_FIELDS };

static void read_write_fields(struct write_parse *p)
{
    struct json_reader *r = p->rows.r;
    const char *names[WRITE_FIELD_COUNT];
    uint64_t seen = 0;
    for (size_t i = 0; i < WRITE_FIELD_COUNT; i++)
        names[i] = WRITE_FIELDS[i].name;
    fields_enter_request(r);
    for (int field; fields_next(r, p->rows.call->arena, names, WRITE_FIELD_COUNT, &seen, &field);) {
        if (fields_null(r))
            continue;
        p->given += WRITE_FIELDS[field].take != take_encryption;
        if (WRITE_FIELDS[field].take)
            WRITE_FIELDS[field].take(p);
        else
            body_not_yet(p->rows.body, WRITE_FIELDS[field].name, WRITE_FIELDS[field].instead);
    }
}

enum dp_status turbopuffer_parse_write(struct call *call, struct span body, struct turbopuffer_write *out,
                                       bool *malformed)
{
    struct body_parse b;
    struct write_parse p = {.out = out};
    *out = (struct turbopuffer_write){.write.create = CREATE_FOR_ROWS};
    body_init(&b, call, body);
    rows_parse_init(&p.rows, &b);
    read_write_fields(&p);
    if (out->clone.source.len && p.given > 1)
        body_refuse(&b, DP_INVALID,
                    "copy_from_namespace or branch_from_namespace stands alone: leave out other fields");
    rows_parse_finish(&p.rows, &out->write);
    out->write.wants_ids = out->return_affected_ids;
    return body_end(&b, malformed);
}
