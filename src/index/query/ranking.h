/* index/query/ranking.h: keeps the first rows of a stream of rows, ordered by the value of an attribute or by a
 * distance.
 *
 * With group_limit, it keeps rows in any order until there are many, and then drops those that cannot be in the answer:
 * those behind group_limit better rows of their group, and those behind `want` better rows that stay. */
#ifndef INDEX_RANKING_H
#define INDEX_RANKING_H

#include "index/query/live.h"

/* A row and its value. */
struct ranked_row {
    const struct wal_record *record; /* of a row of the tail; else NULL */
    struct fetch_place place;        /* of a row of a segment */
    struct span value;               /* JSON; empty: null */
    double dist;                     /* of a ranking by distance */
    struct span key;
    struct span group; /* of a ranking with group_limit */
    uint8_t *copy;     /* owned: holds key, value and group; NULL: a record holds them */
};

/* The first rows so far. One owner thread. */
struct ranking {
    size_t want;
    bool descending;
    bool by_distance;                                        /* the smallest distance comes first */
    int (*compare)(void *ctx, struct span a, struct span b); /* of two values that are not null */
    void *compare_ctx;
    bool copies;        /* copies the values of all rows, also of those of the tail */
    size_t group_limit; /* maximum rows of one group; 0: no maximum */
    /* [count]: a heap with the last row at its root, or with group_limit in any order; after ranking_sort() in order */
    struct ranked_row *rows;
    size_t count, room;
};

void ranking_deinit(struct ranking *r);
/* Offers a row with its value, which is empty or "null" for null, and its group. Null comes first, or last if
 * descending; ids order rows with equal values. Fails with DP_NOMEM. */
enum dp_status ranking_offer(struct ranking *r, const struct live_row *row, struct span value, struct span group,
                             struct dp_error *error);
/* Offers a row with its distance to a ranking by distance. Fails with DP_NOMEM. */
enum dp_status ranking_offer_near(struct ranking *r, const struct live_row *row, double dist, struct span group,
                                  struct dp_error *error);
/* Sorts the rows, of which at most `want` stay. Fails with DP_NOMEM. */
enum dp_status ranking_sort(struct ranking *r, struct dp_error *error);

#endif
