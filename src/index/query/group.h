/* index/query/group.h: numbers the groups of a scan's rows, and keeps a number of rows of each. */
#ifndef INDEX_GROUP_H
#define INDEX_GROUP_H

#include "base/arena.h"
#include "base/map.h"
#include "index/query/nearest.h"

/* The groups so far. One owner thread. */
struct group_numbers {
    struct map numbers; /* of the bytes of groups */
    struct arena bytes;
};

void group_numbers_init(struct group_numbers *g);
void group_numbers_deinit(struct group_numbers *g);
/* Gives the number of a group: 0, 1, …, in the order in which the groups came. Fails with DP_NOMEM. */
enum dp_status group_number(struct group_numbers *g, struct span bytes, uint32_t *out, struct dp_error *error);
/* Sorts the rows by distance, and keeps the nearest `limit` of each group and the nearest `want` of these. Returns
 * false if memory runs out. */
bool group_trim(const struct group_numbers *g, uint32_t limit, size_t want, struct nearest *rows);

#endif
