/* store/http/web.h: opening plain and presigned http(s) URLs; see store_open and store_open_object. */
#ifndef STORE_STORE_HTTP_H
#define STORE_STORE_HTTP_H

#include "store/store.h"

/* `object`: the one key that the store has, whose URL is `url` as it stands; empty: `url` is a folder's. */
enum dp_status store_http_open(struct call *call, struct span url, struct span object,
                               const struct store_options *options, struct store **out);

#endif
