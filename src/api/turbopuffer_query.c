/* turbopuffer_query.c: reads the body of a turbopuffer v2 query.
 *
 * Known: rank_by ["vector", "ANN", X] where X is an array of numbers, base 64 of little-endian float32, or ["Embed",
 * "text"]; top_k or limit; offset; include_attributes or exclude_attributes; consistency; distance_metric; vector_encoding.
 * The rest of turbopuffer's query language is refused by name.
 */
#include "api/turbopuffer_query.h"

#include <stdio.h>

#include "base/base64.h"
#include "api/fields.h"

enum { DEFAULT_LIMIT = 10, ATTRIBUTES_MAX = 1024 };

static const char RANK_BY_VECTOR[] =
    "rank_by must be [\"vector\", \"ANN\", X], where X is a vector or [\"Embed\", \"text\"]";

/* Refuses a feature of turbopuffer that this server lacks, and says what to do instead. */
static enum dp_status not_yet(struct json_reader *r, struct call *call, const char *what, const char *instead)
{
    if (json_failed(r)) /* which has a better message */
        return DP_INVALID;
    json_reject(r, DP_UNSUPPORTED, "%s", what);
    return call_fail(call, DP_UNSUPPORTED, "%s is not supported yet by this server: %s", what, instead);
}

/* Reads the rest of ["Embed", "text"] behind its name, closing bracket included. */
static void read_embed(struct json_reader *r, struct call *call, struct query_request *out)
{
    if (!json_next_item(r)) {
        json_reject(r, DP_INVALID, "rank_by: \"Embed\" needs a text");
        return;
    }
    if (!fields_string(r, call->arena, "the text of \"Embed\"", &out->text))
        return;
    if (json_next_item(r))
        not_yet(r, call, "a third element of \"Embed\"", "leave it out");
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
        json_reject(r, DP_INVALID, "rank_by: the string is not base 64 of float32 numbers");
    else if (len / 4 > INDEX_DIM_MAX)
        json_reject(r, DP_INVALID, "rank_by: the vector has more than %d numbers", INDEX_DIM_MAX);
    else {
        out->rows.vector = (const float *)bytes; /* arenas align to 16 bytes */
        out->rows.dim = (uint32_t)(len / 4);
    }
}

/* Reads the third element of rank_by. */
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
            not_yet(r, call, "a query of several vectors", "send one request for each");
            return;
        }
    }
    const float *vector = NULL;
    size_t dim = 0;
    if (!fields_floats(r, call->arena, "the vector of rank_by", INDEX_DIM_MAX, &vector, &dim))
        return;
    if (dim == 0)
        json_reject(r, DP_INVALID, "rank_by: the vector is empty");
    out->rows.vector = vector;
    out->rows.dim = (uint32_t)dim;
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
            not_yet(r, call, "ordering by several attributes", RANK_BY_VECTOR);
        json_reject(r, DP_INVALID, "%s", usage);
        return;
    }
    if (!json_read_string(r, call->arena, &attribute))
        return;
    if (!json_next_item(r) || json_peek(r) != JSON_STRING) {
        not_yet(r, call, "this rank_by", RANK_BY_VECTOR);
        return;
    }
    if (!json_read_string(r, call->arena, &operator))
        return;
    if (!span_equal_str(operator, "ANN")) {
        char what[60];
        snprintf(what, sizeof what, "rank_by \"%.*s\"", operator.len < 32 ? (int)operator.len : 0,
                 (const char *)operator.data);
        not_yet(r, call, what, RANK_BY_VECTOR);
        return;
    }
    if (!span_equal_str(attribute, "vector")) {
        json_reject(r, DP_INVALID, "rank_by: \"ANN\" can rank by the attribute \"vector\" only");
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

/* Reads a number, or {"total": number}. */
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
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        if (field == TOTAL)
            fields_u32(r, "limit.total", 1, INDEX_TOP_K_MAX, out);
        else
            not_yet(r, call, "limit.per", "leave it out");
    }
    if (!(seen & 1U << TOTAL))
        json_reject(r, DP_INVALID, "limit.total is missing");
}

/* Reads an array of attribute names. */
static void read_attribute_names(struct json_reader *r, struct call *call, const char *field,
                                 const struct span **out, size_t *count)
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
            not_yet(r, call, "returning vectors", "leave \"vector\" out of the attributes");
    }
    *out = names;
    *count = n;
}

