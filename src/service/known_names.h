/* service/known_names.h: remembers names of existing namespaces, for errors about a missing one.
 *
 * The service lists the names when a client asks for a missing namespace, at most once in KNOWN_NAMES_SECONDS. So
 * a client that asks for many missing namespaces costs no more than a client that asks once. */
#ifndef SERVICE_KNOWN_NAMES_H
#define SERVICE_KNOWN_NAMES_H

#include <pthread.h>

#include "index/index.h"

enum { KNOWN_NAMES_MAX = 8, KNOWN_NAMES_SECONDS = 10, KNOWN_NAMES_LIST_MS = 2000 };

/* The first names that the last listing found. */
struct known_names {
    struct {
        pthread_mutex_t lock;
        int64_t asked_ns; /* start of the last listing, by os_now_ns(); 0: never */
        size_t count;
        bool more; /* the store has more names than these */
        size_t lens[KNOWN_NAMES_MAX];
        char names[KNOWN_NAMES_MAX][INDEX_NAME_MAX];
    } locked;
};

void known_names_init(struct known_names *k);
void known_names_deinit(struct known_names *k);

/* Appends existing names to the call's DP_NOT_FOUND error, but only names that the call's gate lets it see.
 * Appends nothing when it knows no name. */
void known_names_tell(struct call *call, struct known_names *k, struct store *store);

#endif
