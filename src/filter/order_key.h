/* filter/order_key.h: values as bytes that sort like the values. */
#ifndef FILTER_ORDER_KEY_H
#define FILTER_ORDER_KEY_H

#include "base/arena.h"
#include "base/buffer.h"
#include "filter/scalar.h"

/* Appends bytes that memcmp() orders as scalar_compare() orders values of one attribute, or the other way round if
 * `descending`. No value's bytes are the beginning of another's, so the bytes of several values behind each other order
 * tuples. A text with escapes needs memory of `scratch`. Fails with DP_NOMEM. */
enum dp_status order_key_put(const struct scalar *value, bool descending, struct arena *scratch,
                             struct buffer *out, struct dp_error *error);

#endif
