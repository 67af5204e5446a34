/* index/query/ranking.h: keeps the first rows of a stream of rows, ordered by the value of an attribute or by a
 * distance. */
#ifndef INDEX_RANKING_H
#define INDEX_RANKING_H

#include "index/query/live.h"

/* A row and its value. */
struct ranked_row {
    const struct wal_record *record; /* of a row of the tail; else NULL */
    struct fetch_place place;        /* of a row of a segment */
    struct span value;               /* JSON; empty: null */
    float dist;                      /* of a ranking by distance */
    struct span key;
    uint8_t *copy; /* owned: holds value and key of a segment's row; NULL: a record holds them */
};

/* The first rows so far. One owner thread. */
struct ranking {
    size_t want;
    bool descending;
    bool by_distance;                                        /* the smallest distance comes first */
    int (*compare)(void *ctx, struct span a, struct span b); /* of two values that are not null */
    void *compare_ctx;
    struct ranked_row *rows; /* [count]: a heap with the last row at its root; after ranking_sort() in order */
    size_t count, room;
};

void ranking_deinit(struct ranking *r);
/* Offers a row with its value, which is empty or "null" for null. Null comes first, or last if descending; ids order
 * rows with equal values. Fails with DP_NOMEM. */
enum dp_status ranking_offer(struct ranking *r, const struct live_row *row, struct span value,
                             struct dp_error *error);
/* Offers a row with its distance to a ranking by distance. Fails with DP_NOMEM. */
enum dp_status ranking_offer_near(struct ranking *r, const struct live_row *row, float dist,
                                  struct dp_error *error);
/* Sorts the rows. */
void ranking_sort(struct ranking *r);

#endif
