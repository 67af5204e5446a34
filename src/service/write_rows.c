/* write_rows.c: makes the rows of a write as the index takes them: ids of one kind, vectors of one dimension, documents
 * in normal form. */
#include <math.h>

#include "base/array.h"
#include "base/base64.h"
#include "base/map.h"
#include "filter/vector_value.h"
#include "index/id.h"
#include "index/schema_row.h"
#include "service/write_plan.h"

enum {
    OBJECT_MAX = 4 * INDEX_DOCUMENT_MAX, /* bytes of a row as it came: escapes and blanks make it longer */
    PLANNED_BYTES_MAX = 16 << 20,        /* maximum bytes of all rows in one entry of the log */
    TEXTS_FIRST = 64,
    ROW_ARENA_MAX = 256 << 20 /* memory for one row of a bulk write */
};

struct row_planning {
    struct call *call;
    const struct write_request *request;
    struct write_plan *plan;
    struct write_batch *batch;
    struct map ids;         /* id keys of the request; their bytes are in ids_arena */
    struct buffer object;   /* attributes of the row that is being made */
    struct arena ids_arena; /* bytes of the id keys */
    struct arena *kept;     /* memory of the schema's names, which outlives the rows */
    bool again;             /* the ids have been checked */
    size_t text_room;
};

/* ---- ids ---------------------------------------------------------------------------------------------- */

/* Checks the kind of an id, and that the request has it once. */
static enum dp_status plan_id(struct row_planning *p, const struct write_row *row, struct index_id *out)
{
    struct call *call = p->call;
    const enum id_kind kind = p->plan->schema.id_kind;
    struct id_key key;
    bool existing;
    char text[ID_TEXT_MAX];
    *out = row->id;
    out->is_uuid = kind == ID_UUID && row->id.is_string;
    enum dp_status status = id_encode(*out, &key, &call->error);
    if (status != DP_OK)
        return status;
    if (kind != ID_ANY && id_key_kind(id_key_span(&key)) != kind)
        return call_fail(call, DP_INVALID, "the id %s is not of type %s, which the ids of the namespace have",
                         id_describe(id_key_span(&key), text), id_kind_name(kind));
    if (p->again)
        return DP_OK;
    struct span kept = arena_copy(&p->ids_arena, id_key_span(&key));
    if (!kept.data)
        return call_nomem(call, "the ids of a write");
    status = map_put(&p->ids, kept, 0, NULL, &existing, &call->error);
    if (status == DP_OK && existing)
        return call_fail(call, DP_INVALID, "the id %s occurs twice in the request", id_describe(kept, text));
    p->batch->bytes += kept.len;
    return status;
}

/* ---- vectors ------------------------------------------------------------------------------------------ */

/* Rounds a vector to the elements that the namespace stores. */
static enum dp_status round_vector(struct row_planning *p, const float *vector, uint32_t dim, const float **out)
{
    const enum vector_element element = p->plan->schema.vector_element;
    *out = vector;
    if (element == ELEMENT_F32)
        return DP_OK;
    float *rounded = arena_array(p->call->arena, dim, sizeof *rounded);
    if (!rounded)
        return call_nomem(p->call, "a vector");
    for (uint32_t d = 0; d < dim; d++) {
        uint16_t half = 0;
        if (element == ELEMENT_F16 && !half_of_float(vector[d], &half))
            return call_fail(p->call, DP_INVALID, "\"vector\" has a component that is too large for f16");
        if (element == ELEMENT_I8 && !(vector[d] >= -128 && vector[d] <= 127 && vector[d] == truncf(vector[d])))
            return call_fail(p->call, DP_INVALID,
                             "\"vector\" has a component that is no whole number from -128 to 127");
        rounded[d] = element == ELEMENT_F16 ? float_of_half_bits(half) : vector[d];
    }
    *out = rounded;
    return DP_OK;
}

