/* server/routes.h: which handler answers which path. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "api/api.h"

enum {
    ROUTE_BLOCKS = 1, /* runs on a request thread */
    ROUTE_EMBEDS = 2, /* texts become vectors: counted as dipper_embed_requests_total too */
};

/* Who may ask, where the server has accounts. */
enum route_access {
    ACCESS_KEY,   /* whoever has a key; also of a route that does not say */
    ACCESS_OPEN,  /* anybody */
    ACCESS_WATCH, /* anybody, unless the settings want a key here too */
    ACCESS_EMBED, /* a key with this right, and so on */
    ACCESS_READ,
    ACCESS_WRITE
};

struct route {
    const char *method;  /* GET also answers HEAD */
    const char *pattern; /* "/v2/namespaces/{ns}/query": a {…} stands for one part of a path */
    const struct api_dialect *dialect;
    api_handler handler;
    unsigned flags;
    api_attempt attempt; /* of one that blocks, on the I/O thread before; NULL: there is none */
    enum route_access access;
};

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

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
