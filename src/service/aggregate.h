/* service/aggregate.h: counts and sums over the rows that match, whole or by groups of equal values. */
#ifndef SERVICE_AGGREGATE_H
#define SERVICE_AGGREGATE_H

#include "base/json.h"
#include "service/service.h"

enum {
    AGGREGATES_MAX = 8,
    AGGREGATE_GROUPED_MAX = 8,    /* attributes of one group_by */
    AGGREGATE_GROUPS_MAX = 100000 /* groups that one query makes, before the first are chosen */
};

struct aggregate {
    enum aggregate_kind { AGGREGATE_COUNT, AGGREGATE_SUM } kind;
    struct span label;
    struct span attribute; /* counts the rows that have a value of it, or adds its values up; empty: counts rows */
};

/* What groups rows. */
struct grouped_by {
    struct span label;
    struct span attribute;
    bool
        each; /* each different element of the array makes a group, so a row may be in several groups or in none */
};

struct aggregate_request {
    const struct aggregate *aggregates; /* [count], at least 1 */
    size_t count;
    const struct grouped_by *grouped; /* [grouped_count]; 0: all rows are one group */
    size_t grouped_count;
    uint32_t limit; /* of groups: those with the smallest values */
};

/* A sum or a count. */
struct aggregate_value {
    bool is_real; /* the value is `real`, also when a sum of integers leaves 64 bits; false: `over` - `under` */
    uint64_t over, under; /* sums of the positive and of the negative integers */
    double real;
};

struct aggregate_group {
    const struct span *labels;                     /* [grouped_count]: the values as JSON */
    struct aggregate_value values[AGGREGATES_MAX]; /* [count] */
};

struct aggregate_answer {
    struct aggregate_group *groups; /* [count]: ascending by their values */
    size_t count;
};

/* Walks over the rows that the scan's filter lets through. Sets out->aggregates. Fails with DP_INVALID for an attribute
 * that the namespace lacks, or whose type does not fit, and for more than AGGREGATE_GROUPS_MAX groups. */
enum dp_status aggregate_scan(struct call *call, struct index_reader *reader, const struct schema *schema,
                              const struct aggregate_request *request, struct index_scan *scan,
                              struct query_response *out);
/* Writes a value: an integer, or a number. */
void aggregate_write(struct json_writer *w, const struct aggregate_value *value);

#endif
