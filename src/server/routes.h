/* server/routes.h: which handler answers which path, who may ask it, what it touches and what it costs.
 *
 * The fields of a route that decide about rights have no default: their zero means that somebody forgot them, and the
 * server does not start. docs/http-api.md has the table that scripts/gen-route-docs makes of them. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "api/api.h"

enum {
    ROUTE_BLOCKS = 1, /* runs on a request thread */
    ROUTE_EMBEDS = 2, /* texts become vectors: counted as dipper_embed_requests_total too */
};

/* Who may ask, where the server has accounts. */
enum route_right {
    RIGHT_FORGOTTEN,
    RIGHT_OF_ANYONE,  /* without a key */
    RIGHT_OF_WATCHER, /* without a key, unless the settings want one here too */
    RIGHT_OF_KEY,     /* with any key */
    RIGHT_TO_EMBED,   /* with a key that may embed, and so on */
    RIGHT_TO_READ,
    RIGHT_TO_WRITE,
};

/* Which namespaces and indexes the handler may come to. A key's prefixes are held against these names before the body
 * is read, and against each name that the handler then comes to (os/gate.h). */
enum route_scope {
    SCOPE_FORGOTTEN,
    SCOPE_NOTHING,       /* none at all */
    SCOPE_PATH,          /* the one that the path names: its first {…} */
    SCOPE_PATH_AND_BODY, /* that one, and those that the body names */
    SCOPE_LIST,          /* the names that begin with the query's "prefix" */
    SCOPE_EVERYTHING,    /* also what has no such name: for keys without prefixes alone */
};

/* What an answer is counted as against the month's embeddings. */
enum route_price {
    PRICE_FORGOTTEN,
    PRICE_FREE,  /* nothing: the handler cannot embed */
    PRICE_TEXTS, /* one for each text that is embedded */
};

/* What becomes of a request's body. */
enum route_body {
    BODY_FORGOTTEN,
    BODY_DROPPED, /* read and thrown away: nobody asks for it */
    BODY_KEPT,
};

struct route {
    const char *method;  /* GET also answers HEAD */
    const char *pattern; /* "/v2/namespaces/{ns}/query": a {…} stands for one part of a path */
    const struct api_dialect *dialect;
    api_handler handler;
    api_attempt attempt; /* of one that blocks, on the I/O thread before; NULL: there is none */
    unsigned flags;
    enum route_right right;
    enum route_scope scope;
    enum route_price price;
    enum route_body body;
};

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

/* Whether every field that decides about rights is there, and fits the others. DP_INVALID names the route and the
 * field. */
enum dp_status route_check(const struct route *route, struct dp_error *error);
enum dp_status routes_check(struct dp_error *error); /* of all ROUTES */

enum route_found { ROUTE_FOUND, ROUTE_NO_PATH, ROUTE_NO_METHOD, ROUTE_BAD_PATH, ROUTE_NOMEM };

struct route_match {
    const struct route *route;         /* ROUTE_FOUND */
    const struct api_dialect *dialect; /* always: whose shape an error has */
    struct span args[HTTP_ARGS_MAX];   /* percent-decoded, in the arena */
    const char *allow;                 /* methods of the path ("GET, HEAD"), in the arena; ROUTE_NO_METHOD */
};

/* Finds the route of a path (without its query). */
enum route_found route_find(const char *method, struct span path, struct arena *arena, struct route_match *out);

#endif
