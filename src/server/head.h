/* server/head.h: whether a request's head may be trusted to say where its body ends.
 *
 * Two programs that disagree on that can be made to see different requests on one connection ("smuggling"), so
 * what RFC 9112 calls malformed is refused, and the connection closed, before anything else is looked at.
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
    size_t target_len; /* bytes of the request line's target, as the transport's parser told it */
    size_t count;
    bool too_many;  /* there were more than fit */
    bool ambiguous; /* the transport's parser may have read something else than was sent */
    /* out */
    uint64_t content_length;
    bool has_length, chunked, expects_continue;
    /* in: fields[count]; the last, as they need no clearing */
    struct head_field fields[HEAD_FIELDS_MAX];
};

/* An empty head, for another request. */
void head_clear(struct head *head);

/* 0 when the head is sound (and fills what is `out`), or the HTTP status that it is refused with. */
unsigned head_check(struct head *head, struct dp_error *error);

/* Whether the head is, byte for byte, the request line and the fields that the transport's parser made of it:
 * nothing skipped, joined or ended early. `raw` is the head as libmicrohttpd leaves it, parsed in place: NULs for
 * the line ends, for the blanks of the request line and for each field's colon; the spans of `head` must point into it. */
bool head_is_whole(const struct head *head, struct span raw);

/* The value of a header by its lower-case name, without blanks around it; data NULL: absent. */
struct span head_value(const struct head *head, const char *name);

#endif
