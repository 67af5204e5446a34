/* http_server.h: a scripted HTTP server inside the test. It keeps objects, and misbehaves on command.
 *
 *     struct http_server *s = http_server_start(NULL);         // 127.0.0.1, a free port
 *     http_server_put(s, "/a", span_str("body"));              // GET, HEAD, ranges, If-Match, …
 *     http_server_script(s, (struct http_act){.kind = HTTP_ACT_STATUS, .code = 503});   // the next request
 *     … send requests to http_server_url(s, "/a") …
 *     assert_int_equal(http_server_count(s), 2);               // requests since the start or the last reset
 *     http_server_stop(s);
 *
 * Objects answer GET (whole, one range, If-Match, If-None-Match), HEAD, PUT (If-Match, If-None-Match: *) and
 * DELETE; each put gives a new ETag. A dialect (http_objects.h) replaces these answers by those of a kind of
 * store; the functions below then take the names that the dialect gives to objects. Each scripted act serves the first request that it matches, in order. Each
 * connection has a thread; all functions are thread-safe. Memory comes from malloc, so that the server does not
 * disturb a walk over failing allocations. Nothing sleeps: a waiting act ends when the client closes the
 * connection or the server stops.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum http_act_kind {
    HTTP_ACT_SERVE,    /* serve normally: lets a request pass */
    HTTP_ACT_REFUSE,   /* HTTP_ACT_STATUS, and close; before the body is sent, if the client awaits 100 Continue */
    HTTP_ACT_STATUS,   /* answer `code` with the header lines `lines` and the body `text` */
    HTTP_ACT_RESET,    /* serve, but reset the connection after `at` bytes of the body */
    HTTP_ACT_TRUNCATE, /* serve, but close in order after `at` bytes of the body */
    HTTP_ACT_LOSE,     /* carry the request out, then close without an answer */
    HTTP_ACT_DROP,     /* close without doing or answering anything */
    HTTP_ACT_LATE,     /* drop, but carry the request out right after the next one for its path */
    HTTP_ACT_TWICE,    /* LOSE and LATE: carry the request out now and again later, answer nothing */
    HTTP_ACT_RAW,      /* answer `text` and close */
    HTTP_ACT_SHIFT,    /* serve a range, but call it `at` bytes later in Content-Range */
    HTTP_ACT_IGNORE_RANGE, /* serve the whole object with 200 */
    HTTP_ACT_ENDLESS,      /* 200, chunked, until the client closes the connection */
    HTTP_ACT_HUGE_HEAD,    /* 200 with header lines until the client closes the connection */
    HTTP_ACT_DRIP,         /* serve the body's first `at` bytes, then a byte now and then */
    HTTP_ACT_SLOW,         /* answer as HTTP_ACT_STATUS, after `at` blanks in the body, one now and then */
    HTTP_ACT_MUTE,         /* carry the request out, send `at` bytes of a read's body, and then nothing */
    HTTP_ACT_SILENT,       /* read the request and never answer */
    HTTP_ACT_CHANGE,       /* serve, after the object got a new content of equal length */
    HTTP_ACT_WEAK,         /* serve with W/ before the ETag */
    HTTP_ACT_NO_ETAG,      /* serve without the ETag */
    HTTP_ACT_CHUNKED       /* serve with chunks instead of a length */
};

struct http_act {
    enum http_act_kind kind;
    int code;
    size_t at;
    const char *lines; /* header lines, each with \r\n; NULL: no lines */
    const char *text;  /* the body; NULL: no body */
    const char *match; /* text that the request's head must contain; NULL: any request */
    unsigned times;    /* maximum number of requests that it serves; 0: one */
};

/* A request that the server received. */
struct http_seen {
    char method[8];
    char target[512];
    char head[4096]; /* request line and header lines, cut when longer */
    char body[2048]; /* the first bytes, as text */
    size_t body_len;
    unsigned connection; /* number of the connection, from 1 in the order of accepting */
};

struct http_server;
struct http_dialect; /* http_objects.h */

struct http_server_options {
    const struct http_dialect *dialect; /* NULL: a plain web server, where the path is an object's name */
    bool tls;                           /* with a self-signed certificate for localhost and 127.0.0.1 */
    bool weak, plain;                   /* weak: ETags are weak; plain: no ETags, but Last-Modified */
    bool no_modified;                   /* with plain: no Last-Modified either */
    uint16_t port;                      /* 0: any free port */
    bool terse;                         /* a 416 does not report the size, like MinIO's */
};

struct http_server *http_server_start(const struct http_server_options *options);
void http_server_stop(struct http_server *s);
/* Returns "http://127.0.0.1:PORT" and the path, valid until the server stops. */
const char *http_server_url(struct http_server *s, const char *path);
/* Returns the certificate's file (PEM). The server must have `tls`. */
const char *http_server_certificate(struct http_server *s);

void http_server_put(struct http_server *s, const char *path, struct span body);
/* Returns the quoted ETag of an object, valid until the object changes, or "". */
const char *http_server_etag(struct http_server *s, const char *path);
bool http_server_has(struct http_server *s, const char *path);
void http_server_script(struct http_server *s, struct http_act act);
/* Returns the number of scripted acts that no request has used yet. */
size_t http_server_unused(struct http_server *s);
/* Holds requests until `n` of them wait together. Then serves them and all later requests. */
void http_server_gate(struct http_server *s, unsigned n);

unsigned http_server_count(struct http_server *s);
/* Returns how many connections the server has accepted: the largest number of requests that were in flight at once, if
 * the client reuses connections. */
unsigned http_server_connections(struct http_server *s);
/* Returns the i-th request, from 0. Fails the test if there are fewer. */
struct http_seen http_server_seen(struct http_server *s, unsigned i);
/* Forgets counts, requests, and unused acts. */
void http_server_reset(struct http_server *s);

#endif
