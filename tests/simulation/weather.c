/* weather.c: draws faults; some seeds have special weather, because some rules matter only then. */
#include "weather.h"

enum { SPECIAL_WEATHER = 8 }; /* each special weather comes in one of this many histories */

static const int64_t SECOND_NS = INT64_C(1000000000);

/* Makes everybody busy, and some requests take minutes: so a fold and a collector may pass between two reads of a
 * reader, within the time in which answers count (rule L4). */
static void hurry(struct sim_faults *f, int64_t *pause_ns)
{
    f->stall = 25;
    f->stall_least_ns = 20 * SECOND_NS;
    f->stall_most_ns = 400 * SECOND_NS;
    f->error = f->crash = 0;
    *pause_ns = 5 * SECOND_NS;
}

/* Makes many puts unclear, and some requests take longer than the collector waits. */
static void dawdle(struct sim_faults *f, int64_t *pause_ns)
{
    f->late = f->lost = 6;
    f->twice = f->stall = 20;
    f->stall_least_ns = 900 * SECOND_NS;
    f->error = f->crash = 0;
    *pause_ns = 120 * SECOND_NS;
}

/* Lets the store be late where it hurts (sim_trap.h), with rests in which a fold and a collector pass. */
static void set_traps(struct sim_faults *f, int64_t *pause_ns)
{
    f->traps = true;
    f->crash = f->twice = 0;
    *pause_ns = 3 * 60 * 60 * SECOND_NS;
}

void choose_weather(struct sim *sim, uint64_t seed, struct sim_faults *f, int64_t *pause_ns)
{
    static const unsigned rates[] = {0, 400, 100, 40};
    static const int64_t pauses[] = {10, 60, 600, 1800}, stalls[] = {2, 60, 900};
    unsigned *const each[] = {&f->error, &f->stall, &f->crash, &f->late, &f->twice, &f->lost};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++)
        *each[i] = rates[sim_below(sim, 4)];
    if (!f->error && !f->stall)
        f->stall = rates[2];
    f->late /= 4; /* puts are few among the requests */
    f->twice /= 4;
    f->lost /= 4;
    f->stall_least_ns = stalls[sim_below(sim, 3)] * SECOND_NS;
    f->stall_most_ns = 180 * 60 * SECOND_NS;
    *pause_ns = pauses[sim_below(sim, 4)] * SECOND_NS;
    if (seed / 24 % SPECIAL_WEATHER == 0)
        hurry(f, pause_ns);
    else if (seed / 24 % SPECIAL_WEATHER == 1)
        dawdle(f, pause_ns);
    else if (seed / 24 % SPECIAL_WEATHER == 2 && (seed % 3 == 1 || seed % 6 == 5)) /* a log, or branches */
        set_traps(f, pause_ns);
}
