/* os/call.h: the first parameter of every function that may block or costs something.
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
    uint64_t rounds;   /* dependency steps that went to the store */
    uint64_t requests; /* ranges, heads, puts, lists and deletes sent to the store */
    uint64_t bytes;    /* bytes read from the store */
    uint64_t bytes_written;
    uint64_t cache_hits; /* ranges answered by a cache */
    uint64_t tokens;     /* tokens embedded */
    /* Texts that the call got vectors for: all; those with a vector in a cache; the tokens of all. */
    uint64_t texts, cached_texts, text_tokens;
    uint64_t store_ns, tokenize_ns, cache_ns, embed_ns, scan_ns;
};

struct gate; /* os/gate.h */

struct call {
    int64_t deadline_ns;           /* os_now_ns() scale; INT64_MAX: none */
    const _Atomic bool *cancelled; /* set by anyone; NULL: cannot be cancelled */
    /* call_check calls it on the owner's thread, from poll_ns on and every 20 ms; it may set the flag. For callers
     * that can only look for a wish to end (Python's Ctrl-C). NULL: no poll; a child has none. */
    void (*poll)(void *ctx);
    void *poll_ctx;
    int64_t poll_ns;
    /* The caller has invested much and waits up to a minute while the store is away. Other reads fail soon if no
     * connection can be made. */
    bool patient;
    struct call_cost cost;
    uint64_t trace_id[2];
    const struct gate *gate; /* what the caller may touch, and pays; NULL: the operator, who may do everything */
    struct arena *arena;     /* the request's; never NULL */
    struct dp_error error;
};

/* A call without deadline or cancel flag, whose results live in `arena`. */
void call_init(struct call *call, struct arena *arena);
/* Moves the deadline to `ms` milliseconds from now, unless it is earlier already. */
void call_limit_ms(struct call *call, int64_t ms);
/* call_check calls `poll` from now on; `flag` is what `poll` may set. A call that ends within 20 ms never
 * polls. */
void call_poll(struct call *call, void (*poll)(void *ctx), void *ctx, const _Atomic bool *flag);

/* DP_OK, or DP_CANCELLED / DP_DEADLINE with the error filled. Cheap; call it before each step. */
enum dp_status call_check(struct call *call);
/* Milliseconds until the deadline; 0: it has passed; -1: there is none. */
int call_left_ms(const struct call *call);
/* Waits for `changed`, at most until the deadline, or for 20 ms if the call can be cancelled. The caller holds the
 * lock, and asks call_check in a loop. */
void call_wait(const struct call *call, pthread_cond_t *changed, pthread_mutex_t *lock);
/* Waits until a thread that works for the call has ended, whatever becomes of the call. Polls meanwhile, so a wish
 * to end reaches the thread too. */
void call_join(struct call *call, pthread_t thread);

enum dp_status call_fail(struct call *call, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Changes the status of the error and keeps its sentence; returns it. */
enum dp_status call_restatus(struct call *call, enum dp_status status);
enum dp_status call_nomem(struct call *call, const char *what);

/* Makes a child with the parent's deadline, flag, patience, trace id and gate, with zero costs, and with the arena
 * of its own thread. */
void call_child(const struct call *parent, struct call *child, struct arena *arena);
/* Adds the child's costs to the parent's (of rounds, the larger number, because children run side by side). Copies
 * the child's error if the parent has none. */
void call_merge(struct call *parent, const struct call *child);

#endif
