/* os/call.h: the first parameter of every function that may block or costs something.
 *
 * A call carries its deadline, a cancel flag, what it has cost so far, a trace id, an arena for what lives
 * as long as the request, and the error. It has one owner thread. A parallel child gets its own call
 * (call_child) and the parent merges it when the child has ended (call_merge).
 */
#ifndef OS_CALL_H
#define OS_CALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/arena.h"
#include "base/error.h"

/* What a call has cost. Times are nanoseconds. */
struct call_cost {
    uint64_t rounds;   /* dependency steps that went to the store */
    uint64_t requests; /* ranges, heads, puts, lists and deletes sent to the store */
    uint64_t bytes;    /* bytes read from the store */
    uint64_t bytes_written;
    uint64_t cache_hits; /* ranges answered by a cache */
    uint64_t tokens;     /* tokens embedded */
    /* Of texts that the call got vectors for: all, those whose vectors a cache had, and the tokens of all. */
    uint64_t texts, cached_texts, text_tokens;
    uint64_t store_ns, tokenize_ns, cache_ns, embed_ns, scan_ns;
};

struct gate; /* os/gate.h */

struct call {
    int64_t deadline_ns;           /* os_now_ns() scale; INT64_MAX: none */
    const _Atomic bool *cancelled; /* set by anyone; NULL: cannot be cancelled */
    /* Asked by call_check, so on the owner's thread, from poll_ns on and every 20 ms: it may set the flag. For those
     * who can only look whether somebody wants the end. NULL: nobody; a child has none. */
    void (*poll)(void *ctx);
    void *poll_ctx;
    int64_t poll_ns;
    /* The caller has put much into this, and waits a minute out in which the store is away, say; reads of others fail
     * soon when no connection can be made. */
    bool patient;
    struct call_cost cost;
    uint64_t trace_id[2];
    const struct gate *gate; /* what the caller may touch, and pays; NULL: the operator, who may do everything */
    struct arena *arena;     /* the request's; never NULL */
    struct dp_error error;
};

/* A call without deadline or cancel flag, whose results live in `arena`. */
void call_init(struct call *call, struct arena *arena);
/* The deadline becomes the earlier of its own and now + `ms` milliseconds. */
void call_limit_ms(struct call *call, int64_t ms);
/* `poll` is asked from now on; `flag` is what it may set. A call that ends within 20 ms never asks. */
void call_poll(struct call *call, void (*poll)(void *ctx), void *ctx, const _Atomic bool *flag);

/* DP_OK, or DP_CANCELLED / DP_DEADLINE with the error filled. Cheap: to be asked before each step. */
enum dp_status call_check(struct call *call);
/* Milliseconds until the deadline, 0 when it passed, -1 when there is none. */
int call_left_ms(const struct call *call);
/* Waits for `changed`, at most until the deadline, and 20 ms where the call may be cancelled: ask call_check again. The
 * lock is held. */
void call_wait(const struct call *call, pthread_cond_t *changed, pthread_mutex_t *lock);
/* Waits until a thread that works for the call has ended, however the call fares; meanwhile call_poll's function is
 * asked, so that whoever wants the end of the call can say so to the thread too. */
void call_join(struct call *call, pthread_t thread);

enum dp_status call_fail(struct call *call, enum dp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Another status for the sentence that is already in the error; returns it. */
enum dp_status call_restatus(struct call *call, enum dp_status status);
enum dp_status call_nomem(struct call *call, const char *what);

/* A child with the parent's deadline, flag, patience, trace id and gate, its own zero costs, and `arena` (its thread's). */
void call_child(const struct call *parent, struct call *child, struct arena *arena);
/* Adds the child's costs to the parent's (rounds: the larger, as children run side by side); copies its
 * error when the parent has none. */
void call_merge(struct call *parent, const struct call *child);

#endif