/* Fails for a vector that has no distance to others. */
static enum dp_status check_vector(struct call *call, const float *x, uint32_t dim, enum index_metric metric)
{
    enum { LANES = 8 }; /* sums that run side by side, so that a compiler may use SIMD registers for them */
    double sums[LANES] = {0}, sum = 0;
    float largest = 0;
    for (uint32_t d = 0; d + LANES <= dim; d += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += (double)x[d + lane] * (double)x[d + lane];
    }
    for (uint32_t d = dim - dim % LANES; d < dim; d++)
        sum += (double)x[d] * (double)x[d];
    for (uint32_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    for (uint32_t d = 0; d < dim; d++)
        largest = fabsf(x[d]) > largest ? fabsf(x[d]) : largest;
    if (metric == INDEX_COSINE && !(sum > 0 && (float)sum > 0 && isfinite((float)sum)))
        return call_fail(call, DP_INVALID,
                         "\"vector\" has length zero (or too large or small a length), so it has no direction, "
                         "which cosine_distance needs");
    if (metric != INDEX_COSINE && largest > INDEX_COMPONENT_MAX)
        return call_fail(call, DP_INVALID, "\"vector\" has a component of more than %g",
                         (double)INDEX_COMPONENT_MAX);
    return DP_OK;
}

/* Returns the attribute that is embedded into "vector". */
static uint32_t source_of_vector(const struct write_plan *plan)
{
    size_t i = 0;
    while (plan->embeddings[i].target.len)
        i++;
    return plan->embeddings[i].source;
}

static enum dp_status plan_vector(struct row_planning *p, const struct write_row *row, bool embedded,
                                  struct index_write_row *out)
{
    struct call *call = p->call;
    const uint32_t dim = p->plan->vectors.dim;
    struct write_row read = *row;
    if (row->raw_vector.len && p->request->read_vector(call, &read) != DP_OK)
        return call->error.status;
    row = &read;
    if (row->vector && embedded)
        return call_fail(call, DP_INVALID, "\"vector\" is given, but it is embedded from \"%.*s\"",
                         SPAN_FMT(p->request->attributes[source_of_vector(p->plan)]));
    if (!row->vector) {
        if (row->kind == WRITE_UPSERT && dim && !embedded)
            return call_fail(call, DP_INVALID,
                             "\"vector\" is missing; each row of a namespace with vectors needs it");
        return DP_OK;
    }
    if (row->dim != dim)
        return call_fail(call, DP_INVALID, "\"vector\" has %u dimensions; those of the namespace have %u",
                         row->dim, dim);
    out->windows = 1;
    p->batch->bytes += (uint64_t)dim * sizeof(float);
    enum dp_status status = round_vector(p, row->vector, dim, &out->vectors);
    return status == DP_OK ? check_vector(call, out->vectors, dim, p->plan->vectors.metric) : status;
}

/* ---- documents ---------------------------------------------------------------------------------------- */

/* Notes the text that is embedded for a row. */
static enum dp_status add_text(struct row_planning *p, struct span json, const struct text_place *place)
{
    struct write_batch *b = p->batch;
    struct json_reader r;
    struct span text;
    size_t room = p->text_room;
    struct embed_input *texts =
        arena_reserve(p->call->arena, b->texts, b->text_count, &room, sizeof *texts, TEXTS_FIRST);
    room = p->text_room;
    struct text_place *places =
        arena_reserve(p->call->arena, b->places, b->text_count, &room, sizeof *places, TEXTS_FIRST);
    if (!texts || !places)
        return call_nomem(p->call, "the texts of a write");
    p->text_room = room;
    b->texts = texts;
    b->places = places;
    json_reader_init(&r, json);
    if (!json_read_string(&r, p->call->arena, &text))
        return json_error(&r, &p->call->error);
    if (text.len == 0)
        return call_fail(p->call, DP_INVALID, "a text that is embedded is empty");
    texts[b->text_count] = (struct embed_input){.text = text};
    places[b->text_count++] = *place;
    return DP_OK;
}

/* Appends an attribute to a document that lacks it. */
static enum dp_status put_value(struct call *call, struct span *document, struct span name, struct span value)
{
    struct buffer text;
    struct json_writer w;
    buffer_init(&text, OBJECT_MAX);
    buffer_append(&text, span_of(document->data, document->len - 1));
    if (document->len > 2)
        buffer_u8(&text, ',');
    json_writer_init(&w, &text);
    json_string(&w, name);
    buffer_u8(&text, ':');
    buffer_append(&text, value);
    buffer_u8(&text, '}');
    enum dp_status status = buffer_check(&text, "a row", &call->error);
    if (status == DP_OK)
        *document = arena_copy(call->arena, buffer_span(&text));
    buffer_deinit(&text);
    return status == DP_OK && !document->data ? call_nomem(call, "a row") : status;
}

/* Returns the row's value of an attribute, or NULL. */
static const struct write_value *find_value(const struct row_planning *p, const struct write_row *row,
                                            uint32_t attribute)
{
    for (size_t i = 0; i < row->value_count && attribute != WRITE_NO_ATTRIBUTE; i++)
        if (p->request->values[row->first_value + i].attribute == attribute)
            return &p->request->values[row->first_value + i];
    return NULL;
}

static bool is_null(const struct write_value *value)
{
    return value->raw[0] == 'n';
}

/* Plans the vector of an embedded attribute of a row: notes the text, or clears the vector when a patch clears the
 * text. Never clears "vector", because each row has one. Sets *vector if the row gets "vector". */
static enum dp_status plan_text(struct row_planning *p, const struct write_row *row,
                                const struct write_embedding *e, size_t position, struct span *document,
                                bool *vector)
{
    const struct write_value *source = find_value(p, row, e->source);
    const struct write_value *target = e->target.len ? find_value(p, row, e->target_position) : NULL;
    const struct text_place place = {.row = position, .target = e->target, .model = e->model};
    if (!source)
        return DP_OK;
    if (is_null(source))
        return row->kind == WRITE_PATCH && e->target.len && !target
                   ? put_value(p->call, document, e->target, span_str("null"))
                   : DP_OK;
    if (target && !is_null(target))
        return call_fail(p->call, DP_INVALID, "\"%.*s\" is given, but it is embedded from \"%.*s\"",
                         SPAN_FMT(e->target), SPAN_FMT(p->request->attributes[e->source]));
    *vector |= e->target.len == 0;
    return add_text(p, write_value_span(source), &place);
}

/* Makes the document. Sets *vector if the row's "vector" is embedded. */
static enum dp_status plan_document(struct row_planning *p, const struct write_row *row, size_t position,
                                    struct span *out, bool *vector)
{
    struct json_writer w;
    buffer_clear(&p->object);
    json_writer_init(&w, &p->object);
    json_begin_object(&w);
    for (size_t i = 0; i < row->value_count; i++) {
        const struct write_value *value = &p->request->values[row->first_value + i];
        json_key_span(&w, p->request->attributes[value->attribute]);
        json_raw(&w, write_value_span(value));
    }
    json_end_object(&w);
    enum dp_status status = buffer_check(&p->object, "a row", &p->call->error);
    if (status == DP_OK)
        status = schema_normalize(&p->plan->schema, p->call->arena, buffer_span(&p->object),
                                  row->kind == WRITE_PATCH, out, &p->call->error);
    for (size_t i = 0; i < p->plan->embedding_count && status == DP_OK; i++)
        status = plan_text(p, row, &p->plan->embeddings[i], position, out, vector);
    p->batch->bytes += status == DP_OK ? out->len : 0;
    return status;
}

enum dp_status write_take_vectors(struct call *call, struct write_batch *b, const float *const *vectors)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < b->text_count && status == DP_OK; i++) {
        struct index_write_row *row = &b->rows[b->places[i].row];
        if (b->places[i].target.len == 0) {
            row->vectors = vectors[i];
            row->windows = 1;
            continue;
        }
        const size_t len = b->places[i].model->facts.dim * sizeof(float), chars = base64_length(len);
        uint8_t *text = arena_alloc(call->arena, chars + 2);
        if (!text)
            return call_nomem(call, "an embedding");
        text[0] = text[chars + 1] = '"';
        base64_write(span_of(vectors[i], len), text + 1); /* little endian, as the normal form is */
        status = put_value(call, &row->attributes, b->places[i].target, span_of(text, chars + 2));
    }
    return status;
}

