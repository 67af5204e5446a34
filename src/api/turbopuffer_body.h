/* api/turbopuffer_body.h: the body of a turbopuffer request while it is parsed. Private to the dialect.
 *
 * turbopuffer tells two failures apart: a body without the shape of the request (HTTP 422), and a body that breaks
 * a rule (400). A failure of the JSON reader, json_reject() included, is of the first kind; body_refuse() makes
 * the second.
 */
#ifndef API_TURBOPUFFER_BODY_H
#define API_TURBOPUFFER_BODY_H

#include "base/json.h"
#include "index/index.h"

struct body_parse {
    struct json_reader r;
    struct call *call;
    bool refused; /* the call's error says why; the reader has failed too */
};

void body_init(struct body_parse *b, struct call *call, struct span body);
/* Refuses a request whose shape is right, unless the reader has failed already. */
void body_refuse(struct body_parse *b, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Refuses a feature of turbopuffer that this server lacks, and says what to do instead. */
void body_not_yet(struct body_parse *b, const char *what, const char *instead);
/* Expects a value of this type, as fields_expect(). The failure also has turbopuffer's own message, which clients may
 * look for: `invalid type: map, expected a sequence`. `expected`: the words after "expected"; NULL: the name of the
 * type. */
bool body_expect(struct body_parse *b, enum json_type type, const char *name, const char *expected);
/* Checks that nothing follows the request. Sets *malformed, and fills the call's error after a failure. */
enum dp_status body_end(struct body_parse *b, bool *malformed);

/* Reads an integer. Refuses one outside [least, most]. */
void body_u32(struct body_parse *b, const char *name, uint32_t least, uint32_t most, uint32_t *out);
/* Reads "cosine_distance" or "euclidean_squared". */
void body_metric(struct body_parse *b, enum index_metric *out);

#endif
