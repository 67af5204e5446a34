/* compute.c: reads the expressions of computed attributes, and evaluates them over the hits of an answer. */
#include "service/compute.h"

#include "base/array.h"
#include "base/masked_url.h"
#include "filter/document.h"
#include "filter/vector_value.h"
#include "index/id.h"
#include "index/rank.h"
#include "index/schema_options.h"
#include "service/compute_highlight.h"
#include "vector/distance.h"

enum { NAMES_MAX = 4096, HIT_BYTES_MAX = 256 * 1024 * 1024 };

/* ---- names --------------------------------------------------------------------------------------------- */

/* The names that a query includes. */
struct name_list {
    struct call *call;
    struct span *names; /* [count] */
    size_t count, room;
    bool vector; /* "vector" is one of them */
    bool out_of_memory;
};

static bool has_name(const struct span *names, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal(names[i], name))
            return true;
    return false;
}

static void add_name(struct name_list *l, struct span name)
{
    l->vector = l->vector || span_equal_str(name, "vector");
    if (has_name(l->names, l->count, name))
        return;
    struct span *names = arena_reserve(l->call->arena, l->names, l->count, &l->room, sizeof *names, 16);
    l->out_of_memory = l->out_of_memory || !names;
    if (names) {
        l->names = names;
        names[l->count++] = name;
    }
}

/* Adds each string of an expression: names of attributes are among them, and an answer leaves out unknown names. */
static void add_strings(struct name_list *l, struct json_reader *r)
{
    struct span text;
    if (json_peek(r) == JSON_STRING) {
        if (json_read_string(r, l->call->arena, &text))
            add_name(l, text);
    } else if (json_peek(r) == JSON_ARRAY) {
        json_enter_array(r);
        while (json_next_item(r) && l->count <= NAMES_MAX)
            add_strings(l, r);
    } else if (json_peek(r) == JSON_OBJECT) {
        json_enter_object(r);
        while (json_next_key(r, l->call->arena, &text) && l->count <= NAMES_MAX)
            add_strings(l, r);
    } else {
        json_skip(r);
    }
}

enum dp_status compute_widen(struct call *call, const struct query_request *request, struct index_query *query)
{
    struct name_list l = {.call = call};
    for (size_t i = 0; i < query->attribute_count; i++)
        add_name(&l, query->attributes[i]);
    l.vector = false;
    for (size_t i = 0; i < request->compute_count && l.count <= NAMES_MAX; i++) {
        struct json_reader r;
        json_reader_init(&r, request->computes[i].expression);
        add_strings(&l, &r);
    }
    if (l.out_of_memory)
        return call_nomem(call, "computed attributes");
    if (l.count > NAMES_MAX)
        return call_fail(call, DP_INVALID, "compute_attributes have more than %d different strings", NAMES_MAX);
    query->with_vectors = query->with_vectors || l.vector;
    query->attributes = l.names;
    query->attribute_count = l.count;
    return DP_OK;
}

/* ---- expressions --------------------------------------------------------------------------------------- */

struct computed {
    enum { COMPUTED_SCORE, COMPUTED_DISTANCE, COMPUTED_HIGHLIGHT } kind;
    struct rank *rank;                 /* of a score; owned */
    const struct attribute *attribute; /* of a distance; NULL: "vector" */
    float *vector;
    uint32_t dim;
    bool cosine;
    struct compute_highlight *highlight;
};

struct computing {
    struct call *call;
    const struct query_request *request;
    struct index_answer *answer;
    struct schema schema;
    struct index_vectors vectors;
    struct index_external external;
    struct computed *list; /* [request->compute_count] */
};

/* Reads the vector of [attribute, "VectorDist", vector]. */
static enum dp_status read_distance(struct computing *c, struct span name, struct json_reader *r,
                                    struct computed *out)
{
    const struct attribute *a = schema_find(&c->schema, name);
    enum index_metric metric = c->vectors.metric;
    const bool of_rows = span_equal_str(name, "vector");
    char shown[URL_SHOWN_MAX];
    if (of_rows && c->external.url.len)
        return call_fail(c->call, DP_UNSUPPORTED,
                         "VectorDist needs vectors of the namespace itself: its vectors are in the FAISS file %s. "
                         "A query by a vector answers the distances to that vector as \"$dist\"",
                         url_shown(c->external.url, shown));
    if (!of_rows && (!a || a->dropped || a->type != ATTRIBUTE_VECTOR))
        return call_fail(c->call, DP_INVALID, "VectorDist: attribute \"%.*s\" holds no vectors", SPAN_FMT(name));
    out->kind = COMPUTED_DISTANCE;
    out->attribute = of_rows ? NULL : a;
    out->dim = of_rows ? c->vectors.dim : a->dim;
    if (a)
        schema_ann_metric(a, &metric);
    out->cosine = metric == INDEX_COSINE;
    struct json_reader ahead = *r;
    if (json_peek(r) == JSON_ARRAY && json_enter_array(&ahead) && json_next_item(&ahead) &&
        json_peek(&ahead) == JSON_STRING)
        return call_fail(
            c->call, DP_UNSUPPORTED,
            "VectorDist takes an array of numbers or base 64, not [\"Embed\", text]: embed the text first");
    enum dp_status status =
        vector_read(r, name, out->dim, ELEMENT_F32, c->call->arena, &out->vector, &out->dim, &c->call->error);
    if (status == DP_OK && (json_next_item(r) || json_failed(r)))
        status = call_fail(c->call, DP_INVALID, "VectorDist is [attribute, \"VectorDist\", vector]");
    if (status == DP_OK && out->cosine && !vector_normalize(out->vector, out->dim))
        status = call_fail(c->call, DP_INVALID, "VectorDist: the vector has no direction");
    return status;
}

