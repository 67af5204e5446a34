/* store/http/web.h: opens plain and presigned http(s) URLs; see store_open_with and store_open_object. */
#ifndef STORE_STORE_HTTP_H
#define STORE_STORE_HTTP_H

#include "store/store.h"

/* Opens a folder if `object` is empty. Otherwise opens a store that has only the key `object`; its reads request
 * `url` byte for byte. */
enum dp_status store_http_open(struct call *call, struct span url, struct span object,
                               const struct store_options *options, struct store **out);

#endif
