/* base/workspace.h: one block of memory for several arrays, each named once.
 *
 * The user writes one function that calls workspace_take() for each part, and runs that function twice. Before
 * workspace_allocate(), workspace_take() counts bytes and returns NULL; afterwards it returns the parts. So no
 * list of sizes has to match a list of pointers. The idea is from zstd's cwksp.h. A workspace has one owner
 * thread.
 *
 *     struct workspace space = {0};
 *     lay_out(&space, &arrays);
 *     if (!workspace_allocate(&space))
 *         return DP_NOMEM;
 *     lay_out(&space, &arrays);
 */
#ifndef BASE_WORKSPACE_H
#define BASE_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WORKSPACE_ALIGNMENT = 64 }; /* bytes, of each part: a cache line, and the widest vector register */

/* Memory for several arrays. Initialise it with {0}. */
struct workspace {
    uint8_t *memory; /* owned; NULL while parts are counted */
    size_t size;     /* bytes of all parts; SIZE_MAX when the sum overflows */
    size_t next;     /* offset of the next part that is handed out */
};

/* Returns the next part: `count` elements of `size` bytes, not zeroed. Returns NULL while parts are counted. */
void *workspace_take(struct workspace *w, size_t count, size_t size);
/* Allocates the counted bytes. Returns false if memory runs out or the sizes overflow. */
bool workspace_allocate(struct workspace *w);
void workspace_deinit(struct workspace *w); /* frees all parts, if there are any */

#endif
