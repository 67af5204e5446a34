/* credentials_fixture.c: keys for S3 from a scripted server and from files (see credentials_fixture.h). */
#include "credentials_fixture.h"

#include "os/clock.h"
#include "os/file.h"

enum { NEVER_MS = 60000 };

const int64_t BEGIN_MS = 1767225600000;
_Atomic int64_t clock_ms;

int64_t test_clock(void)
{
    return clock_ms;
}

int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.folder = test_tmpdir()};
    arena_init(&f.arena, 16 << 20);
    call_init(&f.call, &f.arena);
    call_limit_ms(&f.call, NEVER_MS);
    f.server = http_server_start(NULL);
    f.settings.home = f.folder;
    f.settings.metadata_disabled = true;
    clock_ms = BEGIN_MS;
    *state = &f;
    return 0;
}

int tear_down(void **state)
{
    struct fixture *f = *state;
    credentials_free(f->credentials);
    http_server_stop(f->server);
    arena_deinit(&f->arena);
    return 0;
}

enum dp_status get(struct fixture *f, struct aws_keys **keys)
{
    if (!f->credentials &&
        credentials_new(&f->settings, "eu-west-1", test_clock, &f->credentials, &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
    dp_error_clear(&f->call.error);
    return credentials_get(&f->call, f->credentials, keys);
}

void forget(struct fixture *f)
{
    credentials_free(f->credentials);
    f->credentials = NULL;
}

void expect_keys(struct fixture *f, const char *id, const char *secret, const char *token)
{
    struct aws_keys *keys;
    if (get(f, &keys) != DP_OK)
        fail_msg("%s", f->call.error.message);
    assert_true(span_equal_str(keys->access_key_id, id));
    assert_true(span_equal_str(keys->secret_access_key, secret));
    assert_true(span_equal_str(keys->session_token, token));
    aws_keys_release(keys);
}

void expect_failure(struct fixture *f, enum dp_status want, const char *says)
{
    struct aws_keys *keys;
    enum dp_status status = get(f, &keys);
    if (status != want || !strstr(f->call.error.message, says))
        fail_msg("%s: %s", dp_status_name(status), f->call.error.message);
    assert_int_equal(f->call.error.status, want);
    assert_null(keys);
}

const char *file(struct fixture *f, const char *name, const char *text)
{
    const char *path = arena_printf(&f->arena, "%s/%s", f->folder, name);
    const char *folder = arena_printf(&f->arena, "%s/.aws", f->folder);
    assert_int_equal(os_make_dirs(folder, &f->call.error), DP_OK);
    if (os_write_file(path, span_str(text), &f->call.error) != DP_OK)
        fail_msg("%s", f->call.error.message);
    return path;
}

void answer(struct fixture *f, const char *match, int code, const char *text)
{
    http_server_script(f->server,
                       (struct http_act){.kind = HTTP_ACT_STATUS,
                                         .code = code,
                                         .match = match,
                                         .text = (const char *)arena_copy(&f->arena, span_str(text)).data});
}

const char *keys_json(struct fixture *f, const char *id, int64_t minutes)
{
    char time[25];
    os_format_utc(BEGIN_MS + minutes * MINUTE, time);
    return arena_printf(&f->arena,
                        "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"%s\"}",
                        id, time);
}

const char *url(struct fixture *f, const char *path)
{
    return (const char *)arena_copy(&f->arena, span_str(http_server_url(f->server, path))).data;
}
