/* write.c: carries out a write: opens the namespace, plans, embeds, teaches the manifest (which may create the
 * namespace), writes.
 *
 * The manifest learns new attributes and the kind of vectors before the first row that has them is written. The
 * write is first planned over the schema in memory, which may be old. If that plan fails or would change the
 * schema, the schema is read again and the write is planned anew.
 */
#include "service/write.h"

#include "filter/filter.h"
#include "index/schema_declare.h"
#include "os/clock.h"
#include "os/gate.h"
#include "service/service_impl.h"
#include "service/write_plan.h"

enum { WRITE_TRIES = 3, EMBEDDED_BYTES_MAX = 15 << 20, ROW_ARENA_MAX = 256 << 20 };

/* A write on its way. */
struct write_run {
    struct call *call;
    struct service *service;
    const struct write_request *request;
    struct write_models models;
    struct reader_slot *slot; /* NULL: the namespace does not exist yet */
    bool fresh;               /* the slot's state was read from the store during this write */
    bool existed;             /* this try has found the namespace, or created it */
    struct write_base base;
    struct write_plan plan;
    struct arena planned; /* memory of the batch, which a load gives back before it begins */
    struct write_batch batch;
    const float **embedded; /* [batch.text_count]: the vectors of this try; NULL: none */
    struct index_write write;
};

/* ---- opening ------------------------------------------------------------------------------------------ */

/* Whether the request makes a namespace that is missing. */
static bool may_create(const struct write_request *q)
{
    for (size_t i = 0; q->create == CREATE_FOR_ROWS && i < q->row_count; i++)
        if (q->rows[i].kind == WRITE_UPSERT)
            return true;
    return q->create == CREATE_ALWAYS;
}

/* Asks whether a namespace that nobody has used for long is still there. A write that was sent to a life that is
 * over could not be made again, because it may have counted before that life ended. Gives the slot back if the
 * namespace is gone. */
static enum dp_status check_alive(struct write_run *run)
{
    struct reader_slot *slot = run->slot;
    const int64_t now = os_now_ns();
    if (run->fresh || now - atomic_load(&slot->alive_ns) < run->service->readers.trust_ns)
        return DP_OK;
    enum dp_status status = index_refresh(run->call, slot->reader);
    run->fresh = status == DP_OK;
    if (status == DP_OK) {
        atomic_store(&slot->alive_ns, now);
    } else {
        readers_give_back(&run->service->readers, slot, status == DP_NOT_FOUND);
        run->slot = NULL;
    }
    return status;
}

/* Borrows the namespace's slot; leaves it NULL if the namespace is missing and the request may create it. */
static enum dp_status open_slot(struct write_run *run)
{
    struct call *call = run->call;
    uint64_t rounds = call->cost.rounds;
    enum dp_status status = readers_borrow(call, &run->service->readers, run->service->store, GATE_WRITE,
                                           run->request->namespace, &run->slot);
    run->fresh = call->cost.rounds != rounds;
    if (status == DP_OK)
        status = check_alive(run);
    run->existed = status == DP_OK;
    if (status != DP_NOT_FOUND)
        return status;
    if (may_create(run->request)) {
        dp_error_clear(&call->error);
        return DP_OK;
    }
    known_names_tell(call, &run->service->known_names, run->service->store);
    return status;
}

static enum dp_status read_base(struct write_run *run)
{
    struct index_stats stats;
    run->base = (struct write_base){.exists = run->slot != NULL};
    if (!run->slot)
        return DP_OK;
    enum dp_status status = index_stats(run->call, run->slot->reader, &stats);
    if (status == DP_OK)
        status = index_schema(run->call, run->slot->reader, &run->base.schema);
    if (status != DP_OK)
        return status;
    struct index_external external;
    status = index_external_of(run->call, run->slot->reader, &external);
    if (status != DP_OK)
        return status;
    run->base.file = external.url;
    run->base.life = stats.life;
    run->base.vectors = stats.vectors;
    run->base.has_rows = stats.rows > 0;
    return stats.read_only ? call_fail(run->call, DP_DENIED, "the namespace is read-only") : DP_OK;
}

/* ---- planning ----------------------------------------------------------------------------------------- */

/* Parses a filter over stored rows. `allow_new`: it may name attributes of the incoming row. */
static enum dp_status parse_filter(struct write_run *run, struct span json, const char *name, bool allow_new,
                                   const struct filter **out)
{
    struct filter *filter = NULL;
    *out = NULL;
    if (json.len == 0)
        return DP_OK;
    enum dp_status status =
        filter_parse(run->call->arena, json, &run->plan.schema, allow_new, &filter, &run->call->error);
    if (status != DP_OK)
        dp_error_prefix(&run->call->error, "%s", name);
    else if (!filter_knows_all(filter))
        run->write.uncertain = true;
    *out = filter;
    return status;
}

