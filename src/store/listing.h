/* store/listing.h: builds a store_listing from keys in ascending order. */
#ifndef STORE_LISTING_H
#define STORE_LISTING_H

#include "store/store.h"

/* Collects the entries of one listing. */
struct store_lister {
    struct call *call;
    struct span prefix, after;
    bool folders;
    size_t max;
    struct store_listing *out;
    size_t capacity;
};

void store_lister_init(struct store_lister *l, struct call *call, struct span prefix, struct span after,
                       bool folders, size_t max, struct store_listing *out);
/* Takes the next key, in ascending order. Skips a key outside the listing; lists the folder of a key below a
 * folder, once. Sets *full when the listing needs no more keys. */
enum dp_status store_lister_add(struct store_lister *l, struct span key, uint64_t size, bool *full);
/* Returns whether a key that begins with `start` can add an entry to the listing. */
bool store_lister_wants_below(const struct store_lister *l, struct span start);

#endif
