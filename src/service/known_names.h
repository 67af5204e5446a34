/* service/known_names.h: the names of some namespaces, for the sentence that says that another is not there.
 *
 * They are listed when somebody asks for a name that is not there, and at most every KNOWN_NAMES_SECONDS: a client that
 * asks for many such names costs no more than one that asks once. */
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
        bool more; /* there are others */
        size_t lens[KNOWN_NAMES_MAX];
        char names[KNOWN_NAMES_MAX][INDEX_NAME_MAX];
    } locked;
};

void known_names_init(struct known_names *k);
void known_names_deinit(struct known_names *k);

/* The call has failed with DP_NOT_FOUND for a namespace: adds to its sentence which there are, of those that the call's gate
 * lets it see. Nothing is added when they cannot be listed. */
void known_names_tell(struct call *call, struct known_names *k, struct store *store);

#endif
