/* base/url.h: splits URLs into their parts (RFC 3986); percent-encoding.
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
    struct span authority; /* from "://" to the path: [userinfo@]host[:port] */
    struct span userinfo;  /* up to the authority's last '@'; data NULL: no '@' */
    struct span place;     /* host[:port] */
    struct span host;      /* an IPv6 address with its brackets; may be empty */
    struct span port;      /* data NULL: no ':' follows the host */
    struct span path;      /* from its '/' on, or empty */
    struct span query;     /* behind the '?'; data NULL: no '?' */
    struct span fragment;  /* behind the '#'; data NULL: no '#' */
};

/* Returns false when the text does not begin with a scheme and "://"; every part of *out is empty then. */
bool url_split(struct span text, struct url *out);
/* Splits host[:port] at the first ':' behind the brackets. */
void url_split_place(struct span place, struct span *host, struct span *port);
/* Reads a port, 1 to 65535. Returns false for other texts. */
bool url_port(struct span digits, uint16_t *out);
/* Returns the length of the scheme before "://"; 0 if the text does not begin with one. */
size_t url_scheme_len(struct span text);
bool url_is_scheme_byte(uint8_t c); /* whether a scheme may have this byte after its first letter */
/* Returns host[:port] for the Host header: without userinfo, and without the default port of the scheme. */
struct span url_host_header(struct span text);

/* Returns whether the text has a "%XX" at offset `at`; *out gets the byte that it encodes. */
bool percent_byte(struct span text, size_t at, uint8_t *out);
/* Reads the byte at *at, decoded if an escape stands there, and moves *at behind it. *at < text.len. False: a '%' is
 * not followed by two hexadecimal digits. */
bool percent_next(struct span text, size_t *at, uint8_t *out);
/* Decodes each %XX, and '+' as a space if `plus`. `out` has room for text.len bytes, and may be the text
 * itself. Returns false when a '%' is not followed by two hexadecimal digits. */
bool percent_decode(struct span text, bool plus, uint8_t *out, size_t *len);
/* Decodes each %XX and keeps every other '%' as it is. Returns the length. */
size_t percent_decode_loosely(struct span text, uint8_t *out);
/* Encodes all but unreserved characters (RFC 3986, 2.3), and '/' unless `keep_slash`. `out` has room for 3 *
 * text.len bytes. Returns the length. */
size_t percent_encode(struct span text, bool keep_slash, uint8_t *out);
void percent_append(struct buffer *out, struct span text, bool keep_slash);

#endif
