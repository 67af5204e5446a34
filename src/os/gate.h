/* os/gate.h: the rights of a call: the names that it may use, and its price in texts.
 *
 * The server sets a gate for each client; a call without a gate is the operator's and may do everything. The service
 * asks the gate wherever it uses a namespace, an open index, or texts to embed. So even a handler that forgets a check
 * cannot use a name without the right, or embed texts without counting them.
 */
#ifndef OS_GATE_H
#define OS_GATE_H

#include <stddef.h>

#include "base/span.h"
#include "os/call.h"

enum gate_answer {
    GATE_REFUSED, /* 0, so that a forgotten answer refuses */
    GATE_GRANTED,
    GATE_WAIT, /* the answer needs a call that may block */
};

enum gate_use { GATE_READ, GATE_WRITE };

struct gate {
    /* Whether the client may read or write the namespace or open index of this name. */
    enum gate_answer (*enter)(void *ctx, enum gate_use use, struct span name);
    /* Whether the client may list the names with this prefix. */
    enum gate_answer (*list)(void *ctx, struct span prefix);
    /* Whether the client may learn that this name exists. It is a question only: no request is refused by it. */
    bool (*sees)(void *ctx, struct span name);
    /* Counts texts before they are embedded. If `call` is NULL, the function must not block, and may answer
     * GATE_WAIT. */
    enum gate_answer (*spend)(void *ctx, struct call *call, size_t texts);
    void *ctx;
};

/* DP_DENIED unless the client may read or write the namespace or index of this name. */
enum dp_status gate_enter(struct call *call, enum gate_use use, struct span name);
/* DP_DENIED unless the client may list the names with `prefix` (empty: all names). */
enum dp_status gate_list(struct call *call, struct span prefix);
/* Whether the client may learn that this name exists; for messages that list names. */
bool gate_sees(const struct call *call, struct span name);
/* Counts texts before they are embedded; may block. DP_OVERLOADED if the client has none left. */
enum dp_status gate_spend(struct call *call, size_t texts);
/* Counts texts without blocking. */
enum gate_answer gate_try_spend(struct call *call, size_t texts);

#endif
