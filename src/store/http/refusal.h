/* store/http/refusal.h: finds out from the body of an error why a server refuses a plain or presigned URL.
 *
 * Amazon, Google and Azure send <Error><Code>…</Code><Message>…</Message>…</Error>, each with its own names. The code 403
 * alone could mean an expired URL, a wrong clock, an archived object or a changed URL, which need different remedies.
 */
#ifndef STORE_HTTP_REFUSAL_H
#define STORE_HTTP_REFUSAL_H

#include "store/http/request.h"

/* Returns whether the body of an error names a reason that we know. Then *why is the sentence for the user. A mere
 * AccessDenied is no reason. */
bool http_refusal_known(const struct transport_request *req, const char **why);

/* Writes what the body says in its own words, " Code: message", or "" if it says nothing. */
enum { HTTP_REFUSAL_SHOWN_MAX = 256 };
void http_refusal_shown(const struct transport_request *req, char out[HTTP_REFUSAL_SHOWN_MAX]);

#endif
