/* store/store_memory.h: opens stores in this process's memory. */
#ifndef STORE_STORE_MEMORY_H
#define STORE_STORE_MEMORY_H

#include "store/store.h"

/* Opens a new, empty store: two opens of one mem://name share nothing. */
enum dp_status store_memory_open(struct call *call, struct store **out);

#endif
