/* os/gate.h: who stands behind a call: what it may touch, and what it pays.
 *
 * The transport that lets clients in sets a gate; a call without one is the operator's own and may do everything. The
 * service asks the gate wherever it comes to a namespace, to an open index or to texts that are to be embedded. So no
 * handler reaches a name that was not checked, and none embeds free of charge, whatever it forgets.
 */
#ifndef OS_GATE_H
#define OS_GATE_H

#include <stddef.h>

#include "base/span.h"
#include "os/call.h"

enum gate_answer {
    GATE_REFUSED, /* 0: what a gate forgets to answer is refused */
    GATE_GRANTED,
    GATE_WAIT, /* only a call that may block can know */
};

enum gate_use { GATE_READ, GATE_WRITE };

struct gate {
    /* Whether the namespace or open index of this name may be used so. */
    enum gate_answer (*enter)(void *ctx, enum gate_use use, struct span name);
    /* Whether the names that begin so may be listed. */
    enum gate_answer (*list)(void *ctx, struct span prefix);
    /* Whether the caller may learn that this name exists. Asks without consequences. */
    bool (*sees)(void *ctx, struct span name);
    /* Counts texts that are about to be embedded. `call` NULL: does not block, but answers GATE_WAIT. */
    enum gate_answer (*spend)(void *ctx, struct call *call, size_t texts);
    void *ctx;
};

/* DP_DENIED unless the call may use the namespace or index of this name so. */
enum dp_status gate_enter(struct call *call, enum gate_use use, struct span name);
/* DP_DENIED unless the call may list the names that begin with `prefix` (empty: all). */
enum dp_status gate_list(struct call *call, struct span prefix);
/* Whether the caller may learn that this name exists: for sentences that name what there is. */
bool gate_sees(const struct call *call, struct span name);
/* Counts texts that are about to be embedded; may block. DP_OVERLOADED when they may not be. */
enum dp_status gate_spend(struct call *call, size_t texts);
/* Never blocks. */
enum gate_answer gate_try_spend(struct call *call, size_t texts);

#endif
