/* turbopuffer_rank_by.c: reads "rank_by". A score expression stays raw JSON until the namespace's schema is known. */
#include "api/fields.h"
#include "api/turbopuffer_parse.h"
#include "base/base64.h"

static const char RANK_BY_USAGE[] = "rank_by must be [\"vector\", \"ANN\", numbers], [name, \"asc\" or "
                                    "\"desc\"], [name, \"BM25\", text] or a score";

/* ---- rank_by ------------------------------------------------------------------------------------------ */

/* Reads the rest of ["Embed", "text", {"model": name}] after "Embed", closing bracket included. */
static void read_embed(struct query_parse *p)
{
    if (!json_next_item(p->r)) {
        json_reject(p->r, DP_INVALID, "rank_by: \"Embed\" needs a text");
        return;
    }
    if (!fields_string(p->r, p->arena, "the text of \"Embed\"", &p->query->query.text))
        return;
    if (!json_next_item(p->r))
        return;
    static const char *const names[] = {"model"};
    uint64_t seen = 0;
    json_enter_object(p->r);
    for (int field; fields_next(p->r, p->arena, names, 1, &seen, &field);)
        fields_string(p->r, p->arena, "the model of \"Embed\"", &p->query->query.model);
    if (json_next_item(p->r))
        json_reject(p->r, DP_INVALID, "rank_by: \"Embed\" has a text, an object with \"model\", and nothing more");
}

static void set_vector(struct query_parse *p, const float *vector, size_t dim)
{
    if (dim == 0 || dim > INDEX_DIM_MAX) {
        body_refuse(p->body, DP_INVALID, "rank_by: a vector has 1 to %d numbers, not %zu", INDEX_DIM_MAX, dim);
        return;
    }
    p->query->query.rows.vector = vector;
    p->query->query.rows.dim = (uint32_t)dim;
}

static void read_base64_vector(struct query_parse *p)
{
    struct span text;
    size_t len = 0;
    if (!json_read_string(p->r, p->arena, &text))
        return;
    uint8_t *bytes = arena_alloc(p->arena, text.len / 4 * 3 + 3);
    if (!bytes)
        json_reject(p->r, DP_NOMEM, "a vector");
    else if (!base64_decode(text, bytes, &len) || len % 4 != 0)
        json_reject(p->r, DP_INVALID, "rank_by: the string is not base 64 of float32 numbers");
    else
        set_vector(p, (const float *)bytes, len / 4); /* arenas align to 16 bytes */
}

/* Reads the third element of rank_by: a vector or ["Embed", text]. */
static void read_target(struct query_parse *p)
{
    enum json_type type = json_peek(p->r);
    if (type == JSON_STRING) {
        read_base64_vector(p);
        return;
    }
    if (!fields_expect(p->r, JSON_ARRAY, "the third element of rank_by"))
        return;
    struct json_reader ahead = *p->r;
    struct span word;
    enum json_type first = JSON_NOTHING;
    if (json_enter_array(&ahead) && json_next_item(&ahead))
        first = json_peek(&ahead);
    if (first == JSON_STRING) {
        *p->r = ahead;
        if (!json_read_string(p->r, p->arena, &word))
            return;
        if (span_equal_str(word, "Embed"))
            read_embed(p);
        else
            json_reject(p->r, DP_INVALID, "rank_by: expected a vector or [\"Embed\", \"text\"]");
        return;
    }
    if (first == JSON_ARRAY) {
        body_not_yet(p->body, "a query of several vectors", "send one request for each");
        return;
    }
    const float *vector = NULL;
    size_t dim = 0;
    if (fields_floats(p->r, p->arena, "the vector of rank_by", SIZE_MAX, &vector, &dim))
        set_vector(p, vector, dim);
}

/* Reads the rest of [attribute, "ANN" or "kNN", X] behind the operator. */
static void read_distance(struct query_parse *p)
{
    if (!json_next_item(p->r))
        json_reject(p->r, DP_INVALID, "%s", RANK_BY_USAGE);
    else
        read_target(p);
    if (!json_failed(p->r) && json_next_item(p->r))
        json_reject(p->r, DP_INVALID, "%s", RANK_BY_USAGE);
}

