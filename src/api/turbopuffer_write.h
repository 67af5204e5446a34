/* api/turbopuffer_write.h: the body of a turbopuffer v2 write. Private to the dialect. */
#ifndef API_TURBOPUFFER_WRITE_H
#define API_TURBOPUFFER_WRITE_H

#include "os/call.h"
#include "service/clone.h"
#include "service/write.h"

struct turbopuffer_write {
    struct write_request write;
    /* Kinds of rows that the request names: the answer counts these kinds only. */
    bool upserts, patches, deletes;
    bool return_affected_ids;
    /* With a source, the request writes no rows: it makes the namespace as a branch or a copy of the source. */
    struct clone_request clone;
};

/* Parses a write, with spans and arrays in the call's arena or in the body. DP_INVALID names the field and the
 * reason; *malformed says whether the body is no write at all (HTTP 422) or breaks a rule (400). DP_UNSUPPORTED:
 * turbopuffer knows the field, this version does not. */
enum dp_status turbopuffer_parse_write(struct call *call, struct span body, struct turbopuffer_write *out,
                                       bool *malformed);

#endif
