/* column_leaf.c: finds the keys that match one comparison.
 *
 * Keys of numbers keep their order, so the keys below, equal to and above an operand are three ranges. A search over
 * all keys of the type finds where they end, with the comparison that filters use (scalar_compare). */
#include "filter/column_leaf.h"

#include <stdlib.h>

#include "base/json.h"
#include "filter/column_key.h"
#include "filter/document.h"
#include "filter/text_condition.h"

enum { DOCUMENT_MAX = 64 * 1024, TEXT_MAX = 16 * 1024 * 1024 };

static enum attribute_type shown_item(const struct column_leaf *leaf)
{
    return attribute_item_type(leaf->node->slot->type);
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

/* Finds the first key whose value is not below the operand; with `above`, the first one that is greater. Returns
 * false if there is none. */
static bool first_key(const struct column_leaf *leaf, const struct scalar *operand, bool above, uint64_t *key)
{
    const enum attribute_type item = attribute_item_type(leaf->column->type);
    uint64_t low, high;
    bool found = false;
    column_key_range(item, &low, &high);
    while (low <= high) {
        const uint64_t middle = low + (high - low) / 2;
        struct column_text text;
        const struct scalar value = column_scalar(item, shown_item(leaf), middle, &text);
        const int order = scalar_compare(&value, operand);
        if (order > 0 || (order == 0 && !above)) {
            *key = middle;
            found = true;
            if (middle == low)
                break;
            high = middle - 1;
        } else {
            if (middle == high)
                break;
            low = middle + 1;
        }
    }
    return found;
}

/* Makes the range from the first key that `from` allows to the last one before those of `to`. NULL: the first or the
 * last key of all. Returns false if it is empty. */
static bool make_range(const struct column_leaf *leaf, const struct scalar *from, bool from_above,
                       const struct scalar *to, bool to_above, struct column_range *out)
{
    uint64_t end;
    column_key_range(attribute_item_type(leaf->column->type), &out->low, &out->high);
    const uint64_t least = out->low;
    if (from && !first_key(leaf, from, from_above, &out->low))
        return false;
    if (to && first_key(leaf, to, to_above, &end)) {
        if (end == least)
            return false;
        out->high = end - 1;
    }
    return out->low <= out->high;
}

/* Adds the keys that equal the operand. An element of a sequence that no key equals gets an empty range. */
static void add_equal(struct column_leaf *leaf, const struct scalar *operand)
{
    struct column_range *range = &leaf->ranges[leaf->range_count];
    if (make_range(leaf, operand, false, operand, true, range)) {
        leaf->range_count++;
    } else if (leaf->sequence) {
        *range = (struct column_range){1, 0};
        leaf->range_count++;
    }
}

static void find_ranges(struct column_leaf *leaf)
{
    const struct filter_operand *o = &leaf->node->operand;
    struct column_range *range = &leaf->ranges[0];
    switch (leaf->node->op) {
    case FILTER_LT:
    case FILTER_ANY_LT: leaf->range_count = make_range(leaf, NULL, false, &o->scalar, false, range); return;
    case FILTER_LTE:
    case FILTER_ANY_LTE: leaf->range_count = make_range(leaf, NULL, false, &o->scalar, true, range); return;
    case FILTER_GT:
    case FILTER_ANY_GT: leaf->range_count = make_range(leaf, &o->scalar, true, NULL, false, range); return;
    case FILTER_GTE:
    case FILTER_ANY_GTE: leaf->range_count = make_range(leaf, &o->scalar, false, NULL, false, range); return;
    default: break;
    }
    if (o->kind == OPERAND_SCALAR)
        add_equal(leaf, &o->scalar);
    for (size_t i = 0; o->kind == OPERAND_LIST && i < o->count; i++)
        add_equal(leaf, &o->list[i]);
}

/* ---- what columns can tell ------------------------------------------------------------------------------- */

/* Returns whether the operator compares each value, or each element, with the operand alone. */
static bool compares_values(enum filter_operator op)
{
    return op == FILTER_EQ || op == FILTER_IN || op == FILTER_CONTAINS || (op >= FILTER_LT && op <= FILTER_GTE) ||
           (op >= FILTER_ANY_LT && op <= FILTER_ANY_GTE);
}

/* Returns whether the keys of the leaf's column tell about the comparison. */
static bool keys_tell(const struct column_leaf *leaf)
{
    const struct filter_node *node = leaf->node;
    const enum attribute_type type = leaf->column->type, shown = node->slot->type;
    const bool widened = (type == ATTRIBUTE_INT && shown == ATTRIBUTE_FLOAT) ||
                         (type == ATTRIBUTE_INTS && shown == ATTRIBUTE_FLOATS);
    if ((type != shown && !widened) || node->operand.kind == OPERAND_NEW || node->operand.new_count)
        return false;
    if (compares_values(node->op))
        return true;
    return leaf->text && node->op == FILTER_TEXT &&
           (!attribute_is_array(type) || text_condition_is_of_elements(node->operand.text));
}

enum dp_status column_leaf_init(struct arena *arena, const struct filter *filter, const struct filter_node *node,
                                const struct columns *columns, struct column_leaf *out, struct dp_error *error)
{
    const struct filter_row none = {.document = span_str("{}")};
    struct filter_watch watch = {.call = NULL};
    *out = (struct column_leaf){.node = node, .kind = LEAF_ASK};
    if (node->slot->is_id)
        return DP_OK;
    out->null_matches = filter_node_match(filter, node, &none, &watch) != node->negated;
    if (watch.status)
        return dp_fail_nomem(error, "a filter");
    out->column = node->slot->known ? columns_find(columns, node->slot->name) : NULL;
    if (!node->slot->known || (!out->column && columns->complete)) {
        out->kind = LEAF_NULL;
        return DP_OK;
    }
    if (!out->column || !out->column->stored)
        return DP_OK;
    out->text = column_is_text(attribute_item_type(out->column->type));
    out->sequence = node->op == FILTER_EQ && node->operand.kind == OPERAND_LIST;
    if (!keys_tell(out))
        return DP_OK;
    out->kind = LEAF_KEYS;
    out->ranges = arena_array(arena, node->operand.count + 1, sizeof *out->ranges);
    if (!out->ranges)
        return dp_fail_nomem(error, "a filter");
    if (!out->text)
        find_ranges(out);
    return DP_OK;
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

/* Returns whether an entry matches, for the operators that compare values. */
static bool entry_fits(const struct filter_node *node, const struct scalar *entry)
{
    const struct filter_operand *o = &node->operand;
    return o->kind == OPERAND_LIST ? filter_list_has(o, entry)
                                   : filter_order_fits(node->op, scalar_compare(entry, &o->scalar));
}

/* Matches an entry as a row with this value alone. */
static enum dp_status match_entry(const struct filter *filter, const struct column_leaf *leaf, struct span text,
                                  struct filter_watch *watch, bool *out, struct dp_error *error)
{
    const bool array = attribute_is_array(leaf->column->type);
    struct json_writer w;
    struct buffer document;
    buffer_init(&document, DOCUMENT_MAX);
    json_writer_init(&w, &document);
    json_begin_object(&w);
    json_key_span(&w, leaf->node->slot->name);
    if (array)
        json_begin_array(&w);
    json_string(&w, text);
    if (array)
        json_end_array(&w);
    json_end_object(&w);
    enum dp_status status = buffer_check(&document, "a filter", error);
    const struct filter_row row = {.document = buffer_span(&document)};
    if (status == DP_OK) {
        *out = filter_node_match(filter, leaf->node, &row, watch) != leaf->node->negated;
        status = watch->status;
    }
    buffer_deinit(&document);
    return status;
}

/* Adds the hash of an operand, which then has no entry. */
static enum dp_status add_hash(struct column_leaf *leaf, const struct scalar *operand, uint64_t *key,
                               struct dp_error *error)
{
    struct buffer plain;
    if (operand->kind != SCALAR_TEXT)
        return DP_OK;
    buffer_init(&plain, TEXT_MAX);
    column_unescape(operand, &plain);
    enum dp_status status = buffer_check(&plain, "a filter", error);
    const uint32_t hash = column_hash(buffer_span(&plain));
    if (status == DP_OK && !leaf->sequence)
        leaf->hashes[leaf->hash_count++] = hash;
    *key = COLUMN_HASHED | hash;
    buffer_deinit(&plain);
    return status;
}

static int compare_hashes(const void *a, const void *b)
{
    const uint32_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Notes the hashes of the operands. A text that has an entry is never a hash, so its hash does no harm. */
static enum dp_status add_hashes(struct arena *arena, struct column_leaf *leaf, struct dp_error *error)
{
    const struct filter_operand *o = &leaf->node->operand;
    const size_t count = o->kind == OPERAND_LIST ? o->count : 1;
    enum dp_status status = DP_OK;
    leaf->hashes = arena_array(arena, count + 1, sizeof *leaf->hashes);
    if (!leaf->hashes)
        return dp_fail_nomem(error, "a filter");
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        struct column_range *range = &leaf->ranges[leaf->sequence ? i : 0];
        uint64_t key = UINT64_MAX;
        status = add_hash(leaf, o->kind == OPERAND_LIST ? &o->list[i] : &o->scalar, &key, error);
        *range = key == UINT64_MAX ? (struct column_range){1, 0} : (struct column_range){key, key};
    }
    leaf->range_count = leaf->sequence ? count : 0;
    if (leaf->hash_count)
        qsort(leaf->hashes, leaf->hash_count, sizeof *leaf->hashes, compare_hashes);
    return status;
}

/* Judges entry number `code` of the dictionary. */
static enum dp_status judge_entry(const struct filter *filter, struct column_leaf *leaf, uint64_t code,
                                  struct span text, struct filter_watch *watch, struct dp_error *error)
{
    const struct filter_operand *o = &leaf->node->operand;
    const struct scalar entry = {.kind = SCALAR_TEXT, .text = text};
    bool fits = false;
    enum dp_status status = DP_OK;
    for (size_t i = 0; leaf->sequence && i < o->count; i++) {
        if (scalar_compare(&entry, &o->list[i]) == 0)
            leaf->ranges[i] = (struct column_range){code, code};
    }
    if (leaf->sequence)
        return DP_OK;
    if (compares_values(leaf->node->op))
        fits = entry_fits(leaf->node, &entry);
    else
        status = match_entry(filter, leaf, text, watch, &fits, error);
    leaf->accepted[code / 64] |= (uint64_t)fits << (code % 64);
    return status;
}

enum dp_status column_leaf_start(struct arena *arena, const struct filter *filter, struct column_leaf *leaf,
                                 struct span dictionary, struct filter_watch *watch, struct dp_error *error)
{
    const enum filter_operator op = leaf->node->op;
    struct cursor c = cursor_over(dictionary);
    enum dp_status status = DP_OK;
    leaf->hashed_ask = op != FILTER_EQ && op != FILTER_IN && op != FILTER_CONTAINS;
    leaf->accepted = arena_calloc(arena, leaf->column->entries / 64 + 1, sizeof *leaf->accepted);
    if (!leaf->accepted)
        return dp_fail_nomem(error, "a filter");
    if (!leaf->hashed_ask)
        status = add_hashes(arena, leaf, error);
    for (uint32_t i = 0; i < leaf->column->entries && status == DP_OK; i++) {
        const struct span text = cursor_bytes(&c, cursor_varint(&c));
        if (c.failed || text.len > COLUMN_ENTRY_MAX)
            return dp_fail(error, DP_CORRUPT, "the dictionary of a column is malformed");
        status = judge_entry(filter, leaf, i, text, watch, error);
    }
    if (status == DP_OK && c.rest.len != 0)
        return dp_fail(error, DP_CORRUPT, "the dictionary of a column is malformed");
    return status;
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static enum column_fit fit_text(const struct column_leaf *leaf, uint64_t key)
{
    if (key < leaf->column->entries)
        return leaf->accepted[key / 64] >> (key % 64) & 1 ? FIT_YES : FIT_NO;
    if (leaf->hashed_ask)
        return FIT_ASK;
    const uint32_t hash = (uint32_t)key;
    const bool found =
        leaf->hash_count && bsearch(&hash, leaf->hashes, leaf->hash_count, sizeof hash, compare_hashes) != NULL;
    return found ? FIT_ASK : FIT_NO;
}

enum column_fit column_leaf_fit(const struct column_leaf *leaf, uint64_t key)
{
    size_t low = 0, high = leaf->range_count;
    if (leaf->text)
        return fit_text(leaf, key);
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (key < leaf->ranges[middle].low)
            high = middle;
        else if (key > leaf->ranges[middle].high)
            low = middle + 1;
        else
            return FIT_YES;
    }
    return FIT_NO;
}

/* Gives the keys between which the values of a page are. Returns false if it has none. */
static bool page_keys(const struct attribute_column *column, size_t page, struct column_range *out)
{
    const struct column_piece *piece = &column->pages[page];
    if (piece->low > piece->high || column->least > column->greatest)
        return false;
    const uint64_t step = ((column->greatest - column->least) >> 8) + 1, all = column->greatest - column->least;
    const uint64_t begin = piece->low * step, end = piece->high * step + (step - 1);
    out->low = begin < all ? column->least + begin : column->greatest;
    out->high = end < all ? column->least + end : column->greatest;
    return true;
}

/* Whether a row of the page is in the set. No page is judged to match as a whole. */
static void judge_set(const struct column_set *set, size_t page, bool *all, bool *some)
{
    *all = false;
    *some = false;
    for (size_t i = 0; i < COLUMN_PAGE_WORDS; i++)
        *some = *some || set->rows[page * COLUMN_PAGE_WORDS + i];
}

void column_leaf_judge(const struct column_leaf *leaf, size_t page, bool *all, bool *some)
{
    const struct attribute_column *c = leaf->column;
    struct column_range keys;
    *all = leaf->kind == LEAF_NULL && leaf->null_matches;
    *some = leaf->kind != LEAF_NULL || leaf->null_matches;
    if (leaf->kind == LEAF_SET)
        judge_set(leaf->set, page, all, some);
    if (leaf->kind == LEAF_KEYS && !leaf->text && !leaf->sequence && c->odd == 0) {
        const bool array = attribute_is_array(c->type), values = page_keys(c, page, &keys);
        bool covered = false, touched = false;
        for (size_t i = 0; values && i < leaf->range_count; i++) {
            covered = covered || (leaf->ranges[i].low <= keys.low && leaf->ranges[i].high >= keys.high);
            touched = touched || (leaf->ranges[i].low <= keys.high && leaf->ranges[i].high >= keys.low);
        }
        const bool nulls = c->nulls && leaf->null_matches;
        *all = !array && (values ? covered && (c->nulls == 0 || leaf->null_matches) : leaf->null_matches);
        *some = touched || nulls;
    }
    if (leaf->node->negated) {
        const bool was_all = *all;
        *all = !*some;
        *some = !was_all;
    }
}
