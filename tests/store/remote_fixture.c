/* remote_fixture.c: the scripted server, a transport with short waits, and a remote store. */
#include "remote_fixture.h"

#include <string.h>

enum { NEVER_MS = 60000 };

const struct transport_options REMOTE_QUICK = {
    .retry_base_ms = 1, .retry_cap_ms = 2, .tries = REMOTE_TRIES, .stall_ms = 60000};

int remote_set_up(void **state)
{
    return remote_set_up_dialect(state, NULL);
}

int remote_set_up_dialect(void **state, const struct http_dialect *dialect)
{
    static struct remote_fixture f;
    f = (struct remote_fixture){0};
    arena_init(&f.arena, 64 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    f.server = http_server_start(&(struct http_server_options){.dialect = dialect});
    assert_int_equal(transport_new(&REMOTE_QUICK, &f.transport, &f.call.error), DP_OK);
    f.settings =
        (struct s3_settings){.access_key_id = "AKID", .secret_access_key = "hush", .metadata_disabled = true};
    f.settings.endpoint_url = (const char *)arena_copy(&f.arena, span_str(http_server_url(f.server, ""))).data;
    f.gcs = (struct gcs_settings){
        .endpoint_url = f.settings.endpoint_url, .anonymous = true, .metadata_disabled = true};
    *state = &f;
    return 0;
}

int remote_tear_down(void **state)
{
    struct remote_fixture *f = *state;
    store_free(f->store);
    transport_free(f->transport);
    http_server_stop(f->server);
    arena_deinit(&f->arena);
    return 0;
}

enum dp_status remote_open(struct remote_fixture *f, const char *root, struct store_options options)
{
    options.transport = f->transport;
    options.settings[0] = (struct store_settings){"s3", &f->settings};
    options.settings[1] = (struct store_settings){"gs", &f->gcs};
    store_free(f->store);
    f->store = NULL;
    dp_error_clear(&f->call.error);
    return store_open_with(&f->call, span_str(root), &options, &f->store);
}

void remote_must_open(struct remote_fixture *f, const char *root)
{
    if (remote_open(f, root, (struct store_options){0}) != DP_OK)
        fail_msg("%s", f->call.error.message);
}

enum dp_status remote_put(struct call *call, struct store *store, const char *key, const char *body,
                          enum store_condition condition, const char *etag)
{
    struct store_version version = {0};
    if (etag) {
        version.len = (uint8_t)strlen(etag);
        memcpy(version.token, etag, version.len);
    }
    struct store_put put = {
        .key = span_str(key), .body = span_str(body), .condition = condition, .expected = &version};
    dp_error_clear(&call->error);
    return store_put(call, store, &put);
}

void remote_answer(struct remote_fixture *f, const char *match, int code, const char *text)
{
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS, .code = code, .match = match, .text = text});
}

struct http_seen remote_last_seen(struct remote_fixture *f)
{
    return http_server_seen(f->server, http_server_count(f->server) - 1);
}
