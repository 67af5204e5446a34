/* flight.c: keeps, for one flight, the number of its users and how it ended. The caller holds the lock that guards
 * the flight. */
#include "os/flight.h"

#include <assert.h>

void flight_begin(struct flight *flight)
{
    assert(flight->users == 0);
    *flight = (struct flight){.users = 1};
}

void flight_join(struct flight *flight)
{
    assert(flight->users > 0 && !flight->landed);
    flight->users++;
}

void flight_land(struct flight *flight, pthread_cond_t *landings, bool ok)
{
    assert(flight->users > 0 && !flight->landed);
    flight->landed = true;
    flight->ok = ok;
    flight->users--;
    if (flight->users > 0)
        pthread_cond_broadcast(landings);
}

enum flight_end flight_wait(struct call *call, struct flight *flight, pthread_cond_t *landings,
                            pthread_mutex_t *lock)
{
    while (!flight->landed && call_check(call) == DP_OK)
        call_wait(call, landings, lock);
    if (!flight->landed)
        return FLIGHT_LEFT;
    return flight->ok ? FLIGHT_LANDED : FLIGHT_FAILED;
}

void flight_leave(struct flight *flight)
{
    assert(flight->users > 0);
    flight->users--;
}
