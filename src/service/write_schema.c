/* write_schema.c: plans the declarations of a write, the texts that it embeds, and the kind of ids and vectors. */
#include "base/masked_url.h"
#include "index/schema_declare.h"
#include "index/schema_options.h"
#include "service/write_plan.h"

struct schema_planning {
    struct call *call;
    const struct write_request *request;
    const struct write_base *base;
    struct write_models *models;
    struct write_plan *plan;
    bool has_metric; /* the request or its schema has a metric */
    enum index_metric metric;
};

static const char *metric_name(enum index_metric metric)
{
    return metric == INDEX_COSINE ? "cosine_distance" : "euclidean_squared";
}

enum dp_status write_note_metric(const struct write_plan *plan, struct schema *schema, size_t known,
                                 struct arena *arena, struct dp_error *error)
{
    enum index_metric metric;
    enum dp_status status = DP_OK;
    if (!plan->notes_metric)
        return DP_OK;
    const char *option =
        arena_printf(arena, "{\"ann\":{\"distance_metric\":\"%s\"}}", metric_name(plan->noted_metric));
    if (!option)
        return dp_fail_nomem(error, "a schema");
    for (size_t i = known; i < schema->count && status == DP_OK; i++) {
        struct attribute *a = &schema->attributes[i];
        if (a->type == ATTRIBUTE_VECTOR && !schema_ann_metric(a, &metric))
            status = schema_set_options(a, span_str(option), false, arena, error);
    }
    return status;
}

/* ---- declarations ------------------------------------------------------------------------------------- */

/* Adds the request's "schema" to the plan's schema. */
static enum dp_status declare_schema(struct schema_planning *p)
{
    struct write_plan *plan = p->plan;
    struct schema_changes changes = {.changed = false};
    enum id_kind ids = plan->schema.id_kind;
    p->has_metric = p->request->has_metric;
    p->metric = p->request->metric;
    if (p->request->schema.len == 0)
        return DP_OK;
    enum dp_status status = schema_declare(&plan->schema, &p->base->vectors, p->call->arena, p->request->schema,
                                           &changes, &p->call->error);
    if (status != DP_OK)
        return status;
    plan->changed |= changes.changed;
    if (ids != plan->schema.id_kind && p->base->has_rows)
        return call_fail(p->call, DP_INVALID, "the type of \"id\" can be declared only before the first row");
    if (changes.has_metric && p->has_metric && changes.metric != p->metric)
        return call_fail(p->call, DP_INVALID, "distance_metric and the metric of \"vector\" in the schema differ");
    if (changes.has_metric)
        p->metric = changes.metric;
    p->has_metric |= changes.has_metric;
    plan->notes_metric =
        p->has_metric && p->base->exists && p->base->vectors.dim == 0 && p->metric != p->base->vectors.metric;
    plan->noted_metric = p->metric;
    status = write_note_metric(plan, &plan->schema, p->base->schema.count, p->call->arena, &p->call->error);
    if (status != DP_OK)
        return status;
    if (changes.dim && plan->vectors.dim == 0) {
        plan->vectors.dim = changes.dim;
        plan->changed = true;
    }
    return DP_OK;
}

/* ---- embedding ---------------------------------------------------------------------------------------- */

/* The option "embed" of an attribute. */
struct embed_option {
    struct span model, target; /* target empty: the server chooses the attribute of the vectors */
    uint64_t dims;             /* 0: the model's */
    bool other_type;           /* "dtype" other than f32 */
};

static void read_embed_option(struct call *call, struct span json, struct embed_option *out)
{
    struct json_reader r;
    struct span key, type;
    *out = (struct embed_option){.dims = 0};
    json_reader_init(&r, json);
    if (json_peek(&r) == JSON_STRING) {
        json_read_string(&r, call->arena, &out->model);
        return;
    }
    json_enter_object(&r);
    while (json_next_key(&r, call->arena, &key)) {
        if (span_equal_str(key, "model"))
            json_read_string(&r, call->arena, &out->model);
        else if (span_equal_str(key, "attribute"))
            json_read_string(&r, call->arena, &out->target);
        else if (span_equal_str(key, "dims"))
            json_read_u64(&r, &out->dims);
        else if (span_equal_str(key, "dtype") && json_read_string(&r, call->arena, &type))
            out->other_type = !span_equal_str(type, "f32");
        else
            json_skip(&r);
    }
}

/* Finds a model among those that the write holds, or borrows it for the rest of the write. */
static enum dp_status find_model(struct call *call, struct write_models *models, struct span name,
                                 struct served_model **out)
{
    for (size_t i = 0; i < models->count; i++)
        if (served_model_is(models->of[i], name)) {
            *out = models->of[i];
            return DP_OK;
        }
    if (models->count == WRITE_EMBEDDINGS_MAX)
        return call_fail(call, DP_INVALID, "a write uses at most %d models", WRITE_EMBEDDINGS_MAX);
    enum dp_status status = models_borrow(call, models->all, name, out);
    if (status == DP_OK)
        models->of[models->count++] = *out;
    return status;
}

