/* index/lives.h: index_create, index_delete and index_alter by a clock that the caller chooses; and the lives of a
 * name. */
#ifndef INDEX_LIVES_H
#define INDEX_LIVES_H

#include "index/clock.h"
#include "index/index.h"
#include "index/object_name.h"
#include "index/schema.h"

static inline struct index_life life_of(const struct ulid *incarnation)
{
    struct index_life life;
    _Static_assert(sizeof life.id == sizeof incarnation->text, "a life is named by its incarnation");
    memcpy(life.id, incarnation->text, sizeof life.id);
    return life;
}

/* Whether `wanted` is any life, or this one. */
static inline bool life_matches(const struct index_life *wanted, const struct ulid *incarnation)
{
    return !wanted->id[0] || memcmp(wanted->id, incarnation->text, ULID_LEN) == 0;
}

enum dp_status lives_create(struct call *call, struct store *store, struct span name,
                            const struct index_vectors *vectors, const struct schema *declared,
                            const struct index_clock *clock, struct index_life *life);
enum dp_status lives_delete(struct call *call, struct store *store, struct span name,
                            const struct index_clock *clock);
enum dp_status lives_alter(struct call *call, struct store *store, struct span name,
                           const struct index_alteration *change, const struct index_clock *clock);

#endif