static enum dp_status parse_filters(struct write_run *run)
{
    const struct write_request *q = run->request;
    struct index_write *w = &run->write;
    w->uncertain = false;
    w->attributes = run->plan.schema.count;
    w->deletes.partial = q->delete_partial;
    w->patches.partial = q->patch_partial;
    enum dp_status status = parse_filter(run, q->upsert_condition, "upsert_condition", true, &w->upsert_condition);
    if (status == DP_OK)
        status = parse_filter(run, q->patch_condition, "patch_condition", true, &w->patch_condition);
    if (status == DP_OK)
        status = parse_filter(run, q->delete_condition, "delete_condition", true, &w->delete_condition);
    if (status == DP_OK)
        status = parse_filter(run, q->delete_filter, "delete_by_filter", false, &w->deletes.filter);
    if (status == DP_OK)
        status = parse_filter(run, q->patch_filter, "patch_by_filter", false, &w->patches.filter);
    return status;
}

static enum dp_status plan_once(struct write_run *run)
{
    enum dp_status status = read_base(run);
    arena_reset(&run->planned);
    if (status == DP_OK)
        status = write_plan_schema(run->call, run->request, &run->base, &run->models, &run->plan);
    if (status == DP_OK)
        status = write_plan_rows(run->call, run->request, &run->plan, &run->planned, &run->batch);
    return status == DP_OK ? parse_filters(run) : status;
}

static enum dp_status plan_write(struct write_run *run)
{
    const struct write_request *q = run->request;
    enum dp_status status = plan_once(run);
    const bool doubtful = status == DP_INVALID || status == DP_UNSUPPORTED || status == DP_DENIED ||
                          (status == DP_OK && (run->plan.changed || run->write.uncertain));
    if (run->slot && !run->fresh && doubtful) {
        dp_error_clear(&run->call->error);
        run->fresh = true;
        status = index_refresh(run->call, run->slot->reader);
        if (status == DP_OK)
            status = plan_once(run);
    }
    if (status == DP_OK && !run->slot && q->row_count == 0 && run->plan.schema.id_kind == ID_ANY)
        return call_fail(run->call, DP_INVALID,
                         "create_namespace without rows needs a schema that gives the type of \"id\"");
    return status;
}

/* Makes the plan's changes in a newer schema. For index_alter. */
static enum dp_status edit_schema(void *context, struct schema *schema, struct arena *arena,
                                  struct dp_error *error)
{
    const struct write_run *run = context;
    struct schema_changes changes;
    const size_t known = schema->count;
    enum dp_status status = DP_OK;
    if (run->request->schema.len)
        status = schema_declare(schema, &run->base.vectors, arena, run->request->schema, &changes, error);
    if (status == DP_OK)
        status = write_note_metric(&run->plan, schema, known, arena, error);
    return status == DP_OK ? schema_join(schema, arena, &run->plan.schema, error) : status;
}

/* Creates the namespace if it was missing, else adds the plan's changes to its manifest. Never creates a namespace
 * that this try has found: somebody may have deleted it since, and perhaps the request may not create it. */
static enum dp_status teach_manifest(struct write_run *run)
{
    struct call *call = run->call;
    struct store *store = run->service->store;
    struct span name = run->request->namespace;
    const struct index_alteration change = {
        .life = run->base.life, .vectors = &run->plan.vectors, .edit_schema = edit_schema, .context = run};
    enum dp_status status = DP_OK;
    if (!run->plan.changed)
        return DP_OK;
    if (run->base.exists)
        status = index_alter(call, store, name, &change);
    else
        status = index_create(call, store, name, &run->plan.vectors, &run->plan.schema, &run->base.life);
    if (status != DP_OK)
        return status;
    run->existed = true;
    if (run->slot)
        return index_refresh(call, run->slot->reader);
    return readers_borrow(call, &run->service->readers, store, GATE_WRITE, name, &run->slot);
}

/* ---- embedding ---------------------------------------------------------------------------------------- */

/* Embeds the texts of the batch that this model embeds. `inputs` and `texts` have room for batch_max. */
static enum dp_status embed_by_model(struct write_run *run, struct served_model *model, struct embed_input *inputs,
                                     size_t *texts, const float **vectors)
{
    const struct write_batch *b = &run->batch;
    const size_t most = run->service->batch_max;
    enum dp_status status = DP_OK;
    size_t count = 0;
    for (size_t i = 0; i <= b->text_count && status == DP_OK; i++) {
        if (i < b->text_count && b->places[i].model == model) {
            texts[count] = i;
            inputs[count++] = b->texts[i];
        }
        if (count == 0 || (count < most && i < b->text_count))
            continue;
        struct embed_response answer;
        struct embed_request request = {
            .inputs = inputs, .count = count, .kind = TEXT_DOCUMENT, .normalize = true};
        status = service_embed_by(run->call, run->service, model, &request, &answer);
        for (size_t n = 0; n < count && status == DP_OK; n++)
            vectors[texts[n]] = answer.vectors + n * answer.dim;
        count = 0;
    }
    return status;
}