/* Plans the row at this position of the request. Position row_count is the patch by a filter. */
static enum dp_status plan_row(struct row_planning *p, size_t position, struct index_write_row *out)
{
    static const enum index_write_kind kinds[] = {
        [WRITE_UPSERT] = INDEX_UPSERT, [WRITE_PATCH] = INDEX_PATCH, [WRITE_DELETE] = INDEX_DELETE};
    const bool has_id = position < p->request->row_count;
    const struct write_row *row = has_id ? &p->request->rows[position] : &p->request->patch;
    bool embedded = false;
    *out = (struct index_write_row){.kind = kinds[row->kind]};
    enum dp_status status = has_id ? plan_id(p, row, &out->id) : DP_OK;
    if (status != DP_OK || row->kind == WRITE_DELETE)
        return status;
    status = plan_document(p, row, position, &out->attributes, &embedded);
    return status == DP_OK ? plan_vector(p, row, embedded, out) : status;
}

/* Puts the row's id before the error's sentence. */
static void name_row(struct row_planning *p, const struct write_row *row)
{
    if (row->id.is_string)
        dp_error_prefix(&p->call->error, "row \"%.*s\"", row->id.text.len < 64 ? (int)row->id.text.len : 64,
                        (const char *)row->id.text.data);
    else
        dp_error_prefix(&p->call->error, "row %llu", (unsigned long long)row->id.number);
}

/* Plans the patch of the rows that a filter chooses. */
static enum dp_status plan_patch(struct row_planning *p)
{
    const size_t position = p->request->row_count;
    p->batch->rows[position] = (struct index_write_row){.kind = INDEX_PATCH};
    enum dp_status status =
        p->request->patch_filter.len ? plan_row(p, position, &p->batch->rows[position]) : DP_OK;
    if (status == DP_INVALID || status == DP_TOO_LARGE)
        dp_error_prefix(&p->call->error, "patch_by_filter");
    return status;
}

