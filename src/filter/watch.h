/* filter/watch.h: the end of matches that take long, and what made a match fail. */
#ifndef FILTER_WATCH_H
#define FILTER_WATCH_H

#include "os/call.h"

enum { FILTER_WATCH_STEPS = 1 << 16 }; /* steps of a match between two looks at the call */

/* Matches that one thread makes. A caller trusts none of them before it has seen that `status` is DP_OK. */
struct filter_watch {
    struct call *call;     /* when it ends, the match does; it gets the error. NULL: nothing ends a match */
    enum dp_status status; /* DP_OK, or what ended a match: DP_DEADLINE, DP_CANCELLED, DP_NOMEM */
    size_t steps;          /* since the last look */
};

/* Counts steps of a match. Returns false if the match has ended without a result. */
static inline bool filter_watch_steps(struct filter_watch *watch, size_t steps)
{
    watch->steps += steps;
    if (watch->steps >= FILTER_WATCH_STEPS && watch->call && watch->status == DP_OK) {
        watch->steps = 0;
        watch->status = call_check(watch->call);
    }
    return watch->status == DP_OK;
}

/* Notes that a match had no memory. */
static inline void filter_watch_nomem(struct filter_watch *watch)
{
    if (watch->status == DP_OK)
        watch->status = watch->call ? call_nomem(watch->call, "a filter") : DP_NOMEM;
}

#endif
