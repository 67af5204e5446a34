/* manifest/read.c: reads a namespace's manifest from the store, and tells tombstones from live ones. */
#include "index/manifest/format.h"

#include "base/json.h"

enum namespace_state manifest_peek_state(struct span head)
{
    struct json_reader r;
    struct span key, state = {0};
    json_reader_init(&r, head);
    json_enter_object(&r);
    while (json_next_key(&r, NULL, &key)) {
        if (!span_equal_str(key, manifest_top_fields[TOP_STATE]))
            json_skip(&r);
        else if (json_read_string(&r, NULL, &state))
            break;
    }
    bool deleted = span_equal_str(state, manifest_state_names[NAMESPACE_DELETED]);
    return deleted ? NAMESPACE_DELETED : NAMESPACE_LIVE;
}

static enum dp_status fail_no_namespace(struct span name, struct dp_error *error)
{
    return dp_fail(error, DP_NOT_FOUND, "there is no namespace \"%.*s\"", SPAN_FMT(name));
}

enum dp_status manifest_check_live(const struct manifest *m, struct span name, struct dp_error *error)
{
    return m->state == NAMESPACE_LIVE ? DP_OK : fail_no_namespace(name, error);
}

enum dp_status manifest_load_any(struct call *call, struct store *store, struct span name, struct manifest *out,
                                 struct manifest_answer *answer)
{
    struct object_key key;
    key_of_manifest(&key, name);
    struct store_read_req req = {.key = object_key_span(&key), .len = STORE_TO_END};
    enum dp_status status = store_read(call, store, &req, 1);
    if (answer)
        *answer = (struct manifest_answer){req.version, req.date_ms};
    if (status == DP_NOT_FOUND)
        return fail_no_namespace(name, &call->error);
    if (status)
        return status;
    status = manifest_parse(req.bytes.span, out, &call->error);
    if (status)
        dp_error_prefix(&call->error, "%s", key.text);
    else
        out->date_ms = req.date_ms;
    store_read_release(&req, 1);
    return status;
}

enum dp_status manifest_load(struct call *call, struct store *store, struct span name, struct manifest *out,
                             struct store_version *version)
{
    struct manifest_answer answer;
    enum dp_status status = manifest_load_any(call, store, name, out, &answer);
    if (status)
        return status;
    if (version)
        *version = answer.version;
    status = manifest_check_live(out, name, &call->error);
    if (status)
        manifest_deinit(out);
    return status;
}
