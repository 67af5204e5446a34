/* index/lives.h: index_create, index_delete and index_alter by a clock that the caller chooses. */
#ifndef INDEX_LIVES_H
#define INDEX_LIVES_H

#include "index/clock.h"
#include "index/index.h"
#include "index/schema.h"

enum dp_status lives_create(struct call *call, struct store *store, struct span name,
                            const struct index_vectors *vectors, const struct schema *declared,
                            const struct index_clock *clock);
enum dp_status lives_delete(struct call *call, struct store *store, struct span name,
                            const struct index_clock *clock);
enum dp_status lives_alter(struct call *call, struct store *store, struct span name,
                           const struct index_alteration *change, const struct index_clock *clock);

#endif
