/* health.c: GET /health, for load balancers and people. */
#include "base/json.h"
#include "server/handlers.h"

void handle_health(struct call *call, const struct api_context *api, const struct http_request *http,
                   struct http_response *response)
{
    struct service_model model;
    struct json_writer w;
    bool draining = api->draining && atomic_load(api->draining);
    (void)http;
    response->status = draining ? 503 : 200;
    response->content_type = "application/json";
    http_add_header(response, "Cache-Control", "no-store");
    json_writer_init(&w, &response->body);
    json_begin_object(&w);
    json_key(&w, "status");
    json_string_str(&w, draining ? "draining" : "ok");
    json_key(&w, "model");
    if (service_model(api->service, &model))
        json_string(&w, model.name);
    else
        json_null(&w);
    json_key(&w, "namespaces");
    json_bool(&w, service_store(api->service) != NULL);
    json_end_object(&w);
    if (buffer_check(&response->body, "the answer", &call->error) != DP_OK)
        api_fail(call, &api_fastembed, response);
}
