/* server/route_hint.h: the route that a path without one may have meant. */
#ifndef SERVER_ROUTE_HINT_H
#define SERVER_ROUTE_HINT_H

#include "server/routes.h"

struct route_hint {
    const struct route *route;
    const char *path; /* with the client's parts in place of {…}; in the arena */
};

/* Finds a route that the path would match without double or trailing slashes, in other case, with the version in front
 * ("/embeddings"), or without its first part ("/v1/v1/embeddings"). Prefers a route of that method. False: none, or out of
 * memory. */
bool route_hint(const char *method, struct span path, struct arena *arena, struct route_hint *out);

#endif
