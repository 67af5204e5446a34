/* api/turbopuffer_handlers.h: what the handlers of the turbopuffer dialect share. Private to the dialect. */
#ifndef API_TURBOPUFFER_HANDLERS_H
#define API_TURBOPUFFER_HANDLERS_H

#include "api/api.h"

/* Answers with the call's error. `malformed`: the body does not have the form of the route's request; the answer is HTTP
 * 422. */
void turbopuffer_fail(const struct call *call, bool malformed, struct http_response *response);
void turbopuffer_print_metadata(struct call *call, struct span name, const struct namespace_info *info,
                                struct http_response *response);
/* Nanoseconds as milliseconds with three digits. */
double turbopuffer_ms(uint64_t ns);
/* Nanoseconds as whole milliseconds, rounded up: clients take 0 for "not measured". */
uint64_t turbopuffer_whole_ms(uint64_t ns);

#endif
