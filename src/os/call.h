/* os/call.h: `struct call`, the first parameter of every function that may block or costs something.
 *
 * A call carries its deadline, a cancel flag, its costs so far, a trace id, an arena for data that lives as long
 * as the request, and the error. It has one owner thread. A parallel child gets its own call (call_child), and the
 * parent merges it when the child has ended (call_merge).
 */
#ifndef OS_CALL_H
#define OS_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

/* The costs of a call. Times are nanoseconds. */
struct call_cost {
    uint64_t rounds;   /* rounds of requests to the store */
    uint64_t requests; /* ranges, heads, puts, lists and deletes sent to the store */
    uint64_t bytes;    /* bytes read from the store */
    uint64_t bytes_written;
    uint64_t cache_hits; /* ranges answered by a cache */
    uint64_t tokens;     /* tokens embedded */
    /* Texts that got a vector; how many of them had one in a cache; the tokens of all these texts. */
    uint64_t texts, cached_texts, text_tokens;
    uint64_t store_ns, tokenize_ns, cache_ns, embed_ns, scan_ns;
};

struct gate; /* os/gate.h */

struct call {
    int64_t deadline_ns;           /* on the scale of os_now_ns(); INT64_MAX: no deadline */
    const _Atomic bool *cancelled; /* any thread may set it; NULL: nobody can cancel the call */
    /* call_check calls `poll` on the owner's thread, first at poll_ns and then every 20 ms. `poll` looks whether
     * the user wants to end the call (Python's Ctrl-C) and may set the cancel flag. NULL: no poll; a child has
     * none. */
    void (*poll)(void *ctx);
    void *poll_ctx;
    int64_t poll_ns;
    /* The caller has much work to lose, so it waits up to a minute for a store that does not answer. Reads of
     * other calls fail soon if they get no connection. */
    bool patient;
    struct call_cost cost;
    uint64_t trace_id[2];
    /* Who asks: calls with the same number share one part of what many wait for. 0: the operator. */
    uint64_t client;
    int64_t retry_ns; /* after a refusal: time to wait before the next try; 0: not known */
    /* says what the caller may use and spend; NULL: the operator, who may do everything */
    const struct gate *gate;
    struct arena *arena; /* memory that lives as long as the request; never NULL */
    struct dp_error error;
};

/* Begins a call without deadline and cancel flag. Its results live in `arena`. */
void call_init(struct call *call, struct arena *arena);
/* Moves the deadline to `ms` milliseconds from now, unless it is earlier already. */
void call_limit_ms(struct call *call, int64_t ms);
/* Makes call_check call `poll` from now on; `poll` may set `flag`, which cancels the call. A call that ends within
 * 20 ms never polls. */
void call_poll(struct call *call, void (*poll)(void *ctx), void *ctx, const _Atomic bool *flag);

/* Returns DP_OK, or fails with DP_CANCELLED or DP_DEADLINE. Cheap: call it before each step. */
enum dp_status call_check(struct call *call);
/* Returns the milliseconds until the deadline; 0 if it has passed, -1 if there is none. */
int call_left_ms(const struct call *call);
/* Waits for `changed` until the deadline, or for at most 20 ms if the call can be cancelled. The caller holds the
 * lock and calls call_check in a loop. */
void call_wait(const struct call *call, pthread_cond_t *changed, pthread_mutex_t *lock);
/* Waits until a thread that works for the call has ended, even if the call is cancelled or its deadline passes.
 * Polls meanwhile, so the thread can see the cancel flag too. */
void call_join(struct call *call, pthread_t thread);

enum dp_status call_fail(struct call *call, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Changes the status of the error, keeps its sentence, and returns the new status. */
enum dp_status call_restatus(struct call *call, enum dp_status status);
enum dp_status call_nomem(struct call *call, const char *what);

/* Makes a child with the parent's deadline, flag, patience, trace id and gate, with zero costs, and with the arena
 * of its own thread. */
void call_child(const struct call *parent, struct call *child, struct arena *arena);
/* Adds the child's costs to the parent's, except rounds: they become the larger of both numbers, because children
 * run side by side. Copies the child's error if the parent has none. */
void call_merge(struct call *parent, const struct call *child);

#endif
