/* write.c: implements calls of the public C API that change, query or describe a namespace (dp_namespace_write, …_ask,
 * …_info, …_delete) with the handlers of the HTTP API, so that both know the same requests. */
#include "capi/answer.h"
#include "capi/arguments.h"
#include "capi/call.h"
#include "capi/write_body.h"
#include "service/compact.h"
#include "service/write.h"

/* A write folds the log if the log has this many times the due size. Such a log suggests that no other process folds
 * it. Above this size, index_write() holds writers back. */
enum { FOLD_TIMES = 4 };

/* ---- writing ---------------------------------------------------------------------------------------- */

/* Folds the log after a write, if it has become long. Ignores a failure of the fold, because the write has
 * succeeded. */
static void fold_long_log(struct call *call, struct dp_namespace *ns)
{
    const struct compact_options options = {.fold_only = true, .when_due = true, .times = FOLD_TIMES};
    struct compact_result done;

    if (atomic_exchange(&ns->folding, true))
        return;
    service_compact(call, ns->service, ns->name, &options, &done);
    dp_error_clear(&call->error);
    atomic_store(&ns->folding, false);
}

/* Folds the log after a write was refused because the log is too long. Returns whether another try may succeed. */
static bool make_room(struct call *call, struct dp_namespace *ns)
{
    const struct compact_options options = {.fold_only = true};
    const struct dp_error refusal = call->error;
    struct compact_result done;

    dp_error_clear(&call->error);
    if (service_compact(call, ns->service, ns->name, &options, &done) == DP_OK && done.entries > 0)
        return true;
    call->error = refusal;
    return false;
}

static enum dp_status send_write(struct call *call, struct dp_namespace *ns, const struct dp_write *write,
                                 struct dp_answer **answer)
{
    struct buffer printed;
    struct span body;
    enum dp_status status = DP_OK;

    buffer_init(&printed, WRITE_BODY_MAX);
    if (write->count > 0)
        status = write_body_print(call, write, &printed);
    body = write->count > 0 ? buffer_span(&printed) : span_str(write->request);
    if (status == DP_OK)
        status = answer_request(call, ns, turbopuffer_write, body, write->idempotency_key, answer);
    if (status == DP_OVERLOADED && !write->no_fold && make_room(call, ns))
        status = answer_request(call, ns, turbopuffer_write, body, write->idempotency_key, answer);
    if (status == DP_OK && !write->no_fold)
        fold_long_log(call, ns);
    buffer_deinit(&printed);
    return status;
}

enum dp_status dp_namespace_write(struct dp_namespace *ns, const struct dp_write *write, struct dp_answer **answer,
                                  struct dp_error *error)
{
    struct dp_write w;
    struct capi_call c;
    enum dp_status status = capi_need(error, "dp_namespace_write", "ns", ns, "write", write, NULL);

    if (answer)
        *answer = NULL;
    if (status == DP_OK)
        status = capi_options(error, "dp_namespace_write", "struct dp_write", write, &w, sizeof w);
    if (status == DP_OK && w.count == 0 && !w.request)
        status = dp_fail(error, DP_INVALID,
                         "dp_namespace_write: there is nothing to write: count is 0 and request is NULL");
    if (status != DP_OK)
        return status;
    capi_begin(&c, &w.limits, CAPI_ROWS_ARENA_MAX);
    status = send_write(&c.call, ns, &w, answer);
    return capi_end(&c, status, error);
}

/* ---- asking, describing, deleting ------------------------------------------------------------------- */

/* Checks the options of the function, and runs a handler. */
static enum dp_status run_request(struct dp_namespace *ns, const char *function, api_handler handler,
                                  const char *body, const struct dp_call_options *options,
                                  struct dp_answer **answer, struct dp_error *error)
{
    struct dp_call_options o;
    struct capi_call c;
    enum dp_status status = capi_options(error, function, "struct dp_call_options", options, &o, sizeof o);

    if (status != DP_OK)
        return status;
    capi_begin(&c, &o.limits, CAPI_ROWS_ARENA_MAX);
    status = answer_request(&c.call, ns, handler, span_str(body), NULL, answer);
    return capi_end(&c, status, error);
}

enum dp_status dp_namespace_ask(struct dp_namespace *ns, const char *request,
                                const struct dp_call_options *options, struct dp_answer **out,
                                struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_namespace_ask", "ns", ns, "request", request, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK ? run_request(ns, "dp_namespace_ask", turbopuffer_query, request, options, out, error)
                           : status;
}

enum dp_status dp_namespace_info(struct dp_namespace *ns, const struct dp_call_options *options,
                                 struct dp_answer **out, struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_namespace_info", "ns", ns, "out", out, NULL);

    if (out)
        *out = NULL;
    return status == DP_OK ? run_request(ns, "dp_namespace_info", turbopuffer_metadata, "", options, out, error)
                           : status;
}

enum dp_status dp_namespace_delete(struct dp_namespace *ns, const struct dp_call_options *options,
                                   struct dp_error *error)
{
    enum dp_status status = capi_need(error, "dp_namespace_delete", "ns", ns, NULL);

    return status == DP_OK ? run_request(ns, "dp_namespace_delete", turbopuffer_delete, "", options, NULL, error)
                           : status;
}
