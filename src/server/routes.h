/* server/routes.h: which handler answers which path. */
#ifndef SERVER_ROUTES_H
#define SERVER_ROUTES_H

#include "api/api.h"

struct route {
    const char *method;  /* GET also answers HEAD */
    const char *pattern; /* "/v2/namespaces/{ns}/query": a {…} stands for one part of a path */
    const struct api_dialect *dialect;
    api_handler handler;
    bool blocking;       /* runs on a request thread */
    api_attempt attempt; /* of a blocking one, on the I/O thread before; NULL: there is none */
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