static void read_include(struct json_reader *r, struct call *call, struct query_request *out)
{
    if (json_peek(r) == JSON_BOOL)
        json_read_bool(r, &out->rows.all_attributes);
    else if (json_peek(r) == JSON_ARRAY)
        read_attribute_names(r, call, "include_attributes", &out->rows.attributes, &out->rows.attribute_count);
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
    for (int field; fields_next(r, call->arena, names, FIELDS, &seen, &field);) {
        if (field == LEVEL)
            fields_string(r, call->arena, "consistency.level", &level);
        else
            fields_u32(r, "consistency.max_staleness_seconds", 1, 86400, &out->staleness_s);
    }
    out->rows.eventual = span_equal_str(level, "eventual");
    if (!out->rows.eventual && !span_equal_str(level, "strong"))
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

/* ---- the fields ------------------------------------------------------------------------------------- */

static void take_rank_by(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_rank_by(r, call, &out->query);
}

static void take_top_k(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    (void)call;
    fields_u32(r, "top_k", 1, INDEX_TOP_K_MAX, &out->query.rows.top_k);
}

static void take_limit(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_limit(r, call, &out->query.rows.top_k);
}

static void take_offset(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    (void)call;
    fields_u32(r, "offset", 0, INDEX_TOP_K_MAX - 1, &out->offset);
}

static void take_include(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_include(r, call, &out->query);
}

static void take_exclude(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_attribute_names(r, call, "exclude_attributes", &out->exclude, &out->exclude_count);
    out->query.rows.all_attributes = true;
}

static void take_consistency(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_consistency(r, call, &out->query);
}

static void take_metric(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    read_metric(r, call, &out->query);
}

static void take_encoding(struct json_reader *r, struct call *call, struct turbopuffer_query *out)
{
    (void)out;
    read_encoding(r, call);
}

static const struct {
    const char *name;
    void (*take)(struct json_reader *r, struct call *call,
                 struct turbopuffer_query *out); /* NULL: not supported */
    const char *instead;                         /* for one that is not supported: what to do */
} FIELDS[] = {
    {"rank_by", take_rank_by, NULL},
    {"top_k", take_top_k, NULL},
    {"limit", take_limit, NULL},
    {"offset", take_offset, NULL},
    {"include_attributes", take_include, NULL},
    {"exclude_attributes", take_exclude, NULL},
    {"consistency", take_consistency, NULL},
    {"distance_metric", take_metric, NULL},
    {"vector_encoding", take_encoding, NULL},
    {"filters", NULL, "leave it out, ask for more rows and choose among them"},
    {"aggregate_by", NULL, "leave it out"},
    {"group_by", NULL, "leave it out"},
    {"compute_attributes", NULL, "leave it out"},
    {"rerank_by", NULL, "leave it out; rows are ordered by rank_by only"},
    {"queries", NULL, "send one request for each"},
    {"vector", NULL, "give the vector in rank_by: [\"vector\", \"ANN\", [numbers]]"},
};
enum { FIELD_COUNT = sizeof FIELDS / sizeof *FIELDS };

/* Whether the field of this name was given. */
static bool is_given(uint64_t given, const char *name)
{
    for (size_t i = 0; i < FIELD_COUNT; i++)
        if (strcmp(FIELDS[i].name, name) == 0)
            return given >> i & 1;
    return false;
}

/* Reads all fields. `given` has a bit for each that is not null, as null means "not given". */
static enum dp_status read_fields(struct call *call, struct span body, struct turbopuffer_query *out,
                                  uint64_t *given)
{
    struct json_reader reader, *r = &reader;
    const char *names[FIELD_COUNT];
    uint64_t seen = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++)
        names[i] = FIELDS[i].name;
    json_reader_init(r, body);
    fields_enter_request(r);
    for (int field; fields_next(r, call->arena, names, FIELD_COUNT, &seen, &field);) {
        if (fields_null(r))
            continue;
        *given |= UINT64_C(1) << field;
        if (!FIELDS[field].take)
            return not_yet(r, call, FIELDS[field].name, FIELDS[field].instead);
        FIELDS[field].take(r, call, out);
    }
    json_end(r);
    if (json_failed(r) && call->error.status == DP_UNSUPPORTED) /* not_yet has set the error */
        return call->error.status;
    return json_error(r, &call->error);
}

enum dp_status turbopuffer_parse_query(struct call *call, struct span body, struct turbopuffer_query *out)
{
    uint64_t given = 0;
    *out = (struct turbopuffer_query){.query.rows.top_k = DEFAULT_LIMIT};
    enum dp_status status = read_fields(call, body, out, &given);
    if (status != DP_OK)
        return status;
    if (!is_given(given, "rank_by"))
        return call_fail(call, DP_INVALID, "rank_by is missing");
    if (is_given(given, "top_k") && is_given(given, "limit"))
        return call_fail(call, DP_INVALID, "top_k and limit exclude each other");
    if (is_given(given, "include_attributes") && is_given(given, "exclude_attributes"))
        return call_fail(call, DP_INVALID, "include_attributes and exclude_attributes exclude each other");
    if (out->query.rows.top_k > INDEX_TOP_K_MAX - out->offset)
        return call_fail(call, DP_INVALID, "offset and limit together exceed %d", INDEX_TOP_K_MAX);
    out->query.rows.top_k += out->offset;
    return DP_OK;
}
