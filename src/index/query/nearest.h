/* index/query/nearest.h: keeps the rows with the smallest exact distances of a stream of rows. */
#ifndef INDEX_NEAREST_H
#define INDEX_NEAREST_H

#include "index/query/fetch.h"
#include "index/wal/entry.h"
#include "vector/topk.h"

/* A row and its distance. */
struct near_row {
    const struct wal_record *record; /* of a row of the tail; else NULL */
    struct fetch_place place;        /* of a row of a segment */
    float dist;
    uint32_t group; /* of a scan with a group_limit: number of its group */
};

/* The nearest rows so far: every row that may be among the nearest `want`, ties included. One owner thread. */
struct nearest {
    size_t want;
    struct topk top;
    struct near_row *rows; /* [count] */
    size_t count, room;
};

enum dp_status nearest_init(struct nearest *n, size_t want, struct dp_error *error);
void nearest_deinit(struct nearest *n);
/* Offers a row. Fails with DP_NOMEM. */
enum dp_status nearest_offer(struct nearest *n, const struct near_row *row, struct dp_error *error);
/* Removes the rows that are farther away than the `want`-th nearest one. */
void nearest_trim(struct nearest *n);

#endif