/* Whether a request may become a load: rows to upsert, without conditions, and nothing to embed. A load cannot
 * keep a key, so a repeated request would count twice. */
static bool suits_load(const struct row_planning *p)
{
    const struct write_request *q = p->request;
    bool suits = p->plan->embedding_count == 0 && q->key.len == 0 && q->upsert_condition.len == 0 &&
                 q->delete_filter.len == 0 && q->patch_filter.len == 0;
    for (size_t i = 0; i < q->row_count && suits; i++)
        suits = q->rows[i].kind == WRITE_UPSERT;
    return suits;
}

/* Copies the schema, whose learned names are in memory of rows. */
static enum dp_status keep_learned(struct row_planning *p)
{
    struct schema learned = p->plan->schema;
    enum dp_status status = schema_copy(&learned, p->kept, &p->plan->schema, &p->call->error);
    for (size_t a = 0; a < learned.count && status == DP_OK; a++)
        p->plan->schema.attributes[a].learned = learned.attributes[a].learned;
    return status;
}

/* Plans the rows from `first` on and frees all rows. Keeps only what the schema learns from them. */
static enum dp_status plan_bulk(struct row_planning *p, size_t first, struct arena *planned)
{
    struct call *call = p->call, row_call = *call;
    struct arena scratch;
    enum dp_status status = keep_learned(p);
    arena_deinit(planned);
    p->batch->rows = NULL;
    p->batch->bulk = true;
    arena_init(&scratch, ROW_ARENA_MAX);
    row_call.arena = &scratch;
    p->call = &row_call;
    for (size_t i = first; i < p->request->row_count && status == DP_OK; i++) {
        size_t known = p->plan->schema.count;
        struct index_write_row row;
        status = plan_row(p, i, &row);
        if (status == DP_INVALID || status == DP_TOO_LARGE)
            name_row(p, &p->request->rows[i]);
        if (status == DP_OK && p->plan->schema.count != known)
            status = keep_learned(p);
        if (status == DP_OK)
            status = call_check(&row_call);
        arena_reset(&scratch);
    }
    p->call = call;
    call->error = row_call.error;
    arena_deinit(&scratch);
    return status;
}

enum dp_status write_plan_one(struct call *call, const struct write_request *request, struct write_plan *plan,
                              size_t position, struct index_write_row *out)
{
    struct write_batch batch = {.bytes = 0};
    struct row_planning p = {
        .call = call, .request = request, .plan = plan, .batch = &batch, .kept = call->arena, .again = true};
    buffer_init(&p.object, OBJECT_MAX);
    enum dp_status status = plan_row(&p, position, out);
    buffer_deinit(&p.object);
    return status;
}

/* Plans the rows, until they are too many for an entry of the log. */
static enum dp_status plan_rows(struct row_planning *p, struct arena *planned)
{
    const struct write_request *request = p->request;
    struct write_batch *out = p->batch;
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < request->row_count && status == DP_OK; i++) {
        status = plan_row(p, i, &out->rows[i]);
        if (status == DP_INVALID || status == DP_TOO_LARGE)
            name_row(p, &request->rows[i]);
        if (status != DP_OK || out->bytes <= PLANNED_BYTES_MAX)
            continue;
        if (suits_load(p))
            return plan_bulk(p, i + 1, planned);
        status = call_fail(p->call, DP_TOO_LARGE, "the write has more than %d bytes: split it%s",
                           PLANNED_BYTES_MAX, request->key.len ? ", and give each part its own key" : "");
    }
    return status == DP_OK ? plan_patch(p) : status;
}

enum dp_status write_plan_rows(struct call *call, const struct write_request *request, struct write_plan *plan,
                               struct arena *planned, struct write_batch *out)
{
    struct call rows_call = *call;
    struct row_planning p = {
        .call = &rows_call, .request = request, .plan = plan, .batch = out, .kept = call->arena};
    const size_t known = plan->schema.count;
    rows_call.arena = planned;
    *out = (struct write_batch){.bytes = 0};
    out->rows = arena_array(planned, request->row_count + 1, sizeof *out->rows);
    if (!out->rows)
        return call_nomem(call, "the rows of a write");
    map_init(&p.ids, request->row_count + 1);
    arena_init(&p.ids_arena, planned->max);
    buffer_init(&p.object, OBJECT_MAX);
    enum dp_status status = plan_rows(&p, planned);
    call->error = rows_call.error;
    plan->changed |= plan->schema.count != known;
    map_deinit(&p.ids);
    arena_deinit(&p.ids_arena);
    buffer_deinit(&p.object);
    return status;
}
