/* turbopuffer_query.c: reads the body of a turbopuffer v2 query.
 *
 * Known: rank_by ["vector", "ANN" or "kNN", X], where X is an array of numbers, base 64 of little-endian float32, or
 * ["Embed", "text"]; rank_by [attribute, "asc" or "desc"] or a score; aggregate_by and group_by; compute_attributes;
 * filters; top_k or limit; offset; include_attributes or exclude_attributes; consistency; distance_metric;
 * vector_encoding; queries; beside them rerank_by ["RRF"]. The rest of turbopuffer's query language is refused by
 * name. Filters stay raw JSON until the namespace's schema is known. null means "not given". Without rank_by, the
 * rows that a filter chooses are ordered by id.
 */
#include "api/turbopuffer_parse.h"

#include "api/fields.h"

enum { DEFAULT_LIMIT = 10, ATTRIBUTES_MAX = 1024, RECALL_NUM = 25, RECALL_NUM_MAX = 1000, RECALL_TOP_K = 10 };

/* ---- the other fields --------------------------------------------------------------------------------- */

static void take_top_k(struct query_parse *p)
{
    body_u32(p->body, "top_k", 1, INDEX_TOP_K_MAX, &p->query->query.rows.top_k);
}

static void read_attribute_names(struct query_parse *p, const char *field, const struct span **out, size_t *count,
                                 bool *vector);

/* Reads {"attributes": [name, …], "limit": number}. */
static void read_per(struct query_parse *p)
{
    enum { ATTRIBUTES, LIMIT, FIELDS };
    static const char *const names[FIELDS] = {"attributes", "limit"};
    struct query_request *q = &p->query->query;
    uint64_t seen = 0;
    bool vector = false;
    if (!fields_expect(p->r, JSON_OBJECT, "limit.per") || !json_enter_object(p->r))
        return;
    for (int field; fields_next(p->r, p->arena, names, FIELDS, &seen, &field);) {
        if (field == LIMIT)
            body_u32(p->body, "limit.per.limit", 1, INDEX_TOP_K_MAX, &q->per_limit);
        else
            read_attribute_names(p, "limit.per.attributes", &q->per, &q->per_count, &vector);
    }
    if (json_failed(p->r))
        return;
    if (seen != (1U << ATTRIBUTES | 1U << LIMIT))
        json_reject(p->r, DP_INVALID, "limit.per needs \"attributes\" and \"limit\"");
    else if (vector || q->per_count == 0 || q->per_count > QUERY_ORDERS_MAX)
        body_refuse(p->body, DP_INVALID,
                    "limit.per.attributes has 1 to %d names, and \"vector\" must not be one of them",
                    QUERY_ORDERS_MAX);
}

/* Reads a number, or {"total": number, "per": {…}}. */
static void take_limit(struct query_parse *p)
{
    enum { TOTAL, PER, FIELDS };
    static const char *const names[FIELDS] = {"total", "per"};
    uint32_t *top_k = &p->query->query.rows.top_k;
    uint64_t seen = 0;
    if (json_peek(p->r) != JSON_OBJECT) {
        body_u32(p->body, "limit", 1, INDEX_TOP_K_MAX, top_k);
        return;
    }
    json_enter_object(p->r);
    for (int field; fields_next(p->r, p->arena, names, FIELDS, &seen, &field);) {
        if (field == TOTAL)
            body_u32(p->body, "limit.total", 1, INDEX_TOP_K_MAX, top_k);
        else if (!fields_null(p->r))
            read_per(p);
    }
    if (!(seen & 1U << TOTAL))
        json_reject(p->r, DP_INVALID, "limit.total is missing");
}

static void take_offset(struct query_parse *p)
{
    body_u32(p->body, "offset", 0, INDEX_TOP_K_MAX - 1, &p->query->offset);
}

/* Reads an array of attribute names. *vector says whether "vector" was one of them; *out has the others. */
static void read_attribute_names(struct query_parse *p, const char *field, const struct span **out, size_t *count,
                                 bool *vector)
{
    if (!fields_expect(p->r, JSON_ARRAY, field))
        return;
    size_t n = fields_count_items(p->r);
    struct span *names = n <= ATTRIBUTES_MAX ? arena_array(p->arena, n ? n : 1, sizeof *names) : NULL;
    if (n > ATTRIBUTES_MAX)
        body_refuse(p->body, DP_INVALID, "%s has more than %d names", field, ATTRIBUTES_MAX);
    else if (!names)
        json_reject(p->r, DP_NOMEM, "names of attributes");
    json_enter_array(p->r);
    size_t others = 0;
    for (size_t i = 0; json_next_item(p->r) && i < n; i++) {
        struct span name;
        if (!fields_string(p->r, p->arena, "a name of an attribute", &name))
            return;
        if (span_equal_str(name, "vector"))
            *vector = true;
        else
            names[others++] = name;
    }
    *out = names;
    *count = others;
}

