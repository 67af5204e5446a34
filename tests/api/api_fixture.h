/* api_fixture.h: asks handlers without sockets. */
#ifndef API_FIXTURE_H
#define API_FIXTURE_H

#include "service_fixture.h"

#include "api/api.h"

struct answer {
    unsigned status;
    const char *type; /* content type */
    char *body;       /* NUL-terminated; until the next question */
    struct http_response response;
};

/* Asks a handler; `argument` is what stands for {…} in its path, or NULL. The body may hold NULs. */
struct answer *ask_bytes(struct service *service, api_handler handler, const char *argument, const char *query,
                         struct span body);
struct answer *ask(struct service *service, api_handler handler, const char *argument, const char *body);
void ask_end(void); /* frees the last answer */

/* Fails the test unless the answer has that status, is well-formed JSON and holds the text. */
void assert_answer(const struct answer *a, unsigned status, const char *holds);
/* The header's value, or NULL. */
const char *answer_header(const struct answer *a, const char *name);
/* The numbers of the array behind the first `"name":`; answers how many. */
size_t answer_floats(const struct answer *a, const char *name, float *out, size_t max);

/* Asks with each body and expects the status and a sentence that holds `says`. */
struct refusal {
    const char *body;
    unsigned status;
    const char *says;
};
void assert_refusals(struct service *service, api_handler handler, const char *argument,
                     const struct refusal *refusals, size_t count);

/* The same question with every allocation failing in turn: an answer each time, 503 unless it is the usual one. */
void assert_survives_failed_allocations(struct service *service, api_handler handler, const char *argument,
                                        const char *body);

#endif
