/* write_body.c: prints the arrays of a write as JSON. Vectors become base 64, which keeps every bit.
 *
 * Attributes and the request come as JSON texts. Each is parsed as one object and copied field by field, so its
 * text cannot change the JSON around it. */
#include "capi/write_body.h"

#include <string.h>

#include "base/json.h"
#include "base/utf8.h"
#include "index/index.h"

/* A body that is being printed. */
struct write_print {
    struct call *call;
    const struct dp_write *write;
    struct json_writer w;
};

/* The name of a field for the rows of a kind. */
static const char *rows_field(enum dp_write_kind kind)
{
    static const char *const fields[] = {
        [DP_UPSERT] = "upsert_rows", [DP_PATCH] = "patch_rows", [DP_DELETE] = "deletes"};

    return (unsigned)kind <= DP_DELETE ? fields[kind] : NULL;
}

static enum dp_status check_arrays(struct call *call, const struct dp_write *write)
{
    if (!rows_field(write->kind))
        return call_fail(call, DP_INVALID, "write.kind %d is not DP_UPSERT, DP_PATCH or DP_DELETE",
                         (int)write->kind);
    if (!write->ids == !write->names)
        return call_fail(call, DP_INVALID, "%s; set one of them",
                         write->ids ? "write.ids and write.names are both set"
                                    : "write.ids and write.names are NULL");
    if (write->vectors && write->kind != DP_UPSERT)
        return call_fail(call, DP_INVALID, "write.vectors is set, but only DP_UPSERT takes vectors");
    if (write->attributes && write->kind == DP_DELETE)
        return call_fail(call, DP_INVALID, "write.attributes is set, but DP_DELETE takes ids alone");
    if (write->vectors && (write->dim == 0 || write->dim > INDEX_DIM_MAX))
        return call_fail(call, DP_INVALID, "write.dim is %zu: a vector has 1 to %d dimensions", write->dim,
                         INDEX_DIM_MAX);
    return DP_OK;
}

/* Copies the fields of a JSON object into the open object. The caller names the text in the error. */
static enum dp_status print_fields(struct write_print *p, const char *json)
{
    struct json_reader r;
    struct span key, value;

    json_reader_init(&r, span_str(json));
    json_enter_object(&r);
    while (json_next_key(&r, p->call->arena, &key) && json_read_raw(&r, &value)) {
        json_key_span(&p->w, key);
        json_raw(&p->w, value);
    }
    json_end(&r);
    return json_error(&r, &p->call->error);
}

static enum dp_status print_row_id(struct write_print *p, size_t row)
{
    const struct dp_write *write = p->write;

    if (write->ids) {
        json_u64(&p->w, write->ids[row]);
        return DP_OK;
    }
    if (!write->names[row])
        return call_fail(p->call, DP_INVALID, "names[%zu] is NULL", row);
    if (!utf8_valid(span_str(write->names[row])))
        return call_fail(p->call, DP_INVALID, "names[%zu] is not UTF-8", row);
    json_string_str(&p->w, write->names[row]);
    return DP_OK;
}

static enum dp_status print_row(struct write_print *p, size_t row)
{
    const struct dp_write *write = p->write;
    enum dp_status status;

    if (write->kind == DP_DELETE)
        return print_row_id(p, row);
    json_begin_object(&p->w);
    json_key(&p->w, "id");
    status = print_row_id(p, row);
    if (status != DP_OK)
        return status;
    if (write->vectors) {
        json_key(&p->w, "vector");
        json_base64(&p->w, span_of(write->vectors + row * write->dim, write->dim * sizeof(float)));
    }
    if (write->attributes && write->attributes[row]) {
        status = print_fields(p, write->attributes[row]);
        if (status != DP_OK)
            dp_error_prefix(&p->call->error, "attributes[%zu]", row);
    }
    json_end_object(&p->w);
    return status;
}

static enum dp_status print_rows(struct write_print *p)
{
    const struct dp_write *write = p->write;
    enum dp_status status = check_arrays(p->call, write);

    if (status != DP_OK)
        return status;
    json_field_array(&p->w, rows_field(write->kind));
    for (size_t i = 0; i < write->count && status == DP_OK && p->w.out->status == DP_OK; i++)
        status = print_row(p, i);
    if (status == DP_OK)
        json_end_array(&p->w);
    return status;
}

enum dp_status write_body_print(struct call *call, const struct dp_write *write, struct buffer *out)
{
    struct write_print p = {.call = call, .write = write};
    enum dp_status status = DP_OK;

    json_writer_init(&p.w, out);
    json_begin_object(&p.w);
    if (write->request) {
        status = print_fields(&p, write->request);
        if (status != DP_OK)
            dp_error_prefix(&call->error, "write.request");
    }
    if (status == DP_OK)
        status = print_rows(&p);
    if (status != DP_OK)
        return status;
    json_end_object(&p.w);
    return buffer_check(out, "the write", &call->error);
}
