/* store/auth/ask.h: sends one request to a source of secrets: a metadata service or a token endpoint.
 *
 * Each request opens a transport and frees it afterwards, because such requests are rare: about one an hour. Answers
 * may hold secrets, so no message quotes them.
 */
#ifndef STORE_AUTH_ASK_H
#define STORE_AUTH_ASK_H

#include "base/buffer.h"
#include "store/http/request.h"
#include "store/trust.h"

enum auth_distance {
    AUTH_NEAR, /* on this host or beside it: answers at once or not at all; no proxy sees the request */
    AUTH_FAR   /* somewhere on the internet */
};

/* Sends `req` and copies the answer's body into the call's arena. DP_OK: an answer came, whatever its code. `from`
 * begins the messages: "the metadata server". */
enum dp_status auth_ask(struct call *call, const struct trust_settings *trust, enum auth_distance distance,
                        const char *from, struct transport_request *req, struct span *body);

/* Returns whether nobody on the way can read what is sent to a URL: it is https, or a server of this host. */
bool auth_is_private(struct span url);
/* Fails with DP_INVALID if a secret in a request to `url` could be read on the way. */
enum dp_status auth_check_private(struct call *call, const char *from, struct span url);

/* Reads a token from a file into the arena, without white space at its ends. DP_INVALID if none is left. */
enum dp_status auth_read_token(struct call *call, const char *path, struct span *token);

/* Appends "&name=value" to a form (application/x-www-form-urlencoded); the first field gets no '&'. */
void auth_append_field(struct buffer *form, const char *name, struct span value);

#endif