static void take_include(struct query_parse *p)
{
    struct index_query *rows = &p->query->query.rows;
    if (json_peek(p->r) == JSON_BOOL) {
        json_read_bool(p->r, &rows->all_attributes);
        p->query->query.rows.with_vectors = rows->all_attributes;
    } else if (json_peek(p->r) == JSON_ARRAY) {
        read_attribute_names(p, "include_attributes", &rows->attributes, &rows->attribute_count,
                             &p->query->query.rows.with_vectors);
    } else if (json_peek(p->r) != JSON_NOTHING) {
        json_reject(p->r, DP_INVALID, "include_attributes must be true, false or an array of names, not %s",
                    json_type_name(json_peek(p->r)));
    }
}

static void take_exclude(struct query_parse *p)
{
    bool vector = false;
    read_attribute_names(p, "exclude_attributes", &p->query->exclude, &p->query->exclude_count, &vector);
    p->query->query.rows.all_attributes = true;
    p->query->query.rows.with_vectors = !vector;
}

static void take_filters(struct query_parse *p)
{
    if (fields_expect(p->r, JSON_ARRAY, "filters"))
        json_read_raw(p->r, &p->query->query.filters);
}

static void take_consistency(struct query_parse *p)
{
    enum { LEVEL, MAX_STALENESS, FIELDS };
    static const char *const names[FIELDS] = {"level", "max_staleness_seconds"};
    struct span level = {NULL, 0};
    uint64_t seen = 0;
    if (!body_expect(p->body, JSON_OBJECT, "consistency", "struct Consistency") || !json_enter_object(p->r))
        return;
    for (int field; fields_next(p->r, p->arena, names, FIELDS, &seen, &field);) {
        if (field == LEVEL)
            fields_string(p->r, p->arena, "consistency.level", &level);
        else if (!fields_null(p->r))
            body_u32(p->body, "consistency.max_staleness_seconds", 1, 86400, &p->query->query.staleness_s);
    }
    p->query->query.rows.eventual = span_equal_str(level, "eventual");
    if (!p->query->query.rows.eventual && !span_equal_str(level, "strong"))
        json_reject(p->r, DP_INVALID, "consistency.level: unknown variant `%.*s`, expected `strong` or `eventual`",
                    level.len < WORD_SHOWN ? (int)level.len : 0, (const char *)level.data);
}

static void take_metric(struct query_parse *p)
{
    p->query->query.check_metric = true;
    body_metric(p->body, &p->query->query.metric);
}

static void take_encoding(struct query_parse *p)
{
    struct span name;
    if (!fields_string(p->r, p->arena, "vector_encoding", &name))
        return;
    p->all->base64 = span_equal_str(name, "base64");
    if (!p->all->base64 && !span_equal_str(name, "float"))
        json_reject(p->r, DP_INVALID, "vector_encoding must be \"float\" or \"base64\"");
}

/* ---- rerank_by ----------------------------------------------------------------------------------------- */

static void read_weights(struct query_parse *p)
{
    struct turbopuffer_fusion *fusion = &p->all->fusion;
    if (!fields_expect(p->r, JSON_ARRAY, "rerank_by: weights") || !json_enter_array(p->r))
        return;
    while (json_next_item(p->r)) {
        double weight;
        if (!json_read_double(p->r, &weight))
            return;
        if (weight <= 0 || fusion->weight_count == FUSE_LANES_MAX)
            body_refuse(p->body, DP_INVALID, "rerank_by: weights has a number above 0 for each query");
        else
            fusion->weights[fusion->weight_count++] = weight;
    }
    if (!json_failed(p->r) && fusion->weight_count == 0)
        body_refuse(p->body, DP_INVALID, "rerank_by: weights has a number above 0 for each query");
}

