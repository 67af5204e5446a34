/* turbopuffer_query.c: reads the body of a turbopuffer v2 query.
 *
 * Known: rank_by ["vector", "ANN", X] with X an array of numbers, the same in base 64 (little-endian float32), or
 * ["Embed", "text"]; top_k or limit; offset; include_attributes or exclude_attributes; consistency;
 * distance_metric; vector_encoding. The rest of turbopuffer's query language is refused by name.
 */
#include "api/turbopuffer_query.h"

#include <stdio.h>

#include "base/base64.h"
#include "api/fields.h"

enum { DEFAULT_LIMIT = 10, ATTRIBUTES_MAX = 1024 };

/* Fails with a sentence about what turbopuffer has and we don't. */
static void not_yet(struct json_reader *r, const char *what)
{
    json_reject(r, DP_UNSUPPORTED, "%s is not supported yet by this server", what);
}

/* The rest of ["Embed", "text"], whose name has been read, with its closing bracket. */
static void read_embed(struct json_reader *r, struct call *call, struct query_request *out)
{
    if (!json_next_item(r)) {
        json_reject(r, DP_INVALID, "rank_by: \"Embed\" needs a text");
        return;
    }
    if (!fields_string(r, call->arena, "the text of \"Embed\"", &out->text))
        return;
    if (json_next_item(r))
        not_yet(r, "a third element of \"Embed\"");
}

static void read_base64_vector(struct json_reader *r, struct call *call, struct query_request *out)
{
    struct span text;
    size_t len = 0;
    if (!json_read_string(r, call->arena, &text))
        return;
    uint8_t *bytes = arena_alloc(call->arena, text.len / 4 * 3 + 3);
    if (!bytes)
        json_reject(r, DP_NOMEM, "a vector");
    else if (!base64_decode(text, bytes, &len) || len == 0 || len % 4 != 0)
        json_reject(r, DP_INVALID, "rank_by: the string is no base 64 of float32 numbers");
    else if (len / 4 > INDEX_DIM_MAX)
        json_reject(r, DP_INVALID, "rank_by: the vector has more than %d numbers", INDEX_DIM_MAX);
    else {
        out->vector = (const float *)bytes; /* arenas align to 16 bytes */
        out->dim = (uint32_t)(len / 4);
    }
}

/* The third element of rank_by. */
static void read_target(struct json_reader *r, struct call *call, struct query_request *out)
{
    enum json_type type = json_peek(r);
    if (type == JSON_STRING) {
        read_base64_vector(r, call, out);
        return;
    }
    if (!fields_expect(r, JSON_ARRAY, "the third element of rank_by"))
        return;
    struct json_reader ahead = *r;
    struct span word;
    if (json_enter_array(&ahead) && json_next_item(&ahead)) {
        enum json_type first = json_peek(&ahead);
        if (first == JSON_STRING) {
            *r = ahead;
            if (!json_read_string(r, call->arena, &word))
                return;
            if (!span_equal_str(word, "Embed"))
                json_reject(r, DP_INVALID, "rank_by: expected a vector or [\"Embed\", \"text\"]");
            else
                read_embed(r, call, out);
            return;
        }
        if (first == JSON_ARRAY) {
            not_yet(r, "a query of several vectors");
            return;
        }
    }
    const float *vector = NULL;
    size_t dim = 0;
    if (!fields_floats(r, call->arena, "the vector of rank_by", INDEX_DIM_MAX, &vector, &dim))
        return;
    if (dim == 0)
        json_reject(r, DP_INVALID, "rank_by: the vector is empty");
    out->vector = vector;
    out->dim = (uint32_t)dim;
}

