/* store/conditions.h: asks a remote store whether it keeps the conditions of puts.
 *
 * Dipper's promises about concurrent writers rest on conditional puts, but some stores accept the conditions and
 * ignore them. So before the first write through a store, this code puts an object below ".dipper/", where no key
 * lies, and tries to break two conditions on it. If the store ignores one, Dipper never writes to that store.
 *
 * The test acts as one writer: a store that checks a condition and then writes, in two steps, passes it.
 */
#ifndef STORE_CONDITIONS_H
#define STORE_CONDITIONS_H

#include <stdatomic.h>

#include "store/store.h"

enum store_conditions { CONDITIONS_UNASKED, CONDITIONS_KEPT, CONDITIONS_IGNORED };

/* How to ask a store. `put` and `remove` are those of the store, but ask nothing first. A store answers a condition that
 * it does not know with DP_UNSUPPORTED. */
struct conditions_probe {
    enum dp_status (*put)(struct call *call, struct store *store, struct store_put *put);
    enum dp_status (*remove)(struct call *call, struct store *store, struct span key);
    struct store_version nobody; /* a version that no object has */
    const char *root, *place;    /* for messages: "az://container", "https://account.blob.core.windows.net" */
};

/* Asks once; *known holds the answer for later calls. DP_UNSUPPORTED if the store ignores conditions. Any number of
 * threads may ask at once. */
enum dp_status store_conditions(struct call *call, struct store *store, const struct conditions_probe *probe,
                                _Atomic int *known);

#endif
