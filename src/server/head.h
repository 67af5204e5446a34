/* server/head.h: checks that a request's head says clearly where the request's body ends.
 *
 * If two programs disagree on that end, an attacker can make them see different requests on one connection
 * ("smuggling"). So the server refuses a head that RFC 9112 calls malformed before anything else, and closes the
 * connection.
 */
#ifndef SERVER_HEAD_H
#define SERVER_HEAD_H

#include "base/error.h"
#include "base/span.h"

enum { HEAD_FIELDS_MAX = 100 };

struct head_field {
    struct span name, value;
};

struct head {
    /* in */
    struct span method, version;
    size_t target_len; /* bytes of the request line's target, as the transport's parser reports it */
    size_t count;
    bool too_many;  /* the client sent more than HEAD_FIELDS_MAX fields */
    bool ambiguous; /* the transport's parser may have misread the head */
    /* out */
    uint64_t content_length;
    bool has_length, chunked, expects_continue;
    /* in: fields[count]. The last member, because head_clear does not clear it. */
    struct head_field fields[HEAD_FIELDS_MAX];
};

/* Empties the head for another request. */
void head_clear(struct head *head);

/* Checks the head and fills its out fields. Returns 0, or the HTTP status of the refusal. */
unsigned head_check(struct head *head, struct dp_error *error);

/* Whether the head consists, byte for byte, of the request line and the fields that the transport's parser
 * reports, and that the parser skipped, joined or cut nothing. `raw` is the head as libmicrohttpd leaves it:
 * parsed in place, with NULs in place of line ends, blanks of the request line and colons. The spans of `head`
 * must point into it. */
bool head_is_whole(const struct head *head, struct span raw);

/* The value of a header by its lower-case name, without blanks around it; data NULL: absent. */
struct span head_value(const struct head *head, const char *name);

#endif
