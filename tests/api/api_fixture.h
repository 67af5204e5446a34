/* api_fixture.h: calls handlers without sockets. */
#ifndef API_FIXTURE_H
#define API_FIXTURE_H

#include "service_fixture.h"

#include "api/api.h"

struct answer {
    unsigned status;
    const char *type; /* content type */
    char *body;       /* NUL-terminated; lives until the next question */
    struct http_response response;
};

/* The service under test. api_set_up opens it with the model; api_tear_down frees it and the latest answer. */
extern struct service *api_service;
int api_set_up(void **state);
int api_tear_down(void **state);

/* Calls a handler. `argument` replaces {…} in its path, or is NULL. The body may hold NULs. */
struct answer *ask_bytes(struct service *service, api_handler handler, const char *argument, const char *query,
                         struct span body);
struct answer *ask(struct service *service, api_handler handler, const char *argument, const char *body);
void ask_end(void); /* frees the latest answer */

/* Fails the test unless the answer has that status, is well-formed JSON and holds the text. */
void assert_answer(const struct answer *a, unsigned status, const char *holds);
/* Returns the header's value, or NULL. */
const char *answer_header(const struct answer *a, const char *name);
/* Reads the numbers of the array behind the first `"name":`. Returns their count. */
size_t answer_floats(const struct answer *a, const char *name, float *out, size_t max);

/* Calls the handler with each body. Fails the test unless the answer has the status and a text that holds
 * `says`. */
struct refusal {
    const char *body;
    unsigned status;
    const char *says;
};
void assert_refusals(struct service *service, api_handler handler, const char *argument,
                     const struct refusal *refusals, size_t count);

/* Calls the handler with each allocation failing in turn. Each answer must have its usual status or 503. */
void assert_survives_failed_allocations(struct service *service, api_handler handler, const char *argument,
                                        const char *body);

#endif
