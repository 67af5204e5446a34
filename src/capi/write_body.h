/* capi/write_body.h: prints the arrays of a write as the JSON body that the HTTP API takes. */
#ifndef CAPI_WRITE_BODY_H
#define CAPI_WRITE_BODY_H

#include <dipper/dipper.h>

#include "base/buffer.h"
#include "os/call.h"

/* Maximum bytes of a body: the server's default. */
enum { WRITE_BODY_MAX = 256 << 20 };

/* Prints the rows of the arrays, and the fields of write->request if that is not NULL. write->count ≥ 1.
 * DP_INVALID names the array or the element that is wrong. */
enum dp_status write_body_print(struct call *call, const struct dp_write *write, struct buffer *out);

#endif