/* Finds the model that embeds an attribute. Fails unless this server can embed what the option asks for. */
static enum dp_status check_embed_option(struct schema_planning *p, struct span name,
                                         const struct embed_option *option, struct served_model **out)
{
    enum dp_status status = find_model(p->call, p->models, option->model, out);
    if (status == DP_NOT_FOUND || status == DP_UNSUPPORTED) {
        dp_error_clear(&p->call->error);
        return call_fail(p->call, DP_UNSUPPORTED,
                         "attribute \"%.*s\" is embedded by model \"%.*s\", which this server has not loaded",
                         SPAN_FMT(name), SPAN_FMT(option->model));
    }
    if (status != DP_OK)
        return status;
    const struct served_model *model = *out;
    if ((option->dims && option->dims != model->facts.dim) || option->other_type)
        return call_fail(p->call, DP_UNSUPPORTED,
                         "attribute \"%.*s\": the model's vectors have %u dimensions of type f32, and are kept so",
                         SPAN_FMT(name), model->facts.dim);
    return DP_OK;
}

/* Plans that "vector" gets the model's vectors. */
static enum dp_status embed_into_vector(struct schema_planning *p, const struct served_model *model)
{
    struct write_plan *plan = p->plan;
    if (plan->vectors.dim == 0 || (!p->base->has_rows && plan->vectors.fingerprint.len == 0)) {
        if (plan->vectors.dim && plan->vectors.dim != model->facts.dim)
            return call_fail(p->call, DP_INVALID, "\"vector\" has %u dimensions, but the model's vectors have %u",
                             plan->vectors.dim, model->facts.dim);
        plan->vectors.dim = model->facts.dim;
        plan->vectors.model = model->facts.name;
        plan->vectors.fingerprint = model->facts.fingerprint;
        p->metric = p->has_metric ? p->metric : INDEX_COSINE;
        p->has_metric = true;
        plan->changed = true;
        return DP_OK;
    }
    if (!span_equal(plan->vectors.fingerprint, model->facts.fingerprint))
        return call_fail(p->call, DP_INVALID,
                         "the namespace holds vectors of another model%s%.*s; this server would embed by \"%.*s\"",
                         plan->vectors.model.len ? ", " : "", SPAN_FMT(plan->vectors.model),
                         SPAN_FMT(model->facts.name));
    return DP_OK;
}

/* Plans that another attribute gets the model's vectors. Declares the attribute if it is missing. */
static enum dp_status embed_into_attribute(struct schema_planning *p, struct span target,
                                           const struct served_model *model)
{
    struct call *call = p->call;
    struct schema *schema = &p->plan->schema;
    struct attribute *a = schema_find(schema, target);
    char type[ATTRIBUTE_TYPE_ROOM];
    if (!a) {
        struct attribute added = {.type = ATTRIBUTE_VECTOR,
                                  .name = target,
                                  .dim = model->facts.dim,
                                  .fingerprint = model->facts.fingerprint};
        enum dp_status status =
            schema_set_options(&added, span_str("{\"ann\":true}"), false, call->arena, &call->error);
        p->plan->changed = true;
        return status == DP_OK ? schema_add(schema, call->arena, &added, &call->error) : status;
    }
    if (a->dropped || a->type != ATTRIBUTE_VECTOR || a->dim != model->facts.dim || a->element != ELEMENT_F32)
        return call_fail(
            call, DP_INVALID,
            "attribute \"%.*s\" %s %s, so it cannot take the model's vectors, which have type [%u]f32",
            SPAN_FMT(target), a->dropped ? "was dropped; it had type" : "has type", attribute_type_print(a, type),
            model->facts.dim);
    const bool has_values = p->base->has_rows && schema_find(&p->base->schema, target);
    if (a->fingerprint.len == 0 && !has_values) {
        a->fingerprint = model->facts.fingerprint;
        p->plan->changed = true;
    }
    return span_equal(a->fingerprint, model->facts.fingerprint)
               ? DP_OK
               : call_fail(call, DP_INVALID, "attribute \"%.*s\" holds other vectors than those of model \"%.*s\"",
                           SPAN_FMT(target), SPAN_FMT(model->facts.name));
}

static uint32_t position_of(const struct write_request *q, struct span name)
{
    for (uint32_t i = 0; i < q->attribute_count; i++)
        if (span_equal(q->attributes[i], name))
            return i;
    return WRITE_NO_ATTRIBUTE;
}

/* Adds an attribute with the option "embed" to the plan. Checks the option if the request has the attribute or a
 * schema. */