static enum dp_status read_score(struct computing *c, struct span expression, struct computed *out)
{
    out->kind = COMPUTED_SCORE;
    enum dp_status status = rank_parse(c->call->arena, expression, &c->schema, &out->rank, &c->call->error);
    if (status == DP_OK)
        rank_set_call(out->rank, c->call);
    return status;
}

static enum dp_status read_expression(struct computing *c, size_t i)
{
    const struct span expression = c->request->computes[i].expression;
    struct computed *out = &c->list[i];
    struct json_reader r;
    struct span first, second;
    json_reader_init(&r, expression);
    const bool words = json_peek(&r) == JSON_ARRAY && json_enter_array(&r) && json_next_item(&r) &&
                       json_peek(&r) == JSON_STRING && json_read_string(&r, c->call->arena, &first) &&
                       json_next_item(&r) && json_peek(&r) == JSON_STRING &&
                       json_read_string(&r, c->call->arena, &second);
    if (words && span_equal_str(first, "Highlight") && !schema_find(&c->schema, first)) {
        out->kind = COMPUTED_HIGHLIGHT;
        return compute_highlight_read(c->call, c->request, &c->schema, second, &r, &out->highlight);
    }
    if (words && span_equal_str(second, "VectorDist") && json_next_item(&r))
        return read_distance(c, first, &r, out);
    return read_score(c, expression, out);
}

/* Reads all expressions. Then each error names its label. */
static enum dp_status read_expressions(struct computing *c)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < c->request->compute_count && status == DP_OK; i++) {
        status = read_expression(c, i);
        if (status != DP_OK)
            dp_error_prefix(&c->call->error, "compute_attributes: \"%.*s\"",
                            SPAN_FMT(c->request->computes[i].label));
    }
    return status;
}

/* ---- the counts of BM25 -------------------------------------------------------------------------------- */

static void begin_counts(void *ctx)
{
    struct computing *c = ctx;
    for (size_t i = 0; i < c->request->compute_count; i++)
        if (c->list[i].rank && rank_counts(c->list[i].rank))
            rank_reset(c->list[i].rank);
}

static enum dp_status count_row(void *ctx, struct span key, struct span document)
{
    struct computing *c = ctx;
    enum dp_status status = DP_OK;
    (void)key;
    for (size_t i = 0; i < c->request->compute_count && status == DP_OK; i++)
        if (c->list[i].rank && rank_counts(c->list[i].rank))
            status = rank_count(c->list[i].rank, document, &c->call->error);
    return status;
}

/* Counts the tokens of all rows if an expression has a BM25. A ranking by one expression counts them, mostly by the
 * text indexes; for several expressions all rows are read once. */
static enum dp_status count_rows(struct computing *c, struct index_reader *reader)
{
    struct index_scan scan = {.query = {.top_k = 1, .eventual = true}};
    struct index_answer ignored;
    size_t counting = 0;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < c->request->compute_count; i++) {
        if (c->list[i].rank && rank_counts(c->list[i].rank)) {
            scan.rank = c->list[i].rank;
            counting++;
        }
    }
    if (counting > 1) {
        scan.rank = NULL;
        scan.visit = count_row;
        scan.begin = begin_counts;
        scan.visit_ctx = c;
    }
    if (counting && c->answer->count)
        status = index_scan(c->call, reader, &scan, &ignored);
    for (size_t i = 0; i < c->request->compute_count && status == DP_OK; i++)
        if (c->list[i].rank)
            rank_begin(c->list[i].rank);
    return status;
}

/* ---- hits ---------------------------------------------------------------------------------------------- */

/* Sets *out to the vector of a hit that a distance needs; NULL: the hit has none. */
static enum dp_status find_vector(struct computing *c, const struct computed *d, const struct index_hit *hit,
                                  const float **out)
{
    struct span value;
    struct json_reader r;
    uint32_t dim = d->dim;
    float *read;
    *out = hit->vector;
    if (!d->attribute)
        return DP_OK;
    *out = NULL;
    if (!document_find(hit->attributes, d->attribute->name, &value) || span_equal_str(value, "null"))
        return DP_OK;
    json_reader_init(&r, value);
    enum dp_status status =
        vector_read(&r, d->attribute->name, dim, ELEMENT_F32, c->call->arena, &read, &dim, &c->call->error);
    *out = read;
    return status == DP_OK || status == DP_NOMEM ? status : call_restatus(c->call, DP_CORRUPT);
}

