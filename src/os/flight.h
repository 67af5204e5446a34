/* os/flight.h: a flight: several threads want one thing that is missing, and one of them fetches it.
 *
 * The first thread that asks leads: it fetches the thing and then lands the flight, with a result or a failure.
 * Later threads follow: they join and wait. After a failure each follower asks again, and the first one leads. The
 * owner of a table of things embeds one flight in each entry and decides which things to keep. A flight holds only
 * the number of its users and how it ended.
 *
 * A flight has no lock: the owner's lock guards it and `landings`, a condition that all entries under that lock
 * share. The caller of each function holds the lock. `users` counts the leader and the followers. They have
 * pointers to the entry, so the owner frees an entry only when its flight has no users.
 */
#ifndef OS_FLIGHT_H
#define OS_FLIGHT_H

#include <pthread.h>

#include "os/call.h"

struct flight {
    unsigned users;
    bool landed, ok;
};

/* The owner's answer to a caller that asks for a thing. */
enum flight_answer {
    FLIGHT_HIT,  /* the owner has the thing */
    FLIGHT_WAIT, /* another caller leads: wait (flight_wait), or leave */
    FLIGHT_LEAD, /* the caller must fetch, and then land */
    FLIGHT_NOMEM
};

enum flight_end {
    FLIGHT_LANDED,
    FLIGHT_FAILED, /* the leader failed: ask again */
    FLIGHT_LEFT    /* the call ended first; its error is filled */
};

/* Begins a flight; the caller leads. A flight that has landed may begin anew when it has no users. */
void flight_begin(struct flight *flight);
void flight_join(struct flight *flight);
/* Ends the flight, wakes the followers, and removes the leader from the users. */
void flight_land(struct flight *flight, pthread_cond_t *landings, bool ok);
/* Waits until the flight has landed, or until the call's deadline or cancel flag. The caller stays a user: it
 * copies the result, then calls flight_leave. */
enum flight_end flight_wait(struct call *call, struct flight *flight, pthread_cond_t *landings,
                            pthread_mutex_t *lock);
void flight_leave(struct flight *flight);

#endif
