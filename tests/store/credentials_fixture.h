/* credentials_fixture.h: keys for S3 from a scripted server and from files in a temporary folder, with a clock that the
 * test moves. */
#ifndef CREDENTIALS_FIXTURE_H
#define CREDENTIALS_FIXTURE_H

#include "test_support.h"

#include "http_server.h"
#include "store/s3/credentials.h"

enum { MINUTE = 60000 };

/* The time at which each test begins, 2026-01-01T00:00:00Z, and the clock, which the tests move. */
extern const int64_t BEGIN_MS;
extern _Atomic int64_t clock_ms;
int64_t test_clock(void);

struct fixture {
    struct arena arena;
    struct call call;
    struct http_server *server;
    struct s3_settings settings; /* the home is `folder`; no metadata service */
    struct credentials *credentials;
    const char *folder;
};

int set_up(void **state);
int tear_down(void **state);
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Makes the credentials of the settings at its first call. */
enum dp_status get(struct fixture *f, struct aws_keys **keys);
/* Forgets the credentials, so that the next call makes others of changed settings. */
void forget(struct fixture *f);
void expect_keys(struct fixture *f, const char *id, const char *secret, const char *token);
void expect_failure(struct fixture *f, enum dp_status want, const char *says);

/* Writes a file below the fixture's folder. Returns its path, in the arena. */
const char *file(struct fixture *f, const char *name, const char *text);
/* Scripts the answer to the next request whose head contains `match`. */
void answer(struct fixture *f, const char *match, int code, const char *text);
/* The JSON of keys that expire `minutes` after BEGIN_MS. */
const char *keys_json(struct fixture *f, const char *id, int64_t minutes);
/* Returns a URL of the server. The string outlives the server. */
const char *url(struct fixture *f, const char *path);

#endif
