/* os/flight.h: many want one thing that is missing, and one of them fetches it.
 *
 * The first asker leads: it fetches, and then it lands, whatever the outcome. The others join and wait. If the
 * leader fails, each of them asks again, and the first to do so leads. The owner of a table of things embeds one
 * flight in each entry and decides what is kept; this file knows only who leads, who waits, and how the flight
 * ended.
 *
 * A flight has no lock: the owner's lock guards it, and guards `landings`, which all entries under one lock share.
 * Each function is called with that lock held. `users` counts the leader and those who joined; the entry belongs
 * to its users as well as to the table, so the owner frees it only when there are none.
 */
#ifndef OS_FLIGHT_H
#define OS_FLIGHT_H

#include <pthread.h>

#include "os/call.h"

struct flight {
    unsigned users;
    bool landed, ok;
};

/* An owner's answer to an asker. */
enum flight_answer {
    FLIGHT_HIT,  /* the thing is there */
    FLIGHT_WAIT, /* another caller leads: wait, or leave */
    FLIGHT_LEAD, /* the caller must fetch, and then land */
    FLIGHT_NOMEM
};

enum flight_end {
    FLIGHT_LANDED,
    FLIGHT_FAILED, /* the leader did not get it: ask again */
    FLIGHT_LEFT    /* the call ended first; its error is filled */
};

/* The caller leads. A flight that has landed, and that nobody uses, may begin anew. */
void flight_begin(struct flight *flight);
void flight_join(struct flight *flight);
/* Ends the flight, wakes those who wait, and takes the leader from the users. */
void flight_land(struct flight *flight, pthread_cond_t *landings, bool ok);
/* Waits for the end, or for the call's deadline or cancel flag. The caller stays a user: it copies, then
 * leaves. */
enum flight_end flight_wait(struct call *call, struct flight *flight, pthread_cond_t *landings,
                            pthread_mutex_t *lock);
void flight_leave(struct flight *flight);

#endif
