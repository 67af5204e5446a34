/* capi/write_body.h: prints the arrays of a write as the JSON body that the HTTP API takes. */
#ifndef CAPI_WRITE_BODY_H
#define CAPI_WRITE_BODY_H

#include <dipper/dipper.h>

#include "base/buffer.h"
#include "os/call.h"

/* Maximum bytes of a body, as the server takes by default. */
enum { WRITE_BODY_MAX = 256 << 20 };

/* Prints the fields of write->request if there is one, and the rows of the arrays beside them; write->count ≥ 1. DP_INVALID names the array or the
 * element that is wrong. */
enum dp_status write_body_print(struct call *call, const struct dp_write *write, struct buffer *out);

#endif
