/* store/store_check.h: tries out whether a store keeps the promises that writing needs. */
#ifndef STORE_CHECK_H
#define STORE_CHECK_H

#include "store/store.h"

/* What store_check_writes found out beside its status. */
struct store_check {
    bool has_clock;
    int64_t clock_ms; /* the store's clock minus that of this host */
    bool left;        /* the object of the check could not be removed */
    char key[48];     /* its name, with a NUL */
};

/* Puts a small object with a fresh name, tries each condition of puts when it holds and when it does not, reads the
 * object back, and removes it. Fails as the first operation that failed; with DP_UNSUPPORTED if the store carries out a
 * put whose condition does not hold, or gives back other bytes. */
enum dp_status store_check_writes(struct call *call, struct store *store, struct store_check *out);

#endif
