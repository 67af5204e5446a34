/* remote_fixture.h: the scripted server, a transport with short waits, and a remote store, for tests of the S3, Google
 * Cloud Storage and http stores. */
#ifndef REMOTE_FIXTURE_H
#define REMOTE_FIXTURE_H

#include "test_support.h"

#include "http_server.h"
#include "store/gcs_settings.h"
#include "store/s3/s3.h"

enum { REMOTE_TRIES = 4 };

/* The transport of the fixture. Waits are short; no test depends on their length. */
extern const struct transport_options REMOTE_QUICK;

/* The state of each test. The settings name the server as S3 endpoint, and have a secret, "hush". */
struct remote_fixture {
    struct arena arena;
    struct call call;
    struct http_server *server;
    struct transport *transport;
    struct s3_settings settings;
    struct gcs_settings gcs; /* name the server as endpoint; anonymous */
    struct store *store;     /* NULL until a test opens one */
};

int remote_set_up(void **state);
/* As remote_set_up, with a server that speaks a dialect. */
int remote_set_up_dialect(void **state, const struct http_dialect *dialect);
int remote_tear_down(void **state);
#define REMOTE_CASE(name) cmocka_unit_test_setup_teardown(name, remote_set_up, remote_tear_down)

/* Closes the fixture's store and opens `root` over the fixture's transport and settings. */
enum dp_status remote_open(struct remote_fixture *f, const char *root, struct store_options options);
/* Opens `root` without other options. A failure fails the test. */
void remote_must_open(struct remote_fixture *f, const char *root);

/* Puts `body` under a condition. `etag` is the expected version, or NULL. */
enum dp_status remote_put(struct call *call, struct store *store, const char *key, const char *body,
                          enum store_condition condition, const char *etag);

/* Scripts the answer to the next request whose head contains `match`. */
void remote_answer(struct remote_fixture *f, const char *match, int code, const char *text);
/* Returns the server's latest request. */
struct http_seen remote_last_seen(struct remote_fixture *f);

#endif
