/* column_match.c: evaluates a filter over pages of columns: for each condition the rows that match, and those that
 * may. */
#include "filter/column_match.h"

#include "base/alloc.h"
#include "filter/column_leaf.h"

/* A node of the filter's tree, over columns. */
struct column_node {
    enum filter_operator op;
    struct column_leaf *leaf;     /* of a comparison */
    struct column_node *children; /* [count], of And, Or, Not */
    size_t count;
};

static bool is_logic(enum filter_operator op)
{
    return op == FILTER_AND || op == FILTER_OR || op == FILTER_NOT;
}

/* ---- the plan -------------------------------------------------------------------------------------------- */

/* Finds the place of the leaf's column among the used ones. */
static void use_column(struct column_plan *plan, struct column_leaf *leaf)
{
    for (leaf->used = 0; leaf->used < plan->used_count; leaf->used++) {
        if (plan->used[leaf->used] == leaf->column)
            return;
    }
    plan->used[plan->used_count++] = leaf->column;
}

/* Has an index of tokens decide, if it knows the comparison. */
static void use_set(const struct column_plan *plan, struct column_leaf *leaf)
{
    for (size_t i = 0; i < plan->set_count; i++) {
        if (plan->sets[i].node == leaf->node && leaf->kind != LEAF_NULL) {
            leaf->kind = LEAF_SET;
            leaf->set = &plan->sets[i];
        }
    }
}

static enum dp_status plan_node(struct column_plan *plan, const struct filter_node *from, struct column_node *to,
                                struct dp_error *error)
{
    enum dp_status status = DP_OK;
    to->op = from->op;
    if (!is_logic(from->op)) {
        to->leaf = arena_calloc(plan->arena, 1, sizeof *to->leaf);
        if (!to->leaf)
            return dp_fail_nomem(error, "a filter");
        status = column_leaf_init(plan->arena, plan->filter, from, plan->columns, to->leaf, error);
        use_set(plan, to->leaf);
        if (status == DP_OK && to->leaf->kind == LEAF_KEYS)
            use_column(plan, to->leaf);
        return status;
    }
    to->children = arena_calloc(plan->arena, from->count + 1, sizeof *to->children);
    if (!to->children)
        return dp_fail_nomem(error, "a filter");
    for (to->count = 0; to->count < from->count && status == DP_OK; to->count++)
        status = plan_node(plan, from->children[to->count], &to->children[to->count], error);
    return status;
}

/* Judges a page by the summary. */
static void judge_page(const struct column_node *node, size_t page, bool *all, bool *some)
{
    if (!is_logic(node->op)) {
        column_leaf_judge(node->leaf, page, all, some);
        return;
    }
    *all = *some = node->op != FILTER_OR;
    for (size_t i = 0; i < node->count; i++) {
        bool child_all, child_some;
        judge_page(&node->children[i], page, &child_all, &child_some);
        if (node->op == FILTER_AND) {
            *all = *all && child_all;
            *some = *some && child_some;
        } else if (node->op == FILTER_OR) {
            *all = *all || child_all;
            *some = *some || child_some;
        } else {
            *all = !child_some;
            *some = !child_all;
        }
    }
}

enum dp_status column_plan_new(struct arena *arena, const struct filter *filter, const struct columns *columns,
                               const struct column_set *sets, size_t set_count, struct column_plan **out,
                               struct dp_error *error)
{
    struct column_plan *plan = *out = arena_calloc(arena, 1, sizeof *plan);
    if (!plan)
        return dp_fail_nomem(error, "a filter");
    *plan = (struct column_plan){
        .arena = arena, .filter = filter, .columns = columns, .sets = sets, .set_count = set_count};
    plan->used = arena_calloc(arena, filter->slot_count + 1, sizeof(void *));
    plan->pages = arena_calloc(arena, filter->slot_count + 1, sizeof(void *));
    plan->fates = arena_calloc(arena, columns->page_count + 1, 1);
    plan->root = arena_calloc(arena, 1, sizeof *plan->root);
    if (!plan->used || !plan->pages || !plan->fates || !plan->root)
        return dp_fail_nomem(error, "a filter");
    enum dp_status status = plan_node(plan, filter->root, plan->root, error);
    for (size_t i = 0; i < columns->page_count && status == DP_OK; i++) {
        bool all, some;
        judge_page(plan->root, i, &all, &some);
        plan->fates[i] = (uint8_t)(all                             ? COLUMN_ALL
                                   : !some                         ? COLUMN_NONE
                                   : plan->used_count || set_count ? COLUMN_READ
                                                                   : COLUMN_ASK);
    }
    return status;
}

void column_plan_deinit(struct column_plan *plan)
{
    for (size_t i = 0; plan && plan->pages && i < plan->used_count; i++) {
        if (plan->pages[i])
            column_page_deinit(plan->pages[i]);
        mem_free(plan->pages[i]);
    }
}

static enum dp_status start_node(struct column_plan *plan, const struct column_node *node,
                                 const struct span *dictionaries, struct filter_watch *watch,
                                 struct dp_error *error)
{
    enum dp_status status = DP_OK;
    if (node->leaf && node->leaf->kind == LEAF_KEYS && node->leaf->text)
        return column_leaf_start(plan->arena, plan->filter, node->leaf, dictionaries[node->leaf->used], watch,
                                 error);
    for (size_t i = 0; i < node->count && status == DP_OK; i++)
        status = start_node(plan, &node->children[i], dictionaries, watch, error);
    return status;
}