static void read_rank_by(struct json_reader *r, struct call *call, struct query_request *out)
{
    struct span attribute, operator;
    static const char *const usage =
        "rank_by must be [\"vector\", \"ANN\", [numbers]] or [\"vector\", \"ANN\", [\"Embed\", \"text\"]]";
    if (!fields_expect(r, JSON_ARRAY, "rank_by") || !json_enter_array(r))
        return;
    if (!json_next_item(r) || json_peek(r) != JSON_STRING) {
        if (json_peek(r) == JSON_ARRAY)
            not_yet(r, "ordering by several attributes");
        json_reject(r, DP_INVALID, "%s", usage);
        return;
    }
    if (!json_read_string(r, call->arena, &attribute))
        return;
    if (!json_next_item(r) || json_peek(r) != JSON_STRING) {
        not_yet(r, "this rank_by");
        return;
    }
    if (!json_read_string(r, call->arena, &operator))
        return;
    if (!span_equal_str(operator, "ANN")) {
        char what[60];
        snprintf(what, sizeof what, "rank_by \"%.*s\"", operator.len < 32 ? (int)operator.len : 0,
                 (const char *)operator.data);
        not_yet(r, what);
        return;
    }
    if (!span_equal_str(attribute, "vector")) {
        json_reject(r, DP_INVALID, "rank_by: the only attribute to rank by \"ANN\" is \"vector\"");
        return;
    }
    if (!json_next_item(r)) {
        json_reject(r, DP_INVALID, "%s", usage);
        return;
    }
    read_target(r, call, out);
    if (!json_failed(r) && json_next_item(r))
        json_reject(r, DP_INVALID, "%s", usage);
}

/* A number, or {"total": number}. */
static void read_limit(struct json_reader *r, struct call *call, uint32_t *out)
{
    enum { TOTAL, PER, FIELDS };
    static const char *const names[FIELDS] = {"total", "per"};
    uint64_t seen = 0;
    if (json_peek(r) != JSON_OBJECT) {
        fields_u32(r, "limit", 1, INDEX_TOP_K_MAX, out);
        return;
    }
    json_enter_object(r);
    for (int field; (field = fields_next(r, call->arena, names, FIELDS, &seen)) >= 0;) {
        if (field == TOTAL)
            fields_u32(r, "limit.total", 1, INDEX_TOP_K_MAX, out);
        else
            not_yet(r, "limit.per");
    }
    if (!(seen & 1U << TOTAL))
        json_reject(r, DP_INVALID, "limit.total is missing");
}

/* An array of attribute names. */
static void read_names(struct json_reader *r, struct call *call, const char *field, const struct span **out,
                       size_t *count)
{
    if (!fields_expect(r, JSON_ARRAY, field))
        return;
    size_t n = fields_count_items(r);
    struct span *names = n <= ATTRIBUTES_MAX ? arena_array(call->arena, n ? n : 1, sizeof *names) : NULL;
    if (n > ATTRIBUTES_MAX)
        json_reject(r, DP_INVALID, "%s has more than %d names", field, ATTRIBUTES_MAX);
    else if (!names)
        json_reject(r, DP_NOMEM, "names of attributes");
    json_enter_array(r);
    for (size_t i = 0; json_next_item(r) && i < n; i++) {
        if (!fields_string(r, call->arena, "a name of an attribute", &names[i]))
            return;
        if (span_equal_str(names[i], "vector"))
            not_yet(r, "returning vectors");
    }
    *out = names;
    *count = n;
}

static void read_include(struct json_reader *r, struct call *call, struct query_request *out)
{
    if (json_peek(r) == JSON_BOOL)
        json_read_bool(r, &out->all_attributes);
    else if (json_peek(r) == JSON_ARRAY)
        read_names(r, call, "include_attributes", &out->attributes, &out->attribute_count);
    else if (json_peek(r) != JSON_NOTHING)
        json_reject(r, DP_INVALID, "include_attributes must be true, false or an array of names, not %s",
                    json_type_name(json_peek(r)));
}

static void read_consistency(struct json_reader *r, struct call *call, struct query_request *out)
{
    enum { LEVEL, MAX_STALENESS, FIELDS };
    static const char *const names[FIELDS] = {"level", "max_staleness_seconds"};
    struct span level = {NULL, 0};
    uint64_t seen = 0;
    if (!fields_expect(r, JSON_OBJECT, "consistency"))
        return;
    json_enter_object(r);
    for (int field; (field = fields_next(r, call->arena, names, FIELDS, &seen)) >= 0;) {
        if (field == LEVEL)
            fields_string(r, call->arena, "consistency.level", &level);
        else
            fields_u32(r, "consistency.max_staleness_seconds", 1, 86400, &out->staleness_s);
    }
    out->eventual = span_equal_str(level, "eventual");
    if (!out->eventual && !span_equal_str(level, "strong"))
        json_reject(r, DP_INVALID, "consistency.level must be \"strong\" or \"eventual\"");
}

