/* base/masked_url.h: URLs as they may be shown: without the passwords, tokens and signatures in them. */
#ifndef BASE_MASKED_URL_H
#define BASE_MASKED_URL_H

#include "base/buffer.h"

/* Appends `text`, one URL or several with anything between them, with "(hidden)" in place of
 *   - what stands behind the user's name and before the last '@' ("redis://:(hidden)@host:6379");
 *   - the value of a query parameter whose name speaks of a password, a secret, a token, a key or a signature.
 * In doubt it hides: a password that should have been percent-encoded and was not is hidden whole, and so is
 * everything before the '@' of a text that is no URL. */
void masked_url_append(struct buffer *out, struct span text);

enum { MASKED_URL_MAX = 200 };
/* The same for messages: cut to fit between characters, control characters as '?'. Answers `out`. */
const char *masked_url(struct span text, char out[MASKED_URL_MAX]);

enum { URL_SHOWN_MAX = 200 };
/* One URL without userinfo, query and fragment, cut to fit: for messages about URLs that were parsed. A password whose
 * '/', '?' or '#' is not percent-encoded seems to be a port and a path: in doubt both are hidden. Answers `out`. */
const char *url_shown(struct span url, char out[URL_SHOWN_MAX]);

#endif
