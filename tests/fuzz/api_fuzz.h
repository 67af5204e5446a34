/* api_fuzz.h: a service over the tiny model and a namespace in memory, for the fuzz targets of the dialects. */
#ifndef API_FUZZ_H
#define API_FUZZ_H

#include "api/api.h"

/* Returns the service, which the first call opens. It lives as long as the process. */
struct service *fuzz_service(void);

/* Calls a handler, and aborts unless the answer is well-formed JSON with a status that fits. `argument`
 * replaces {…} in the path. */
void fuzz_ask(api_handler handler, const char *argument, struct span query, struct span body);

#endif
