/* server/route_hint.h: finds the route that the client of an unknown path may have meant. */
#ifndef SERVER_ROUTE_HINT_H
#define SERVER_ROUTE_HINT_H

#include "server/routes.h"

struct route_hint {
    const struct route *route;
    const char *path; /* the route's path, with the client's parts in place of {…}; in the arena */
};

/* Finds a route that the path would match without double or trailing slashes and in other case; if need be,
 * also with the version in front ("/embeddings"), or without its first part ("/v1/v1/embeddings"). Prefers a
 * route of `method`. Returns false if there is none, or no memory is left. */
bool route_hint(const char *method, struct span path, struct arena *arena, struct route_hint *out);

#endif