/* Writes the distance of a hit's vector, or null if it has none, or no direction. */
static enum dp_status write_distance(struct computing *c, const struct computed *d, const struct index_hit *hit,
                                     struct json_writer *w)
{
    const float *vector = NULL;
    enum dp_status status = find_vector(c, d, hit, &vector);
    const float length = vector && d->cosine ? vector_length(vector, d->dim) : 1.0F;
    if (status)
        return status;
    if (!vector || (d->cosine && !vector_has_direction(length))) {
        json_null(w);
        return DP_OK;
    }
    const float score = distance_pair(d->cosine ? VECTOR_INNER_PRODUCT : VECTOR_L2, d->vector, vector, d->dim);
    const float distance = d->cosine ? 1.0F - score / length : score;
    json_float(w, distance > 0.0F ? distance : 0.0F); /* rounding may make it slightly negative */
    return DP_OK;
}

static enum dp_status write_value(struct computing *c, const struct computed *v, const struct index_hit *hit,
                                  struct json_writer *w)
{
    struct id_key key;
    double score = 0;
    enum dp_status status;
    if (v->kind == COMPUTED_DISTANCE)
        return write_distance(c, v, hit, w);
    if (v->kind == COMPUTED_HIGHLIGHT)
        return compute_highlight_write(c->call, v->highlight, hit->attributes, w);
    status = id_encode(hit->id, &key, &c->call->error);
    if (status == DP_OK)
        status = rank_score(v->rank, id_key_span(&key), hit->attributes, &score, &c->call->error);
    if (status == DP_OK)
        json_double(w, score);
    return status;
}

static bool is_label(const struct query_request *request, struct span name)
{
    for (size_t i = 0; i < request->compute_count; i++)
        if (span_equal(request->computes[i].label, name))
            return true;
    return false;
}

/* Writes the attributes of a hit that the request includes, and its values. */
static enum dp_status write_hit(struct computing *c, const struct index_hit *hit, struct json_writer *w)
{
    const struct query_request *request = c->request;
    const struct index_query *rows = &request->rows;
    struct json_reader r;
    struct span name, value;
    enum dp_status status = DP_OK;
    json_begin_object(w);
    json_reader_init(&r, hit->attributes.len ? hit->attributes : span_str("{}"));
    json_enter_object(&r);
    while (json_next_key(&r, c->call->arena, &name) && json_read_raw(&r, &value)) {
        if (is_label(request, name) ||
            (!rows->all_attributes && !has_name(rows->attributes, rows->attribute_count, name)))
            continue;
        json_key_span(w, name);
        json_raw(w, value);
    }
    if (json_failed(&r))
        return call_fail(c->call, DP_CORRUPT, "the attributes of a row are no JSON object");
    for (size_t i = 0; i < request->compute_count && status == DP_OK; i++) {
        json_key_span(w, request->computes[i].label);
        status = write_value(c, &c->list[i], hit, w);
    }
    json_end_object(w);
    return status;
}

static enum dp_status write_hits(struct computing *c)
{
    struct buffer text;
    enum dp_status status = DP_OK;
    buffer_init(&text, HIT_BYTES_MAX);
    for (size_t i = 0; i < c->answer->count && status == DP_OK; i++) {
        struct index_hit *hit = &c->answer->hits[i];
        struct json_writer w;
        buffer_clear(&text);
        json_writer_init(&w, &text);
        status = write_hit(c, hit, &w);
        if (status == DP_OK)
            status = buffer_check(&text, "computed attributes", &c->call->error);
        if (status == DP_OK)
            status = call_check(c->call);
        if (status != DP_OK)
            break;
        hit->attributes = arena_copy(c->call->arena, buffer_span(&text));
        if (!hit->attributes.data)
            status = call_nomem(c->call, "computed attributes");
        if (!c->request->rows.with_vectors)
            hit->vector = NULL;
    }
    buffer_deinit(&text);
    return status;
}

enum dp_status compute_hits(struct call *call, struct index_reader *reader, const struct query_request *request,
                            struct index_answer *answer)
{
    struct computing c = {.call = call, .request = request, .answer = answer};
    c.list = arena_calloc(call->arena, request->compute_count, sizeof *c.list);
    if (!c.list)
        return call_nomem(call, "computed attributes");
    enum dp_status status = index_schema(call, reader, &c.schema);
    if (status == DP_OK)
        status = index_vectors_of(call, reader, &c.vectors);
    if (status == DP_OK)
        status = index_external_of(call, reader, &c.external);
    if (status == DP_OK)
        status = read_expressions(&c);
    if (status == DP_OK)
        status = count_rows(&c, reader);
    if (status == DP_OK)
        status = write_hits(&c);
    for (size_t i = 0; i < request->compute_count; i++)
        rank_free(c.list[i].rank);
    return status;
}