/* Reads ["RRF"] or ["RRF", {"rank_constant": number, "weights": [number, …]}]. */
static void take_rerank(struct query_parse *p)
{
    enum { RANK_CONSTANT, WEIGHTS, FIELDS };
    static const char *const names[FIELDS] = {"rank_constant", "weights"};
    uint32_t constant = FUSE_RANK_CONSTANT;
    uint64_t seen = 0;
    struct span word;
    if (json_peek(p->r) != JSON_ARRAY) {
        body_not_yet(p->body, "this rerank_by", "give [\"RRF\"]");
        return;
    }
    json_enter_array(p->r);
    if (!json_next_item(p->r) || !fields_string(p->r, p->arena, "rerank_by", &word)) {
        json_reject(p->r, DP_INVALID, "rerank_by must be [\"RRF\"] or [\"RRF\", {…}]");
        return;
    }
    if (!span_equal_str(word, "RRF")) {
        body_refuse(p->body, DP_INVALID, "rerank_by: unknown \"%.*s\": it must be [\"RRF\"] or [\"RRF\", {…}]",
                    word.len < WORD_SHOWN ? (int)word.len : 0, (const char *)word.data);
        return;
    }
    if (json_next_item(p->r) && fields_expect(p->r, JSON_OBJECT, "the options of \"RRF\"")) {
        json_enter_object(p->r);
        for (int field; fields_next(p->r, p->arena, names, FIELDS, &seen, &field);) {
            if (fields_null(p->r))
                continue;
            if (field == WEIGHTS)
                read_weights(p);
            else
                body_u32(p->body, "rerank_by: rank_constant", 1, UINT32_MAX, &constant);
        }
        if (!json_failed(p->r) && json_next_item(p->r))
            json_reject(p->r, DP_INVALID, "rerank_by must be [\"RRF\"] or [\"RRF\", {…}]");
    }
    p->all->fusion.asked = true;
    p->all->fusion.rank_constant = constant;
}

static void take_queries(struct query_parse *p);

/* ---- the fields --------------------------------------------------------------------------------------- */

/* Where a field is allowed: in a single query, in an element of "queries", or beside "queries". */
enum { IN_ONE = 1, IN_NESTED = 2, IN_ROOT_OF_MANY = 4 };

static const struct {
    const char *name;
    void (*take)(struct query_parse *p); /* NULL: not supported */
    unsigned places;
    const char *instead; /* for an unsupported field: what to do */
} QUERY_FIELDS[] = {
    {"rank_by", turbopuffer_take_rank_by, IN_ONE | IN_NESTED, NULL},
    {"top_k", take_top_k, IN_ONE | IN_NESTED, NULL},
    {"limit", take_limit, IN_ONE | IN_NESTED | IN_ROOT_OF_MANY, NULL},
    {"offset", take_offset, IN_ONE | IN_NESTED | IN_ROOT_OF_MANY, NULL},
    {"filters", take_filters, IN_ONE | IN_NESTED, NULL},
    {"include_attributes", take_include, IN_ONE | IN_NESTED, NULL},
    {"exclude_attributes", take_exclude, IN_ONE | IN_NESTED, NULL},
    {"distance_metric", take_metric, IN_ONE | IN_NESTED, NULL},
    {"consistency", take_consistency, IN_ONE | IN_ROOT_OF_MANY, NULL},
    {"vector_encoding", take_encoding, IN_ONE | IN_ROOT_OF_MANY, NULL},
    {"queries", take_queries, IN_ROOT_OF_MANY, NULL},
    {"aggregate_by", turbopuffer_take_aggregate_by, IN_ONE | IN_NESTED, NULL},
    {"group_by", turbopuffer_take_group_by, IN_ONE | IN_NESTED, NULL},
    {"compute_attributes", turbopuffer_take_compute, IN_ONE | IN_NESTED, NULL},
    {"rerank_by", take_rerank, IN_ROOT_OF_MANY, NULL},
    {"vector", NULL, 0, "give the vector in rank_by: [\"vector\", \"ANN\", [numbers]]"},
};
enum { QUERY_FIELD_COUNT = sizeof QUERY_FIELDS / sizeof *QUERY_FIELDS };

/* Returns whether the field of this name was given. */
static bool is_given(uint64_t given, const char *name)
{
    for (size_t i = 0; i < QUERY_FIELD_COUNT; i++)
        if (strcmp(QUERY_FIELDS[i].name, name) == 0)
            return given >> i & 1;
    return false;
}

/* Lets a query with filters but without rank_by order its rows by id, as clients expect. */
static void rank_by_id(struct query_parse *p, bool has_filters)
{
    if (!has_filters)
        body_refuse(p->body, DP_INVALID, "rank_by is missing");
    p->query->query.rank = QUERY_ORDERED;
    p->query->query.rank_attribute = span_str("id");
}

