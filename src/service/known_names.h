/* service/known_names.h: names of existing namespaces, for the error that one was not found.
 *
 * They are listed when a client asks for a missing name, at most once in KNOWN_NAMES_SECONDS. So a client that asks for
 * many missing names costs no more than one that asks once. */
#ifndef SERVICE_KNOWN_NAMES_H
#define SERVICE_KNOWN_NAMES_H

#include <pthread.h>

#include "index/index.h"

enum { KNOWN_NAMES_MAX = 8, KNOWN_NAMES_SECONDS = 10, KNOWN_NAMES_LIST_MS = 2000 };

struct known_names {
    struct {
        pthread_mutex_t lock;
        int64_t asked_ns; /* os_now_ns() scale; 0: never */
        size_t count;
        bool more; /* the store has others */
        size_t lens[KNOWN_NAMES_MAX];
        char names[KNOWN_NAMES_MAX][INDEX_NAME_MAX];
    } locked;
};

void known_names_init(struct known_names *k);
void known_names_deinit(struct known_names *k);

/* Appends existing names to the call's DP_NOT_FOUND error of a namespace: those that its gate lets it see. Appends nothing
 * when they cannot be listed. */
void known_names_tell(struct call *call, struct known_names *k, struct store *store);

#endif
