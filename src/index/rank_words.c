/* rank_words.c: recognises the score expressions that a text index can answer. */
#include "index/rank_words.h"

#include <math.h>

/* Finds the BM25 in a part of a sum. */
static bool find_group(const struct rank_node *node, struct rank_group *out)
{
    out->weight = 1;
    if (node->kind == RANK_PRODUCT) {
        out->weight = node->number;
        node = node->children[0];
    }
    out->node = node;
    return node->kind == RANK_BM25 && isfinite(out->weight);
}

enum dp_status rank_words_find(const struct rank *rank, struct rank_words *out, bool *fits, struct dp_error *error)
{
    const struct rank_node *node = rank->root;
    *out = (struct rank_words){.factor = 1};
    *fits = false;
    if (node->kind == RANK_PRODUCT) {
        out->factor = node->number;
        node = node->children[0];
    }
    const bool several = node->kind == RANK_SUM || node->kind == RANK_MAX;
    out->node = node;
    out->count = several ? node->count : 1;
    out->largest = node->kind == RANK_MAX;
    out->groups = arena_array(rank->arena, out->count + 1, sizeof *out->groups);
    if (!out->groups)
        return dp_fail_nomem(error, "a score expression");
    *fits = isfinite(out->factor) && out->factor > 0;
    for (size_t i = 0; i < out->count && *fits; i++)
        *fits = find_group(several ? node->children[i] : node, &out->groups[i]);
    return DP_OK;
}
