/* contract.h: the suite that every object store must pass (src/store/store.h). */
#ifndef STORE_CONTRACT_H
#define STORE_CONTRACT_H

#include "store/store.h"

struct contract_store {
    const char *name;
    /* A fresh empty store. */
    struct store *(*open)(void);
    /* Opens another handle on the same objects, as another process would do. NULL when the store allows only
     * one handle. The caller frees it. */
    struct store *(*reopen)(struct store *first);
    bool holds_name_and_folder; /* keeps both "a" and "a/b" */
    bool remote;                /* sends requests and counts them; ranges merge, and errors have bodies */
    /* reads and writes of one name at once may fail or mix; the suite skips those tests */
    bool not_atomic;
    /* answers a range that begins at an object's end as RFC 9110 forbids; the suite leaves out such ranges */
    bool wrong_at_end;
    bool stale_when_missing; /* a read of a missing object with a version is DP_STALE, not DP_NOT_FOUND */
    size_t longest_key;      /* bytes; 0: STORE_KEY_MAX. A root's prefix takes some of a store's room for names. */
    bool no_size_of_unchanged; /* a read "if changed" of an unchanged object does not report its size */
};

/* Runs every test over the store. Returns the number of failed tests. */
int contract_run(const struct contract_store *which);

#endif
