/* store/http/outcome.h: what the answer to a put or a removal means, where all remote stores agree. */
#ifndef STORE_HTTP_OUTCOME_H
#define STORE_HTTP_OUTCOME_H

#include "store/http/fetch.h"

/* How a store judges the refusal of a put. */
enum put_refusal {
    PUT_REFUSED, /* for a reason that the store's `explain` gives */
    PUT_UNMET,   /* the condition did not hold */
    PUT_GONE     /* the condition "if version" did not hold, because there is no object */
};

/* Fails for an answer to a put that is not 2xx. DP_UNKNOWN if an earlier try may have landed, or may land yet, whatever
 * the last answer was; DP_EXISTS or DP_CONFLICT if the condition did not hold. `root` is for messages. */
enum dp_status http_put_refused(struct call *call, struct http_source *source, const char *root,
                                const struct store_put *put, const struct transport_request *req,
                                enum put_refusal refusal);
/* Takes the version of a new object from the ETag of a 2xx. DP_UNKNOWN if there is none. */
enum dp_status http_put_version(struct call *call, const char *root, struct store_put *put,
                                const struct transport_request *req);

/* Judges the answer to a removal; a missing object is as it should be. */
enum dp_status http_removed(struct call *call, struct http_source *source, const struct transport_request *req);

#endif