/* Returns the bytes that the vectors take at most: a document holds a vector as base 64, which has less than 6 bytes
 * for each number. */
static uint64_t vector_bytes(const struct write_batch *b)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->text_count; i++)
        bytes += (uint64_t)b->places[i].model->facts.dim * (sizeof(float) + 2);
    return bytes;
}

/* Embeds the batch's texts. Each try does, because another life of the namespace may embed other texts, by other
 * models. */
static enum dp_status embed_texts(struct write_run *run)
{
    struct call *call = run->call;
    const struct write_batch *b = &run->batch;
    enum dp_status status = DP_OK;
    run->embedded = NULL;
    if (b->text_count == 0)
        return DP_OK;
    if (b->bytes + vector_bytes(b) > EMBEDDED_BYTES_MAX)
        return call_fail(call, DP_TOO_LARGE, "the rows and their embeddings have more than %d bytes; send fewer",
                         EMBEDDED_BYTES_MAX);
    const size_t most = b->text_count < run->service->batch_max ? b->text_count : run->service->batch_max;
    const float **vectors = arena_array(call->arena, b->text_count, sizeof *vectors);
    struct embed_input *inputs = arena_array(call->arena, most, sizeof *inputs);
    size_t *texts = arena_array(call->arena, most, sizeof *texts);
    if (!vectors || !inputs || !texts)
        return call_nomem(call, "the vectors of a write");
    for (size_t i = 0; i < run->models.count && status == DP_OK; i++)
        status = embed_by_model(run, run->models.of[i], inputs, texts, vectors);
    if (status == DP_OK)
        run->embedded = vectors;
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static enum dp_status write_rows(struct write_run *run, struct index_write_result *result)
{
    struct write_batch *b = &run->batch;
    struct index_write *w = &run->write;
    *result = (struct index_write_result){0};
    if (run->request->row_count == 0 && !w->deletes.filter && !w->patches.filter)
        return DP_OK;
    enum dp_status status = DP_OK;
    if (b->text_count)
        status = write_take_vectors(run->call, b, run->embedded);
    if (status != DP_OK)
        return status;
    w->rows = b->rows;
    w->count = run->request->row_count;
    w->patch = b->rows[w->count];
    w->wants_ids = run->request->wants_ids;
    w->key = run->request->key;
    w->request = run->request->request_hash;
    w->dim = run->plan.vectors.dim;
    w->life = run->base.life;
    w->unthrottled = run->request->disable_backpressure;
    return index_write(run->call, run->slot->reader, w, result);
}

/* Gives the rows to a load, one after the other. */
static enum dp_status fill_load(struct write_run *run, struct index_loader *loader, uint64_t *bytes)
{
    struct call *call = run->call, row_call = *call;
    struct arena scratch;
    enum dp_status status = DP_OK;
    arena_init(&scratch, ROW_ARENA_MAX);
    row_call.arena = &scratch;
    for (size_t i = 0; i < run->request->row_count && status == DP_OK; i++) {
        struct index_write_row row;
        arena_reset(&scratch);
        status = write_plan_one(&row_call, run->request, &run->plan, i, &row);
        if (status == DP_OK)
            status = index_load_row(&row_call, loader, row.id, row.vectors, row.windows, row.attributes);
        *bytes += row.attributes.len + (uint64_t)row.windows * run->plan.vectors.dim * sizeof(float);
    }
    call->error = row_call.error;
    call->cost = row_call.cost;
    arena_deinit(&scratch);
    return status;
}

/* Writes rows that are too many for an entry of the log: they become a load, which takes one place in the log. */
static enum dp_status load_rows(struct write_run *run, struct index_write_result *result)
{
    struct call *call = run->call;
    struct index_loader *loader = NULL;
    struct index_load_summary summary;
    const size_t count = run->request->row_count;
    *result = (struct index_write_result){.applied = arena_alloc(call->arena, count * sizeof(bool))};
    if (!result->applied)
        return call_nomem(call, "a write");
    for (size_t i = 0; i < count; i++)
        result->applied[i] = true;
    enum dp_status status =
        index_load_begin_write(call, run->service->store, run->request->namespace, &run->base.life,
                               &run->plan.vectors, run->service->team, &loader);
    if (status == DP_OK)
        status = fill_load(run, loader, &result->bytes);
    if (status != DP_OK) {
        index_load_abort(loader);
        return status;
    }
    status = index_load_commit(call, loader, &summary);
    result->upserted = status == DP_OK ? count : 0;
    /* The write must not be made again: the load's entry may have counted in the life that ended. */
    result->ended = status == DP_CONFLICT;
    return status;
}

static enum dp_status write_once(struct write_run *run, struct write_response *response)
{
    const int64_t began = os_now_ns();
    enum dp_status status = open_slot(run);
    if (status == DP_OK)
        status = plan_write(run);
    if (status == DP_OK)
        status = embed_texts(run);
    if (status == DP_OK)
        status = teach_manifest(run);
    if (status == DP_OK)
        status = run->batch.bulk ? load_rows(run, &response->rows) : write_rows(run, &response->rows);
    const struct index_write_result *rows = &response->rows;
    if (status == DP_OK && rows->upserted + rows->patched + rows->deleted > 0)
        atomic_store(&run->slot->alive_ns, began); /* the manifest was read after the entry was put */
    if (run->slot)
        readers_give_back(&run->service->readers, run->slot, status == DP_NOT_FOUND || status == DP_CONFLICT);
    return status;
}

/* Returns whether a try failed because somebody deleted the namespace during it, and perhaps made it anew. */
static bool was_deleted(const struct write_run *run, enum dp_status status)
{
    return run->existed && (status == DP_CONFLICT || status == DP_NOT_FOUND);
}

enum dp_status service_begin_write(struct call *call, struct service *s, size_t body_bytes, bool *large)
{
    *large = body_bytes > LARGE_WRITE_BYTES;
    return *large ? large_writes_begin(call, &s->large_writes) : DP_OK;
}

void service_end_write(struct service *s, bool large)
{
    if (large)
        large_writes_end(&s->large_writes);
}

enum dp_status service_write(struct call *call, struct service *s, const struct write_request *request,
                             struct write_response *response)
{
    struct write_run run = {.call = call, .service = s, .request = request};
    int64_t began = os_now_ns();
    enum dp_status status = service_need_store(call, s);
    if (status != DP_OK)
        return status;
    *response = (struct write_response){.total_ns = 0};
    arena_init(&run.planned, call->arena->max);
    run.models.all = &s->models;
    for (int i = 0; i < WRITE_TRIES; i++) {
        dp_error_clear(&call->error);
        run.slot = NULL;
        status = write_once(&run, response);
        /* A write that was sent may have counted. A second try would overwrite rows of the next life. */
        if (!was_deleted(&run, status) || response->rows.ended)
            break;
    }
    if (status == DP_NOT_FOUND && was_deleted(&run, status) && may_create(request)) {
        dp_error_clear(&call->error);
        status = call_fail(call, DP_CONFLICT, "the namespace was deleted during the write");
    }
    for (size_t i = 0; i < run.models.count; i++)
        served_model_release(run.models.of[i]);
    response->embedded = run.embedded ? run.batch.text_count : 0;
    arena_deinit(&run.planned);
    response->total_ns = os_now_ns() - began;
    metric_add(status == DP_OK ? s->counts.writes : s->counts.write_errors, 1);
    metric_observe(s->counts.write_seconds, (double)response->total_ns * 1e-9);
    if (status == DP_OK)
        metric_add(s->counts.written_rows,
                   (int64_t)(response->rows.upserted + response->rows.patched + response->rows.deleted));
    return status;
}

/* ---- namespaces --------------------------------------------------------------------------------------- */

enum dp_status service_delete_namespace(struct call *call, struct service *s, struct span namespace)
{
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(namespace, &call->error);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, namespace);
    if (status != DP_OK)
        return status;
    status = index_delete(call, s->store, namespace);
    readers_forget(&s->readers, namespace);
    if (status == DP_NOT_FOUND)
        known_names_tell(call, &s->known_names, s->store);
    return status;
}

enum dp_status service_set_read_only(struct call *call, struct service *s, struct span namespace, bool read_only)
{
    const struct index_alteration change = {.sets_read_only = true, .read_only = read_only};
    struct reader_slot *slot;
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = readers_borrow(call, &s->readers, s->store, GATE_WRITE, namespace, &slot);
    if (status == DP_NOT_FOUND)
        known_names_tell(call, &s->known_names, s->store);
    if (status != DP_OK)
        return status;
    status = index_alter(call, s->store, namespace, &change);
    if (status == DP_OK)
        status = index_refresh(call, slot->reader);
    readers_give_back(&s->readers, slot, status == DP_NOT_FOUND);
    return status;
}