/* Reads [attribute, "asc" or "desc"]; the reader is inside the array. */
static void read_order(struct query_parse *p, struct query_order *out)
{
    struct span word;
    if (!json_next_item(p->r) || !fields_string(p->r, p->arena, "an attribute of rank_by", &out->attribute) ||
        !json_next_item(p->r) || !fields_string(p->r, p->arena, "a direction of rank_by", &word)) {
        json_reject(p->r, DP_INVALID, "%s", RANK_BY_USAGE);
        return;
    }
    out->descending = span_equal_str(word, "desc");
    if (!out->descending && !span_equal_str(word, "asc"))
        body_refuse(p->body, DP_INVALID, "rank_by: a direction is \"asc\" or \"desc\", not \"%.*s\"",
                    word.len < WORD_SHOWN ? (int)word.len : 0, (const char *)word.data);
    if (!json_failed(p->r) && json_next_item(p->r))
        json_reject(p->r, DP_INVALID, "%s", RANK_BY_USAGE);
}

/* Reads [[attribute, "asc" or "desc"], …]. */
static void read_orders(struct query_parse *p)
{
    struct query_request *q = &p->query->query;
    const size_t count = fields_count_items(p->r);
    struct query_order *orders = arena_calloc(p->arena, QUERY_ORDERS_MAX, sizeof *orders);
    if (!orders) {
        json_reject(p->r, DP_NOMEM, "rank_by");
        return;
    }
    if (count > QUERY_ORDERS_MAX) {
        body_refuse(p->body, DP_INVALID, "rank_by: rows are ordered by at most %d attributes", QUERY_ORDERS_MAX);
        return;
    }
    json_enter_array(p->r);
    for (; q->order_count < count && json_next_item(p->r); q->order_count++) {
        if (!fields_expect(p->r, JSON_ARRAY, "each order of rank_by") || !json_enter_array(p->r))
            return;
        read_order(p, &orders[q->order_count]);
    }
    json_next_item(p->r); /* the end of the array */
    q->rank = QUERY_ORDERED;
    q->orders = orders;
    q->rank_attribute = orders[0].attribute;
    q->descending = orders[0].descending;
    if (q->order_count == 1)
        q->order_count = 0;
}

/* Tells the two strings that begin the array, without moving. Returns how many there are. */
static size_t find_words(const struct query_parse *p, struct span words[2])
{
    struct json_reader ahead = *p->r;
    size_t count = 0;
    json_enter_array(&ahead);
    while (count < 2 && json_next_item(&ahead) && json_peek(&ahead) == JSON_STRING &&
           json_read_string(&ahead, p->arena, &words[count]))
        count++;
    return count;
}

/* Moves into the array and behind its first `count` elements. */
static void skip_items(struct query_parse *p, size_t count)
{
    json_enter_array(p->r);
    for (size_t i = 0; i < count && json_next_item(p->r); i++)
        json_skip(p->r);
}

void turbopuffer_take_rank_by(struct query_parse *p)
{
    struct query_request *q = &p->query->query;
    struct span words[2] = {{NULL, 0}, {NULL, 0}};
    if (!fields_expect(p->r, JSON_ARRAY, "rank_by"))
        return;
    const size_t count = find_words(p, words), items = fields_count_items(p->r);
    struct json_reader ahead = *p->r;
    const bool any = items > 0 && json_enter_array(&ahead) && json_next_item(&ahead);
    const bool nested = any && json_peek(&ahead) == JSON_ARRAY;
    if (nested) {
        read_orders(p);
    } else if (!any || count == 0) {
        json_reject(p->r, DP_INVALID, "%s", RANK_BY_USAGE);
    } else if (items == 1) {
        if (json_skip(p->r))
            body_not_yet(p->body, "this rank_by", RANK_BY_USAGE);
    } else if (span_equal_str(words[1], "asc") || span_equal_str(words[1], "desc")) {
        struct query_order order;
        json_enter_array(p->r);
        read_order(p, &order);
        q->rank = QUERY_ORDERED;
        q->rank_attribute = order.attribute;
        q->descending = order.descending;
    } else if (span_equal_str(words[1], "ANN") || span_equal_str(words[1], "kNN")) {
        q->rank = span_equal_str(words[1], "kNN") ? QUERY_EXACT : QUERY_NEAREST;
        q->rank_attribute = words[0];
        skip_items(p, 2);
        read_distance(p);
    } else if (span_equal_str(words[1], "SparseKNN")) {
        body_not_yet(p->body, "rank_by \"SparseKNN\"", RANK_BY_USAGE);
    } else {
        q->rank = QUERY_SCORED;
        json_read_raw(p->r, &q->score);
    }
}
