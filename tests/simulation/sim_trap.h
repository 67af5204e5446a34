/* sim_trap.h: a store that is late exactly when it hurts.
 *
 * Some rules matter only if several slow requests meet, which chance alone hardly ever arranges. In a history with
 * traps the store arranges it. It only chooses when it carries requests out and answers them, as any store may.
 */
#ifndef SIM_TRAP_H
#define SIM_TRAP_H

#include "sim_store.h"

/* What the store does with a put of a log entry. */
enum sim_trap {
    TRAP_NONE,
    TRAP_KEEP, /* it keeps the put until the number was taken and is free again; nobody hears of it */
    TRAP_LOSE  /* it carries the put out, and loses the answer */
};

/* Chooses. A kept put of one writer is followed by a lost answer to the next writer of the same number. */
enum sim_trap trap_put(struct sim_node *node, const struct store_put *put);
/* Waits while a read is held: a writer who had no answer sees nothing of its number until another's entry is there. */
void trap_hold_read(struct sim_node *node, struct span key);
/* Waits, if a branching wants to change a manifest, for a time in which others can merge and collect. */
void trap_hold_put(struct sim_node *node, struct span key);
/* Whether a kept put is to be carried out now. Sets *taken once the number is taken. */
bool trap_is_over(struct sim_store *store, struct span key, bool *taken);

#endif