/* Checks the fields beside "queries", and notes the limit of the fused rows. */
static void check_fusion(struct query_parse *p, uint64_t given)
{
    struct turbopuffer_fusion *fusion = &p->all->fusion;
    const uint32_t limit = p->query->query.rows.top_k, offset = p->query->offset;
    bool limited = is_given(given, "limit");
    if (!fusion->asked && (limited || is_given(given, "offset")))
        body_refuse(p->body, DP_INVALID, "limit and offset beside \"queries\" need rerank_by");
    if (is_given(given, "offset") && !limited)
        body_refuse(p->body, DP_INVALID, "offset needs a limit beside it");
    if (limited && limit > INDEX_TOP_K_MAX - offset)
        body_refuse(p->body, DP_INVALID, "offset and limit together exceed %d", INDEX_TOP_K_MAX);
    if (fusion->asked && p->all->count < 2)
        body_refuse(p->body, DP_INVALID, "rerank_by needs at least two queries");
    for (size_t i = 0; fusion->asked && i < p->all->count; i++)
        if (p->all->queries[i].query.rank == QUERY_AGGREGATED)
            body_refuse(p->body, DP_INVALID, "rerank_by needs queries with rows, not with aggregate_by");
    if (fusion->weight_count && fusion->weight_count != p->all->count)
        body_refuse(p->body, DP_INVALID, "rerank_by: %zu weights for %zu queries", fusion->weight_count,
                    p->all->count);
    fusion->limit = limited ? limit + offset : 0;
    fusion->offset = offset;
    for (size_t i = 0; i < p->all->count; i++)
        p->all->queries[i].query.rows.shown = fusion->limit;
}

/* Checks the fields of a query whose answer has aggregates in place of rows. */
static void check_aggregates(struct query_parse *p, uint64_t given)
{
    static const char *const excluded[] = {"rank_by", "include_attributes", "exclude_attributes",
                                           "compute_attributes", "offset"};
    if (!is_given(given, "aggregate_by"))
        body_refuse(p->body, DP_INVALID, "group_by needs aggregate_by");
    for (size_t i = 0; i < sizeof excluded / sizeof *excluded; i++)
        if (is_given(given, excluded[i]))
            body_refuse(p->body, DP_INVALID, "aggregate_by and %s exclude each other", excluded[i]);
    if (p->query->query.per_count)
        body_refuse(p->body, DP_INVALID, "aggregate_by and limit.per exclude each other");
    p->query->aggregate.limit = p->query->query.rows.top_k;
    p->query->query.rank = QUERY_AGGREGATED;
    p->query->query.aggregate = &p->query->aggregate;
}

/* Refuses fields that exclude each other, and adds the offset to the limit. */
static void check_query(struct query_parse *p, uint64_t given)
{
    struct index_query *rows = &p->query->query.rows;
    bool many = is_given(given, "queries");
    for (size_t i = 0; i < QUERY_FIELD_COUNT; i++)
        if (given >> i & 1 && !(QUERY_FIELDS[i].places & (p->nested ? IN_NESTED
                                                          : many    ? IN_ROOT_OF_MANY
                                                                    : IN_ONE)))
            body_refuse(p->body, DP_INVALID,
                        p->nested ? "%s belongs beside \"queries\", not into one of them"
                        : !many   ? "%s belongs beside \"queries\""
                                  : "%s belongs into an element of \"queries\", not beside it",
                        QUERY_FIELDS[i].name);
    if (many) {
        check_fusion(p, given);
        return;
    }
    if (is_given(given, "aggregate_by") || is_given(given, "group_by"))
        check_aggregates(p, given);
    else if (!is_given(given, "rank_by"))
        rank_by_id(p, is_given(given, "filters"));
    if (is_given(given, "top_k") && is_given(given, "limit"))
        body_refuse(p->body, DP_INVALID, "top_k and limit exclude each other");
    if (is_given(given, "include_attributes") && is_given(given, "exclude_attributes"))
        body_refuse(p->body, DP_INVALID, "include_attributes and exclude_attributes exclude each other");
    if (rows->top_k > INDEX_TOP_K_MAX - p->query->offset)
        body_refuse(p->body, DP_INVALID, "offset and limit together exceed %d", INDEX_TOP_K_MAX);
    rows->top_k += p->query->offset;
}

