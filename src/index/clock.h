/* index/clock.h: time and randomness for the room index/, and what a process remembers between two uses of them.
 *
 * A simulation gives each node its own clock and its own process. Wherever a parameter or a field is a `const struct
 * index_clock *`, NULL means the system's clock. Thread-safe.
 */
#ifndef INDEX_CLOCK_H
#define INDEX_CLOCK_H

#include <pthread.h>

#include "os/call.h"
#include "os/random.h"

enum { INDEX_WRITERS_MAX = 32 };

/* What one process remembers, for all its namespaces. Zeroed, with an initialised lock. */
struct index_process {
    pthread_mutex_t lock;
    struct {
        int64_t ulid_ms; /* time of the latest ULID that was made by the clock */
        /* ULIDs of writers (glossary) that no swap uses now. A forked child does not use its parent's. */
        char writers[INDEX_WRITERS_MAX][ULID_LEN + 1];
        size_t writer_count;
        int64_t owner; /* id of the process that put the writers there */
    } locked;
};

struct index_clock {
    int64_t (*now_ns)(void *ctx);  /* counts while the host sleeps */
    int64_t (*wall_ms)(void *ctx); /* Unix time of this host */
    /* Waits `ms` milliseconds. DP_OK after that time; any other status says why the call ended before. */
    enum dp_status (*wait)(void *ctx, struct call *call, int64_t ms);
    /* Fills `out` with random bytes. */
    enum dp_status (*random)(void *ctx, void *out, size_t len, struct dp_error *error);
    void *ctx;
    struct index_process *process; /* NULL: two ULIDs of one millisecond may sort either way */
};

extern const struct index_clock index_system_clock;

/* Each of these calls the function of `clock` with the same name. If `clock` is NULL, it calls that of the
 * system's clock. */
int64_t index_now_ns(const struct index_clock *clock);
int64_t index_wall_ms(const struct index_clock *clock);
enum dp_status index_wait(const struct index_clock *clock, struct call *call, int64_t ms);
enum dp_status index_random(const struct index_clock *clock, void *out, size_t len, struct dp_error *error);

/* Returns now_ms, or, if that is not later than the previous result for the clock's process, the millisecond after
 * that result. So the times of the process's ULIDs rise. */
int64_t index_ulid_ms(const struct index_clock *clock, int64_t now_ms);

/* Takes a writer that an earlier swap of the clock's process has given back. Returns false if there is none. */
bool index_take_writer(const struct index_clock *clock, char out[ULID_LEN + 1]);
/* Gives back the writer of a swap whose outcome is known. The process's next swap uses it again, so the process keeps
 * one place in the manifest's list of writers. */
void index_give_writer(const struct index_clock *clock, const char writer[ULID_LEN + 1]);

#endif
