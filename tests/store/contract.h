/* contract.h: the suite that every object store must pass (src/store/store.h). */
#ifndef STORE_CONTRACT_H
#define STORE_CONTRACT_H

#include "store/store.h"

struct contract_store {
    const char *name;
    /* A fresh empty store. */
    struct store *(*open)(void);
    /* Another handle on the same objects, as another process would have; NULL when the store has none. The
     * caller frees it. */
    struct store *(*reopen)(struct store *first);
    bool holds_name_and_folder; /* "a" and "a/b" side by side */
    bool remote;                /* counts the requests that were sent: ranges merge, and errors have bodies */
    bool not_atomic;            /* loses when many read and write one name at once: such tests are left out */
    bool no_size_of_unchanged;  /* a read "if changed" of what has not does not tell the size */
};

/* Runs every test over the store; the number that failed. */
int contract_run(const struct contract_store *which);

#endif
