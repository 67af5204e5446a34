/* index/query/first_codes.h: where the codes of one bit of a segment's lists lie, and which rows they are of. */
#ifndef INDEX_FIRST_CODES_H
#define INDEX_FIRST_CODES_H

#include "faiss/ivf.h"
#include "index/segment/segment.h"
#include "vector/first_stage.h"

/* The lists of section RBQ1. They do not change. */
struct first_codes {
    struct first_stage stage;
    struct first_list *lists; /* [nlist] */
    uint64_t *offsets;        /* [nlist + 1], in the .dpr object; the end is that of the section */
};

/* Returns how many of the rows in the range of a list, list_rows[list] of them, have a vector: all, except those
 * without one, which end the range of the last list. */
uint64_t list_own_rows(const struct segment_hot *hot, uint32_t list);

/* Makes *out for a segment that has the section; else *out is NULL. Fails with DP_CORRUPT or DP_NOMEM. */
enum dp_status first_codes_open(const struct segment_hot *hot, const struct faiss_ivf *ivf,
                                struct first_codes **out, struct dp_error *error);
void first_codes_free(struct first_codes *codes);
/* Verifies the bytes of a list that is not empty: those for first_stage_scan(), and their checksum. Fails with
 * DP_CORRUPT. */
enum dp_status first_codes_check(uint32_t list, struct span read, struct dp_error *error);

#endif
