/* time_fixture.h: a world whose time a test sets: the store's, and that of hosts. */
#ifndef TIME_FIXTURE_H
#define TIME_FIXTURE_H

#include "index_fixture.h"

enum { MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

/* One clock for the hosts and the store, unless their differences are set. */
struct test_time {
    int64_t ms;          /* Unix time of the store */
    int64_t host_behind; /* milliseconds by which the host's boot clock is behind */
    bool undated;        /* the store does not date its answers */
    struct index_process process;
    struct index_clock clock;
};

extern struct test_time test_time;

int time_world(void **state); /* cmocka set-up: a fresh mem:// store under test_time */
void time_pass(int64_t ms);
int64_t time_date_ms(void *ctx); /* for test_store_date(), of &test_time */

#endif
