/* health.c: GET /health, /health/live and /health/ready, for load balancers, supervisors and people.
 *
 * Live means that the process answers. A process that drains is live, so nobody should kill it. Ready means that
 * the process should get requests: it does not drain, and it has the model that it needs. These checks ask neither
 * the store nor other services. Supervisors repeat them each second. And if the bucket is unreachable for one
 * node, it is unreachable for all.
 */
#include "base/json.h"
#include "server/handlers.h"

/* Returns "ok", or the reason why the process should get no requests. */
static const char *readiness(const struct api_context *api)
{
    if (api->draining && atomic_load(api->draining))
        return "draining";
    return api->needs_model && !service_has_model(api->service) ? "no_model" : "ok";
}

static void begin_health(struct json_writer *w, const char *status, struct http_response *response)
{
    response->content_type = "application/json";
    http_add_header(response, "Cache-Control", "no-store");
    json_writer_init(w, &response->body);
    json_begin_object(w);
    json_field_str(w, "status", status);
}

static void end_health(struct call *call, struct json_writer *w, struct http_response *response)
{
    json_end_object(w);
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_fastembed, response);
}

void handle_live(struct call *call, const struct api_context *api, const struct http_request *http,
                 struct http_response *response)
{
    struct json_writer w;
    (void)api;
    (void)http;
    begin_health(&w, "ok", response);
    end_health(call, &w, response);
}

void handle_ready(struct call *call, const struct api_context *api, const struct http_request *http,
                  struct http_response *response)
{
    struct json_writer w;
    const char *status = readiness(api);
    (void)http;
    response->status = strcmp(status, "ok") == 0 ? 200 : 503;
    begin_health(&w, status, response);
    end_health(call, &w, response);
}

void handle_health(struct call *call, const struct api_context *api, const struct http_request *http,
                   struct http_response *response)
{
    struct service_model model;
    struct json_writer w;
    const char *status = readiness(api);
    (void)http;
    response->status = strcmp(status, "ok") == 0 ? 200 : 503;
    begin_health(&w, status, response);
    json_key(&w, "model");
    if (service_model(api->service, call->arena, &model))
        json_string(&w, model.name);
    else
        json_null(&w);
    json_field_bool(&w, "namespaces", service_store(api->service) != NULL);
    end_health(call, &w, response);
}