static enum dp_status plan_source(struct schema_planning *p, struct span name, struct span json)
{
    struct write_plan *plan = p->plan;
    struct embed_option option;
    read_embed_option(p->call, json, &option);
    if (span_equal_str(option.target, "vector"))
        option.target.len = 0;
    struct write_embedding embedding = {.source = position_of(p->request, name),
                                        .target_position = position_of(p->request, option.target),
                                        .target = option.target};
    for (size_t i = 0; i < plan->embedding_count; i++)
        if (span_equal(plan->embeddings[i].target, option.target))
            return call_fail(
                p->call, DP_INVALID,
                "attribute \"%.*s\": another attribute is embedded into \"%.*s\" already; name another "
                "\"attribute\" in \"embed\"",
                SPAN_FMT(name), option.target.len ? (int)option.target.len : 6,
                option.target.len ? (const char *)option.target.data : "vector");
    /* A write that embeds nothing, a deletion for example, needs no model. */
    enum dp_status status = DP_OK;
    if (embedding.source != WRITE_NO_ATTRIBUTE || p->request->schema.len)
        status = check_embed_option(p, name, &option, &embedding.model);
    if (status != DP_OK)
        return status;
    plan->embeddings[plan->embedding_count++] = embedding;
    if (!embedding.model)
        return DP_OK;
    return option.target.len ? embed_into_attribute(p, option.target, embedding.model)
                             : embed_into_vector(p, embedding.model);
}

/* Finds the attributes whose texts are embedded. */
static enum dp_status plan_embedding(struct schema_planning *p)
{
    enum dp_status status = DP_OK;
    for (size_t i = 0; i < p->plan->schema.count && status == DP_OK; i++) {
        const struct attribute *a = &p->plan->schema.attributes[i];
        struct span json;
        if (a->dropped || !schema_option(a, "embed", &json))
            continue;
        if (p->plan->embedding_count == WRITE_EMBEDDINGS_MAX)
            return call_fail(p->call, DP_INVALID, "more than %d attributes have \"embed\"", WRITE_EMBEDDINGS_MAX);
        status = plan_source(p, a->name, json);
    }
    return status;
}

/* ---- ids and vectors ---------------------------------------------------------------------------------- */

/* In a namespace without rows, the first id decides the kind of all ids. */
static void plan_ids(struct schema_planning *p)
{
    const struct write_request *q = p->request;
    if (p->plan->schema.id_kind != ID_ANY || p->base->has_rows)
        return;
    for (size_t i = 0; i < q->row_count; i++) {
        if (q->rows[i].kind != WRITE_UPSERT)
            continue;
        p->plan->schema.id_kind = q->rows[i].id.is_string ? ID_STRING : ID_UINT;
        p->plan->changed = true;
        return;
    }
}

/* Returns a vector attribute whose distances are those of the namespace's metric, or NULL. */
static const struct attribute *find_measured(const struct schema *schema)
{
    enum index_metric metric;
    for (size_t i = 0; i < schema->count; i++) {
        const struct attribute *a = &schema->attributes[i];
        if (a->type == ATTRIBUTE_VECTOR && !a->dropped && !schema_ann_metric(a, &metric))
            return a;
    }
    return NULL;
}

/* The first vector decides the dimension. */
static enum dp_status plan_vectors(struct schema_planning *p)
{
    const struct write_request *q = p->request;
    struct index_vectors *v = &p->plan->vectors;
    for (size_t i = 0; i < q->row_count && v->dim == 0; i++)
        if (q->rows[i].vector) {
            v->dim = q->rows[i].dim;
            p->plan->changed = true;
        }
    char shown[URL_SHOWN_MAX];
    if (v->dim && p->base->file.len)
        return call_fail(p->call, DP_INVALID,
                         "rows of this namespace cannot bring vectors: the FAISS file %s has its vectors",
                         url_shown(p->base->file, shown));
    if (p->base->vectors.dim) {
        if (p->has_metric && p->metric != v->metric)
            return call_fail(p->call, DP_INVALID,
                             "distance_metric differs from that of the namespace, which is %s",
                             metric_name(v->metric));
        return DP_OK;
    }
    if (v->dim && !p->has_metric)
        return call_fail(p->call, DP_INVALID,
                         "distance_metric is missing: the first vectors of a namespace need "
                         "\"cosine_distance\" or \"euclidean_squared\"");
    const struct attribute *measured = find_measured(&p->base->schema);
    if (v->dim && p->metric != p->base->vectors.metric && measured)
        return call_fail(
            p->call, DP_INVALID,
            "distance_metric differs from that of attribute \"%.*s\", which is %s: give \"vector\" and "
            "the other vector attributes one metric",
            SPAN_FMT(measured->name), metric_name(p->base->vectors.metric));
    if (p->has_metric)
        v->metric = p->metric;
    return DP_OK;
}

enum dp_status write_plan_schema(struct call *call, const struct write_request *request,
                                 const struct write_base *base, struct write_models *models,
                                 struct write_plan *out)
{
    struct schema_planning p = {.call = call, .request = request, .base = base, .models = models, .plan = out};
    *out = (struct write_plan){.vectors = base->vectors, .changed = !base->exists};
    enum dp_status status = schema_copy(&base->schema, call->arena, &out->schema, &call->error);
    if (status == DP_OK)
        status = declare_schema(&p);
    if (status == DP_OK)
        status = plan_embedding(&p);
    if (status != DP_OK)
        return status;
    plan_ids(&p);
    return plan_vectors(&p);
}
