/* base/likely_name.h: finds the name that a mistyped name most likely means, among names that are offered one by one. */
#ifndef BASE_LIKELY_NAME_H
#define BASE_LIKELY_NAME_H

#include "base/span.h"

enum { LIKELY_NAME_MAX = 64 }; /* bytes; longer names are never near */

struct likely_name {
    struct span given;
    const char *name; /* the nearest name so far; NULL: none is near */
    unsigned distance;
};

static inline struct likely_name likely_name_of(struct span given)
{
    return (struct likely_name){.given = given};
}

/* Offers a name. It is near if at most a third of the given name's bytes (but one at least) must be inserted,
 * deleted, replaced, or exchanged with their neighbour. `name` must outlive *n. */
void likely_name_offer(struct likely_name *n, const char *name);

#endif
