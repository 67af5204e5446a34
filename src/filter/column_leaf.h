/* filter/column_leaf.h: one comparison of a filter, as columns answer it. */
#ifndef FILTER_COLUMN_LEAF_H
#define FILTER_COLUMN_LEAF_H

#include "filter/column_match.h"
#include "filter/filter_node.h"

/* Keys from `low` to `high`, both included. */
struct column_range {
    uint64_t low, high;
};

/* The answer of a column about a value. */
enum column_fit { FIT_NO, FIT_YES, FIT_ASK };

/* A comparison. */
struct column_leaf {
    const struct filter_node *node;
    /* every row is null; columns cannot tell; the keys tell; a set tells */
    enum { LEAF_NULL, LEAF_ASK, LEAF_KEYS, LEAF_SET } kind;
    bool null_matches;                     /* a row without a value, before a negation */
    const struct attribute_column *column; /* of LEAF_KEYS */
    const struct column_set *set;          /* of LEAF_SET */
    size_t used;                           /* the column's position in plan->used */
    bool text, sequence; /* keys are those of texts; `ranges` are the elements of an array, in their order */
    /* [range_count]: keys that match, ascending, and not of texts; or, of a sequence, the key of each element. */
    struct column_range *ranges;
    size_t range_count;
    uint64_t *accepted; /* of texts: entry e is bit e % 64 of word e / 64 */
    uint32_t *hashes;   /* [hash_count], ascending: of the texts that match and have no entry */
    size_t hash_count;
    bool hashed_ask; /* whether the document decides about every text without an entry */
};

/* Prepares a comparison that does not need a dictionary; that of texts needs column_leaf_start(), too. */
enum dp_status column_leaf_init(struct arena *arena, const struct filter *filter, const struct filter_node *node,
                                const struct columns *columns, struct column_leaf *out, struct dp_error *error);
/* Looks for the texts of a comparison in the dictionary. */
enum dp_status column_leaf_start(struct arena *arena, const struct filter *filter, struct column_leaf *leaf,
                                 struct span dictionary, struct filter_watch *watch, struct dp_error *error);
/* Returns what the key of a value, or of an element, tells; not for a sequence. */
enum column_fit column_leaf_fit(const struct column_leaf *leaf, uint64_t key);
/* Returns what a key tells about an element of a sequence. */
static inline enum column_fit column_leaf_fit_element(const struct column_leaf *leaf, size_t i, uint64_t key)
{
    if (key < leaf->ranges[i].low || key > leaf->ranges[i].high)
        return FIT_NO;
    return leaf->text && key >= COLUMN_HASHED ? FIT_ASK : FIT_YES;
}
/* Sets *all and *some: whether all rows of a page match, and whether some may, as far as the summary tells. */
void column_leaf_judge(const struct column_leaf *leaf, size_t page, bool *all, bool *some);

#endif