/* Reads the fields of the open object. */
static void read_query_fields(struct query_parse *p)
{
    const char *names[QUERY_FIELD_COUNT];
    uint64_t seen = 0, given = 0;
    *p->query = (struct turbopuffer_query){.query.rows.top_k = DEFAULT_LIMIT};
    for (size_t i = 0; i < QUERY_FIELD_COUNT; i++)
        names[i] = QUERY_FIELDS[i].name;
    for (int field; fields_next(p->r, p->arena, names, QUERY_FIELD_COUNT, &seen, &field);) {
        if (fields_null(p->r))
            continue;
        given |= UINT64_C(1) << field;
        if (QUERY_FIELDS[field].take)
            QUERY_FIELDS[field].take(p);
        else
            body_not_yet(p->body, QUERY_FIELDS[field].name, QUERY_FIELDS[field].instead);
    }
    if (!json_failed(p->r))
        check_query(p, given);
}

static void take_queries(struct query_parse *p)
{
    struct query_parse inner = *p;
    inner.nested = true;
    if (p->nested) {
        json_reject(p->r, DP_INVALID, "\"queries\" in one of \"queries\"");
        return;
    }
    if (!fields_expect(p->r, JSON_ARRAY, "queries"))
        return;
    size_t count = fields_count_items(p->r);
    if (count == 0 || count > TURBOPUFFER_QUERIES_MAX) {
        body_refuse(p->body, DP_INVALID, "queries has 1 to %d elements, not %zu", TURBOPUFFER_QUERIES_MAX, count);
        return;
    }
    struct turbopuffer_query *queries = arena_array(p->arena, count, sizeof *queries);
    if (!queries) {
        json_reject(p->r, DP_NOMEM, "queries");
        return;
    }
    json_enter_array(p->r);
    for (size_t i = 0; i < count && json_next_item(p->r); i++) {
        inner.query = &queries[i];
        if (fields_expect(p->r, JSON_OBJECT, "each of queries") && json_enter_object(p->r))
            read_query_fields(&inner);
    }
    json_next_item(p->r); /* the end of the array */
    p->all->queries = queries;
    p->all->count = count;
    p->all->is_multi = true;
}

enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_queries *out,
                                       bool *malformed)
{
    struct body_parse b;
    struct turbopuffer_query *root = arena_calloc(call->arena, 1, sizeof *root);
    struct query_parse p = {.body = &b, .r = &b.r, .arena = call->arena, .all = out, .query = root};
    *out = (struct turbopuffer_queries){.queries = root, .count = 1};
    *malformed = false;
    if (!root)
        return call_nomem(call, "a query");
    body_init(&b, call, body);
    if (fields_enter_request(&b.r))
        read_query_fields(&p);
    for (size_t i = 0; out->is_multi && i < out->count; i++) {
        out->queries[i].query.rows.eventual = root->query.rows.eventual;
        out->queries[i].query.staleness_s = root->query.staleness_s;
    }
    return body_end(&b, malformed);
}

/* ---- recall ------------------------------------------------------------------------------------------- */

enum dp_status turbopuffer_parse_recall(struct call *call, struct span body, struct turbopuffer_recall *out,
                                        bool *malformed)
{
    enum { NUM, TOP_K, FILTERS, RANK_BY, GROUND_TRUTH, FIELDS };
    static const char *const names[FIELDS] = {"num", "top_k", "filters", "rank_by", "include_ground_truth"};
    struct body_parse b;
    uint64_t seen = 0;
    *out = (struct turbopuffer_recall){.num = RECALL_NUM, .top_k = RECALL_TOP_K};
    body_init(&b, call, body.len ? body : span_str("{}"));
    fields_enter_request(&b.r);
    for (int field; fields_next(&b.r, call->arena, names, FIELDS, &seen, &field);) {
        if (fields_null(&b.r))
            continue;
        switch (field) {
        case NUM: body_u32(&b, "num", 1, RECALL_NUM_MAX, &out->num); break;
        case TOP_K: body_u32(&b, "top_k", 1, INDEX_TOP_K_MAX, &out->top_k); break;
        case GROUND_TRUTH: fields_bool(&b.r, "include_ground_truth", &out->ground_truth); break;
        case FILTERS:
            if (fields_expect(&b.r, JSON_ARRAY, "filters"))
                json_read_raw(&b.r, &out->filters);
            break;
        default: body_not_yet(&b, "rank_by of a measurement of recall", "leave it out"); break;
        }
    }
    return body_end(&b, malformed);
}
