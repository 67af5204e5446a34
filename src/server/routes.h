/* server/routes.h: maps paths to handlers, with the right, scope and price of each.
 *
 * The fields that decide about rights have no default: zero means that somebody forgot one, and keeps the
 * server from starting. scripts/gen-route-docs makes the table in docs/http-api.md from them. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "api/api.h"

enum {
    ROUTE_BLOCKS = 1, /* runs on a request thread */
    ROUTE_EMBEDS = 2, /* embeds texts: also counted in dipper_embed_requests_total */
    /* compresses a long answer for a client that accepts gzip or zstd. Answers full of random digits lack it: most clients
     * accept gzip by default, and these answers would cost much time and become little shorter. */
    ROUTE_PACKS = 4,
};

/* The right that a request needs on a server with accounts. */
enum route_right {
    RIGHT_FORGOTTEN,
    RIGHT_OF_ANYONE,  /* no key */
    RIGHT_OF_WATCHER, /* no key, unless the settings protect this route too */
    RIGHT_OF_KEY,     /* any key */
    RIGHT_TO_EMBED,   /* a key that has the right to embed */
    RIGHT_TO_READ,
    RIGHT_TO_WRITE,
    RIGHT_TO_ADMIN, /* to change the server itself */
};

/* The namespaces and indexes that the handler may touch. The server compares a key's prefixes with these names
 * before it reads the body, and with each name that the handler touches later (os/gate.h). */
enum route_scope {
    SCOPE_FORGOTTEN,
    SCOPE_NOTHING,       /* none at all */
    SCOPE_PATH,          /* the path's first {…} */
    SCOPE_PATH_AND_BODY, /* the path's first {…}, and names in the body */
    SCOPE_LIST,          /* names that begin with the query's "prefix" */
    SCOPE_EVERYTHING,    /* not limited to names: only for keys without prefixes */
};

/* How an answer counts against the month's embeddings. */
enum route_price {
    PRICE_FORGOTTEN,
    PRICE_FREE,  /* not at all: the handler cannot embed */
    PRICE_TEXTS, /* each embedded text counts */
};

/* The treatment of a request's body. */
enum route_body {
    BODY_FORGOTTEN,
    BODY_DROPPED, /* read and discarded: the handler needs none */
    BODY_KEPT,
    BODY_LARGE, /* kept, up to a separate limit; most of a large body is in a temporary file (body.h) */
};

struct route {
    const char *method;  /* GET also answers HEAD */
    const char *pattern; /* "/v2/namespaces/{ns}/query": {…} matches one part of a path */
    const struct api_dialect *dialect;
    api_handler handler;
    api_attempt attempt; /* with ROUTE_BLOCKS: tried first, on the I/O thread; may be NULL */
    unsigned flags;
    enum route_right right;
    enum route_scope scope;
    enum route_price price;
    enum route_body body;
};

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

/* Checks that the fields that decide about rights are set and agree. DP_INVALID names the route and the field. */
enum dp_status route_check(const struct route *route, struct dp_error *error);
enum dp_status routes_check(struct dp_error *error); /* checks all ROUTES */

enum route_found { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD, ROUTE_BAD_PATH, ROUTE_NOMEM };

struct route_match {
    const struct route *route;         /* set for ROUTE_FOUND */
    const struct api_dialect *dialect; /* always set, because errors need it too */
    struct span args[HTTP_ARGS_MAX];   /* percent-decoded, in the arena */
    /* set for ROUTE_NO_METHOD: methods of the path ("GET, HEAD"), in the arena */
    const char *allow;
};

/* Returns a route whose path begins with `base` ("/v1"), or NULL. A server with such a base path would take the front of
 * that route's path for its base path. */
const struct route *route_below(struct span base);

/* Finds the route of a method and a path without its query. */
enum route_found route_find(const char *method, struct span path, struct arena *arena, struct route_match *out);

#endif