enum dp_status column_plan_start(struct column_plan *plan, const struct span *dictionaries,
                                 struct filter_watch *watch, struct dp_error *error)
{
    for (size_t i = 0; i < plan->used_count; i++) {
        if (!plan->pages[i])
            plan->pages[i] = mem_calloc(1, sizeof *plan->pages[i]);
        if (!plan->pages[i])
            return dp_fail_nomem(error, "a filter");
    }
    return start_node(plan, plan->root, dictionaries, watch, error);
}

/* ---- the rows of a page ---------------------------------------------------------------------------------- */

/* Returns what the elements of an array tell. */
static enum column_fit fit_array(const struct column_leaf *leaf, const uint64_t *keys, uint64_t count)
{
    enum column_fit best = FIT_NO, worst = FIT_YES;
    if (leaf->sequence && count != leaf->range_count)
        return FIT_NO;
    for (uint64_t i = 0; i < count; i++) {
        const enum column_fit fit =
            leaf->sequence ? column_leaf_fit_element(leaf, (size_t)i, keys[i]) : column_leaf_fit(leaf, keys[i]);
        if (leaf->sequence && fit == FIT_NO)
            return FIT_NO;
        if (!leaf->sequence && fit == FIT_YES)
            return FIT_YES;
        best = fit == FIT_ASK ? FIT_ASK : best;
        worst = fit == FIT_ASK ? FIT_ASK : worst;
    }
    return leaf->sequence ? worst : best;
}

static void fill_words(struct column_bits *out, bool yes, bool maybe)
{
    memset(out->yes, yes ? 0xff : 0, sizeof out->yes);
    memset(out->maybe, maybe ? 0xff : 0, sizeof out->maybe);
}

static void negate(struct column_bits *bits)
{
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++) {
        const uint64_t yes = bits->yes[i];
        bits->yes[i] = ~bits->maybe[i];
        bits->maybe[i] = ~yes;
    }
}

/* Matches the values of a page, as if each row had one. */
static void match_values(const struct column_leaf *leaf, const struct column_page *page, struct column_bits *out)
{
    const bool array = attribute_is_array(leaf->column->type);
    fill_words(out, false, false);
    for (size_t row = 0, at = 0; row < page->rows && page->key_count; row++) {
        const enum column_fit fit =
            array ? fit_array(leaf, page->keys + at, page->counts[row]) : column_leaf_fit(leaf, page->keys[row]);
        at += array ? (size_t)page->counts[row] : 0;
        out->yes[row / 64] |= (uint64_t)(fit == FIT_YES) << (row % 64);
        out->maybe[row / 64] |= (uint64_t)(fit != FIT_NO) << (row % 64);
    }
    if (page->key_count == 0 && array && leaf->sequence && leaf->range_count == 0)
        fill_words(out, true, true); /* all arrays of the page are empty, as the operand is */
}

/* Takes the rows of a page from the set of a comparison. */
static void match_set(const struct column_leaf *leaf, size_t page, struct column_bits *out)
{
    memcpy(out->maybe, leaf->set->rows + page * COLUMN_PAGE_WORDS, sizeof out->maybe);
    if (leaf->set->exact)
        memcpy(out->yes, out->maybe, sizeof out->yes);
    else
        memset(out->yes, 0, sizeof out->yes);
    if (leaf->node->negated)
        negate(out);
}

static void match_leaf(const struct column_plan *plan, const struct column_leaf *leaf, size_t number,
                       struct column_bits *out)
{
    if (leaf->kind == LEAF_SET) {
        match_set(leaf, number, out);
        return;
    }
    if (leaf->kind != LEAF_KEYS) {
        const bool matches = leaf->null_matches != leaf->node->negated, asks = leaf->kind == LEAF_ASK;
        fill_words(out, !asks && matches, asks || matches);
        return;
    }
    const struct column_page *page = plan->pages[leaf->used];
    match_values(leaf, page, out);
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++) {
        const uint64_t nulls = page->nulls[i], matching = leaf->null_matches ? nulls : 0;
        out->yes[i] = ((out->yes[i] & ~nulls) | matching) & ~page->odd[i];
        out->maybe[i] = (out->maybe[i] & ~nulls) | matching | page->odd[i];
    }
    if (leaf->node->negated)
        negate(out);
}

static void match_page_node(const struct column_plan *plan, const struct column_node *node, size_t page,
                            struct column_bits *out)
{
    struct column_bits child;
    if (!is_logic(node->op)) {
        match_leaf(plan, node->leaf, page, out);
        return;
    }
    fill_words(out, node->op != FILTER_OR, node->op != FILTER_OR);
    for (size_t i = 0; i < node->count; i++) {
        match_page_node(plan, &node->children[i], page, &child);
        if (node->op == FILTER_NOT)
            negate(&child);
        for (size_t word = 0; word < COLUMN_PAGE_WORDS; word++) {
            if (node->op == FILTER_OR) {
                out->yes[word] |= child.yes[word];
                out->maybe[word] |= child.maybe[word];
            } else {
                out->yes[word] &= child.yes[word];
                out->maybe[word] &= child.maybe[word];
            }
        }
    }
}

enum dp_status column_plan_page(struct column_plan *plan, size_t page, const struct span *bytes,
                                struct column_bits *out, struct dp_error *error)
{
    const size_t rows = column_page_rows(plan->columns->rows, page);
    for (size_t i = 0; i < plan->used_count; i++) {
        enum dp_status status =
            column_page_read(bytes[i], attribute_is_array(plan->used[i]->type), rows, plan->pages[i], error);
        if (status)
            return status;
    }
    match_page_node(plan, plan->root, page, out);
    for (size_t i = rows / 64; i < COLUMN_PAGE_WORDS; i++) {
        const uint64_t kept = i == rows / 64 && rows % 64 ? UINT64_MAX >> (64 - rows % 64) : 0;
        out->yes[i] &= kept;
        out->maybe[i] &= kept;
    }
    return DP_OK;
}
