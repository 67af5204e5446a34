/* index/query/filtered.h: plans a query by distance over the rows that a filter lets pass. */
#ifndef INDEX_FILTERED_H
#define INDEX_FILTERED_H

#include "index/query/query.h"

/* Chooses the rule for run->allowed, and sets run->probes for INDEX_RULE_LISTS. `exact`: the answer must be exact. */
enum dp_status filtered_plan(struct query_run *run, bool exact, struct index_plan *out);

#endif
