/* server/route_hint.h: which route was perhaps meant by a path that has none. */
#ifndef SERVER_ROUTE_HINT_H
#define SERVER_ROUTE_HINT_H

#include "server/routes.h"

struct route_hint {
    const struct route *route;
    const char *path; /* with the client's own parts in place of {…}; in the arena */
};

/* Looks for the route whose path this one would be with its slashes single and none at its end, with letters of the other
 * case, with the version in front ("/embeddings"), or without a first part too many ("/v1/v1/embeddings"). One that
 * answers the method is preferred. False: there is none, or no memory. */
bool route_hint(const char *method, struct span path, struct arena *arena, struct route_hint *out);

#endif
