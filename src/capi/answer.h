/* capi/answer.h: the answer to a JSON request, behind its public handle. */
#ifndef CAPI_ANSWER_H
#define CAPI_ANSWER_H

#include <dipper/dipper.h>

#include "api/api.h"
#include "capi/namespace.h"

/* Runs a handler of the HTTP API (api/api.h) over the namespace, in this process. `body` may be empty.
 *
 * key     value of the header Idempotency-Key; NULL: no such header
 * answer  NULL: the caller needs only the status. Else *answer is set on success
 *
 * Fails as the handler does, with the call's error. */
enum dp_status answer_request(struct call *call, struct dp_namespace *ns, api_handler handler, struct span body,
                              const char *key, struct dp_answer **answer);

#endif
