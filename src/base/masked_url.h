/* base/masked_url.h: URLs for logs and messages: without passwords, tokens and signatures. */
#ifndef BASE_MASKED_URL_H
#define BASE_MASKED_URL_H

#include "base/buffer.h"

/* Appends `text`, one URL or several with anything between them, with "(hidden)" in place of
 *   - the text between the user's name and the last '@' ("redis://:(hidden)@host:6379");
 *   - the value of a query parameter whose name suggests a password, a secret, a token, a key or a signature.
 * In doubt it hides too much: the whole of a password that nobody percent-encoded, and everything before the '@'
 * of a text that is not a URL. */
void masked_url_append(struct buffer *out, struct span text);

enum { MASKED_URL_MAX = 200 };
/* A masked URL for a message: cut between characters to fit, control characters as '?'. Returns `out`. */
const char *masked_url(struct span text, char out[MASKED_URL_MAX]);

enum { URL_SHOWN_MAX = 200 };
/* One URL without userinfo, query and fragment, cut to fit, for messages about a URL after its parsing. A password
 * whose '/', '?' or '#' is not percent-encoded looks like a port and a path: in doubt both are hidden. Returns
 * `out`.
 */
const char *url_shown(struct span url, char out[URL_SHOWN_MAX]);

#endif