static void read_metric(struct json_reader *r, struct call *call, struct query_request *out)
{
    struct span name;
    if (!fields_string(r, call->arena, "distance_metric", &name))
        return;
    out->check_metric = true;
    out->metric = span_equal_str(name, "cosine_distance") ? INDEX_COSINE : INDEX_EUCLIDEAN_SQUARED;
    if (out->metric != INDEX_COSINE && !span_equal_str(name, "euclidean_squared"))
        json_reject(r, DP_INVALID, "distance_metric must be \"cosine_distance\" or \"euclidean_squared\"");
}

static void read_encoding(struct json_reader *r, struct call *call)
{
    struct span name;
    if (fields_string(r, call->arena, "vector_encoding", &name) && !span_equal_str(name, "float") &&
        !span_equal_str(name, "base64"))
        json_reject(r, DP_INVALID, "vector_encoding must be \"float\" or \"base64\"");
}

enum field {
    RANK_BY,
    TOP_K,
    LIMIT,
    OFFSET,
    INCLUDE,
    EXCLUDE,
    CONSISTENCY,
    METRIC,
    ENCODING,
    FIRST_NOT_YET, /* the rest is turbopuffer's and comes later */
    FIELDS = FIRST_NOT_YET + 7,
};

static const char *const field_names[FIELDS] = {"rank_by",
                                                "top_k",
                                                "limit",
                                                "offset",
                                                "include_attributes",
                                                "exclude_attributes",
                                                "consistency",
                                                "distance_metric",
                                                "vector_encoding",
                                                "filters",
                                                "aggregate_by",
                                                "group_by",
                                                "compute_attributes",
                                                "rerank_by",
                                                "queries",
                                                "vector"};

static void read_field(struct json_reader *r, struct call *call, int field, struct turbopuffer_query *out)
{
    struct query_request *query = &out->query;
    if (field >= FIRST_NOT_YET) {
        not_yet(r, field_names[field]);
        return;
    }
    switch ((enum field)field) {
    case RANK_BY: read_rank_by(r, call, query); break;
    case TOP_K: fields_u32(r, "top_k", 1, INDEX_TOP_K_MAX, &query->top_k); break;
    case LIMIT: read_limit(r, call, &query->top_k); break;
    case OFFSET: fields_u32(r, "offset", 0, INDEX_TOP_K_MAX - 1, &out->offset); break;
    case INCLUDE: read_include(r, call, query); break;
    case EXCLUDE:
        read_names(r, call, "exclude_attributes", &out->exclude, &out->exclude_count);
        query->all_attributes = true;
        break;
    case CONSISTENCY: read_consistency(r, call, query); break;
    case METRIC: read_metric(r, call, query); break;
    case ENCODING: read_encoding(r, call); break;
    case FIRST_NOT_YET:
    case FIELDS: break;
    }
}

enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_query *out)
{
    struct json_reader reader, *r = &reader;
    uint64_t seen = 0, given = 0; /* `given` leaves out nulls, which mean "not given" */
    *out = (struct turbopuffer_query){.query.top_k = DEFAULT_LIMIT};
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; (field = fields_next(r, call->arena, field_names, FIELDS, &seen)) >= 0;) {
        if (fields_null(r))
            continue;
        given |= UINT64_C(1) << field;
        read_field(r, call, field, out);
    }
    json_end(r);
    if (json_failed(r))
        return json_error(r, &call->error);
    if (!(given & 1U << RANK_BY))
        return call_fail(call, DP_INVALID, "rank_by is missing");
    if ((given & 1U << TOP_K) && (given & 1U << LIMIT))
        return call_fail(call, DP_INVALID, "top_k and limit exclude each other");
    if ((given & 1U << INCLUDE) && (given & 1U << EXCLUDE))
        return call_fail(call, DP_INVALID, "include_attributes and exclude_attributes exclude each other");
    if (out->query.top_k > INDEX_TOP_K_MAX - out->offset)
        return call_fail(call, DP_INVALID, "offset and limit together exceed %d", INDEX_TOP_K_MAX);
    out->query.top_k += out->offset;
    return DP_OK;
}
