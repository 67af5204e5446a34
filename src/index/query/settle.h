/* index/query/settle.h: looks up the ids of a view's tail in the segments, once for all threads that need it. */
#ifndef INDEX_SETTLE_H
#define INDEX_SETTLE_H

#include "index/query/view.h"
#include "index/round.h"

/* A view that is opened cold looks up no ids, so that a query can read their blocks in the round of its lists. A caller
 * that uses masks settles the view first: this looks up the ids of the tail. Reads nothing if the view is settled. One
 * thread settles; others wait for it, at most until their deadline. */
enum dp_status view_settle(struct call *call, struct view *view);
/* The same in two steps: asks the round for the id blocks, and masks the rows once the round is read. Until then other
 * threads wait, so the caller must read the round, then take or drop. *out is NULL if the view is settled, or if another
 * thread settles it: view_settle() waits for that thread. After view_settle_take(), which frees `settling`,
 * view_settle() has nothing to do unless another thread has appended entries meanwhile. */
struct view_settling;
enum dp_status view_settle_ask(struct round *round, struct view *view, struct view_settling **out);
enum dp_status view_settle_take(struct view_settling *settling);
void view_settle_drop(struct view_settling *settling); /* instead of taking; NULL is fine */

#endif
