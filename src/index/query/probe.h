/* index/query/probe.h: chooses the lists that a query reads. */
#ifndef INDEX_PROBE_H
#define INDEX_PROBE_H

#include "index/query/query.h"

/* Probed lists of one segment: all of them, or the part that one round reads. None is empty. */
struct probe {
    uint32_t *lists; /* [count], in the order of their choice */
    size_t *reads;   /* [count]: handles of the reads of the lists */
    size_t count;
    bool hidden; /* the segment does not count, so it has no probed list */
    bool first;  /* the query reads codes of one bit */
};

/* Numbers of a choice among the rows that a filter lets pass. */
struct probe_numbers {
    uint64_t lists, all_lists; /* chosen; of all segments */
    uint64_t matches, bytes;   /* in the chosen lists: rows that match, about; bytes of codes */
};

/* Chooses the lists of all segments: sets all of probes[segments] but `hidden`, which the caller has set.
 *
 *   codes of one bit, unless the query gives nprobe: one budget of vectors for all segments that have such codes. The
 *             nearest lists of them all share it. If the codes are few bytes, all of them
 *   run->allowed     one budget of rows that match for all segments. Lists without such a row are left out, and
 *             those that promise most near matches for their bytes go first. `out` gets the numbers
 *   else      for each segment as many lists as the query gives, or query_default_nprobe() */
enum dp_status probe_choose(struct query_run *run, struct probe *probes, struct probe_numbers *out);

/* Returns the range of a list: its codes of one bit, or those of the .ivf. */
struct store_read_req probe_request(const struct segment *segment, bool first, uint32_t list);

#endif
