/* copy.c: copies a namespace: an export (index/transfer.h) into an import. */
#include "index/copy.h"

#include "base/json.h"
#include "index/load/load.h"
#include "index/transfer.h"

enum { COPY_TRIES = 3, SCRATCH_MAX = 64 << 20 };

/* A copy on its way. */
struct namespace_copy {
    struct store *to;
    struct span name;
    struct team *team;
    struct index_loader *loader;
    bool drops;           /* the schema has attributes that were dropped, so rows may still have values of them */
    struct arena scratch; /* names of one row's attributes */
    struct buffer document; /* of one row, without the values of dropped attributes */
};

static enum dp_status begin_copy(struct call *call, void *context, const struct index_transfer_head *head)
{
    struct namespace_copy *c = context;
    c->drops = false;
    for (size_t i = 0; i < head->schema->count; i++)
        c->drops = c->drops || head->schema->attributes[i].dropped;
    return index_import_begin(call, c->to, c->name, head, c->team, &c->loader);
}

/* Puts a row's document without the values of dropped attributes into c->document. */
static enum dp_status drop_values(struct call *call, struct namespace_copy *c, struct span document)
{
    struct json_writer w;
    struct json_reader r;
    struct span name, value;
    arena_reset(&c->scratch);
    c->document.len = 0;
    json_writer_init(&w, &c->document);
    json_begin_object(&w);
    json_reader_init(&r, document);
    json_enter_object(&r);
    while (json_next_key(&r, &c->scratch, &name) && json_read_raw(&r, &value)) {
        const struct attribute *known = schema_find(&c->loader->schema, name);
        if (known && known->dropped)
            continue;
        json_key_span(&w, name);
        json_raw(&w, value);
    }
    json_end_object(&w);
    if (json_failed(&r)) {
        json_error(&r, &call->error);
        dp_error_prefix(&call->error, "the attributes of a row");
        return call_restatus(call, DP_CORRUPT); /* the damaged document is one of the source's */
    }
    return buffer_check(&c->document, "a row", &call->error);
}

static enum dp_status copy_row(struct call *call, void *context, const struct index_transfer_row *row)
{
    struct namespace_copy *c = context;
    if (!c->drops)
        return index_import_row(call, c->loader, row);
    struct index_transfer_row kept = *row;
    enum dp_status status = drop_values(call, c, row->document);
    kept.document = buffer_span(&c->document);
    return status == DP_OK ? index_import_row(call, c->loader, &kept) : status;
}

/* Fails if there is a namespace of this name. */
static enum dp_status check_free(struct call *call, struct store *store, struct span name)
{
    struct manifest m;
    enum dp_status status = index_check_name(name, &call->error);
    if (status == DP_OK)
        status = manifest_load(call, store, name, &m, NULL);
    if (status == DP_OK) {
        manifest_deinit(&m);
        return call_fail(call, DP_EXISTS, "namespace \"%.*s\" exists already", SPAN_FMT(name));
    }
    if (status == DP_NOT_FOUND) {
        dp_error_clear(&call->error);
        status = DP_OK;
    }
    return status;
}

static enum dp_status try_copy(struct call *call, struct index_reader *reader, struct namespace_copy *c,
                               struct index_load_summary *summary)
{
    const struct index_export_sink sink = {begin_copy, copy_row, c};
    c->loader = NULL;
    enum dp_status status = index_export(call, reader, &sink);
    if (status == DP_OK)
        return index_import_commit(call, c->loader, summary);
    index_load_abort(c->loader);
    return status;
}

enum dp_status index_copy(struct call *call, struct store *from, struct span source, struct store *to,
                          struct span name, struct team *team, struct index_load_summary *summary)
{
    struct namespace_copy c = {.to = to, .name = name, .team = team};
    struct index_reader *reader = NULL;
    arena_init(&c.scratch, SCRATCH_MAX);
    buffer_init(&c.document, 2 * (size_t)INDEX_DOCUMENT_MAX);
    enum dp_status status = check_free(call, to, name);
    if (status == DP_OK)
        status = index_open(call, from, source, &reader);
    for (int tries = 0; status == DP_OK; tries++) {
        status = try_copy(call, reader, &c, summary);
        if (status != DP_CONFLICT || tries + 1 == COPY_TRIES)
            break;
        dp_error_clear(&call->error);
        status = check_free(call, to, name); /* somebody may have made the namespace meanwhile */
    }
    index_close(reader);
    buffer_deinit(&c.document);
    arena_deinit(&c.scratch);
    return status;
}
