/* weather.h: how often things go wrong in a history, and how fast things go. */
#ifndef SIM_WEATHER_H
#define SIM_WEATHER_H

#include "sim_store.h"

/* Draws the faults of a seed, and *pause_ns: how long an actor rests at most. */
void choose_weather(struct sim *sim, uint64_t seed, struct sim_faults *faults, int64_t *pause_ns);

#endif
