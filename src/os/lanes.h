/* os/lanes.h: does the parts of one call side by side, so that their reads take the same rounds.
 *
 * Each part runs under a child call, in one of at most LANES_AT_ONCE lanes: part i in lane i % LANES_AT_ONCE, in
 * order. The caller's thread is the first lane; threads that end before the function returns are the others. If the
 * system starts no thread, the caller's thread does everything.
 */
#ifndef OS_LANES_H
#define OS_LANES_H

#include "os/call.h"

enum { LANES_AT_ONCE = 4 };

/* Does one part, under the call of its thread. */
typedef enum dp_status lanes_fn(struct call *call, void *ctx, size_t part);

/* Runs fn(…, ctx, part) for each part in [0, count). What the parts allocate in their calls' arenas moves to that of
 * `call`. The call's rounds grow by the longest chain of rounds, its other costs by all of them. After a failure no
 * part begins; of several failures, the call gets that of the first part. */
enum dp_status lanes_run(struct call *call, size_t count, lanes_fn *fn, void *ctx);

#endif
