/* base/url.h: URLs taken apart (RFC 3986), and percent-encoding.
 *
 * All rooms read URLs here, so two rooms cannot see two hosts in one URL. The parts are spans of the text as
 * written: nothing is decoded, and no part is checked against its scheme.
 */
#ifndef BASE_URL_H
#define BASE_URL_H

#include "base/buffer.h"
#include "base/span.h"

/* scheme://[userinfo@]host[:port][path][?query][#fragment] */
struct url {
    struct span scheme;
    struct span authority; /* all between "://" and the path: [userinfo@]host[:port] */
    struct span userinfo;  /* up to the authority's last '@'; data NULL: it has none */
    struct span place;     /* host[:port] */
    struct span host;      /* an IPv6 address with its brackets; may be empty */
    struct span port;      /* data NULL: no ':' follows the host */
    struct span path;      /* from its '/' on, or empty */
    struct span query;     /* behind the '?'; data NULL: no '?' */
    struct span fragment;  /* behind the '#'; data NULL: no '#' */
};

/* Returns false when the text does not begin with a scheme and "://"; *out is all empty then. */
bool url_split(struct span text, struct url *out);
/* Splits host[:port] at the first ':' behind the brackets. */
void url_split_place(struct span place, struct span *host, struct span *port);
/* Digits for a port: 1 to 65535. */
bool url_port(struct span digits, uint16_t *out);
/* The length of the scheme before "://"; 0: there is none. */
size_t url_scheme_len(struct span text);
bool url_is_scheme_byte(uint8_t c); /* of a scheme behind its first letter */
/* host[:port] as the Host header has it: without userinfo, and without the port that its scheme has anyway. */
struct span url_host_header(struct span text);

/* Returns whether "%XX" stands at `at`, and the byte that it encodes. */
bool percent_byte(struct span text, size_t at, uint8_t *out);
/* Decodes each %XX, and '+' as a space where `plus`. `out` has room for text.len bytes, and may be the text
 * itself. Returns false when a '%' is not followed by two hexadecimal digits. */
bool percent_decode(struct span text, bool plus, uint8_t *out, size_t *len);
/* Decodes each %XX and keeps every other '%' as it is. Returns the length. */
size_t percent_decode_loosely(struct span text, uint8_t *out);
/* Encodes all but unreserved characters (RFC 3986, 2.3), and '/' unless `keep_slash`. `out` has room for 3 *
 * text.len bytes. Returns the length. */
size_t percent_encode(struct span text, bool keep_slash, uint8_t *out);
void percent_append(struct buffer *out, struct span text, bool keep_slash);

#endif
