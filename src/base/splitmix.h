/* base/splitmix.h: SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014),
 * for random choices that can be repeated from a seed. Not for secrets.
 */
#ifndef BASE_SPLITMIX_H
#define BASE_SPLITMIX_H

#include <stdint.h>

/* SplitMix64's finalizer: spreads the bits of x over the result. */
static inline uint64_t splitmix64_mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* The distance between two states. Threads that share a state add it atomically. */
#define SPLITMIX64_STEP UINT64_C(0x9e3779b97f4a7c15)

/* The next number of the sequence. */
static inline uint64_t splitmix64_next(uint64_t *state)
{
    *state += SPLITMIX64_STEP;
    return splitmix64_mix(*state);
}

#endif
