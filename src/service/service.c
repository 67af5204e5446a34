/* service.c: opens and closes a service, and registers its metrics. */
#include "service/service_impl.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "store/store_cache.h"
#include "store/store_metrics.h"

static const char HITS_HELP[] = "Texts whose vector was cached.";
static const char QUERIES_HELP[] = "Queries of namespaces.";
static const char WRITES_HELP[] = "Writes to namespaces.";
static const char SEARCHES_HELP[] = "Searches of FAISS files.";

enum metric_shape { SHAPE_COUNT, SHAPE_SECONDS, SHAPE_SIZE };

/* The metrics in the order of printing. Metrics of one name must follow each other. */
static const struct {
    size_t at; /* offset of its pointer in struct service_counts */
    enum metric_shape shape;
    const char *name, *labels, *help;
} METRICS[] = {
#define AT(field) offsetof(struct service_counts, field)
    {AT(texts), SHAPE_COUNT, "dipper_embedded_texts_total", "",
     "Texts that requests had embedded, cached ones included."},
    {AT(tokens), SHAPE_COUNT, "dipper_embedded_tokens_total", "", "Tokens of those texts."},
    {AT(truncated), SHAPE_COUNT, "dipper_truncated_texts_total", "", "Texts that were cut to the model's limit."},
    {AT(text_tokens), SHAPE_SIZE, "dipper_text_tokens", "", "Tokens of a text."},
    {AT(embed_seconds), SHAPE_SECONDS, "dipper_embed_seconds", "",
     "Time to tokenize and embed the texts of one request that were not cached."},
    {AT(l1_hits), SHAPE_COUNT, "dipper_embed_cache_hits_total", "cache_level=\"l1\"", HITS_HELP},
    {AT(l2_hits), SHAPE_COUNT, "dipper_embed_cache_hits_total", "cache_level=\"l2\"", HITS_HELP},
    {AT(misses), SHAPE_COUNT, "dipper_embed_cache_misses_total", "",
     "Texts whose vector was in no tier of the cache."},
    {AT(waits), SHAPE_COUNT, "dipper_embed_cache_waits_total", "",
     "Texts whose vector another request was just computing."},
    {AT(queries), SHAPE_COUNT, "dipper_queries_total", "status=\"ok\"", QUERIES_HELP},
    {AT(query_errors), SHAPE_COUNT, "dipper_queries_total", "status=\"error\"", QUERIES_HELP},
    {AT(query_seconds), SHAPE_SECONDS, "dipper_query_seconds", "", "Time to answer a query."},
    {AT(writes), SHAPE_COUNT, "dipper_writes_total", "status=\"ok\"", WRITES_HELP},
    {AT(write_errors), SHAPE_COUNT, "dipper_writes_total", "status=\"error\"", WRITES_HELP},
    {AT(write_seconds), SHAPE_SECONDS, "dipper_write_seconds", "", "Time to answer a write."},
    {AT(written_rows), SHAPE_COUNT, "dipper_written_rows_total", "",
     "Rows that writes upserted, patched or deleted."},
    {AT(rounds), SHAPE_COUNT, "dipper_store_rounds_total", "",
     "Dependent rounds of reads that queries sent to the store."},
    {AT(requests), SHAPE_COUNT, "dipper_store_requests_total", "", "Requests that queries sent to the store."},
    {AT(bytes), SHAPE_COUNT, "dipper_store_read_bytes_total", "", "Bytes that queries read from the store."},
    {AT(searches), SHAPE_COUNT, "dipper_index_searches_total", "status=\"ok\"", SEARCHES_HELP},
    {AT(search_errors), SHAPE_COUNT, "dipper_index_searches_total", "status=\"error\"", SEARCHES_HELP},
    {AT(search_seconds), SHAPE_SECONDS, "dipper_index_search_seconds", "",
     "Time to answer a search of a FAISS file."},
#undef AT
};

static struct metric *register_metric(struct metric_registry *r, size_t i)
{
    const char *name = METRICS[i].name, *labels = METRICS[i].labels, *help = METRICS[i].help;
    switch (METRICS[i].shape) {
    case SHAPE_SECONDS:
        return metric_histogram(r, name, labels, help, METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    case SHAPE_SIZE: return metric_histogram(r, name, labels, help, METRIC_SIZE_BOUNDS, METRIC_SIZE_BOUND_COUNT);
    case SHAPE_COUNT: break;
    }
    return metric_counter(r, name, labels, help);
}

static enum dp_status register_metrics(struct service *s, struct dp_error *error)
{
    struct metric_registry *r = &s->metrics;
    for (size_t i = 0; i < sizeof METRICS / sizeof *METRICS; i++) {
        struct metric *metric = register_metric(r, i);
        if (!metric)
            return dp_fail_nomem(error, "metrics");
        *(struct metric **)(void *)((char *)&s->counts + METRICS[i].at) = metric;
    }
    struct metric *threads = metric_gauge(r, "dipper_compute_threads", "", "Threads of the compute team.");
    if (!threads)
        return dp_fail_nomem(error, "metrics");
    metric_set(threads, team_size(s->team));
    return DP_OK;
}

static enum dp_status open_cache(struct service *s, const struct embed_cache_options *options,
                                 struct dp_error *error)
{
    enum dp_status status = vector_cache_new(options->vectors, options->bytes, &s->cache, error);
    if (status == DP_OK)
        status = vector_cache_add_metrics(s->cache, &s->metrics, error);
    if (status == DP_OK && options->redis.urls.len)
        status = redis_cache_new(&options->redis, &s->metrics, &s->redis, error);
    return status;
}

/* Frees what models_init would have taken over. */
static void drop_models(const struct service_options *options)
{
    model_free(options->model);
    if (options->sources.free)
        options->sources.free(options->sources.context);
}

enum dp_status service_new(const struct service_options *options, struct service **out, struct dp_error *error)
{
    enum dp_status status;
    *out = NULL;
    struct service *s = mem_calloc(1, sizeof *s);
    if (!s) {
        drop_models(options);
        store_free(options->store);
        return dp_fail_nomem(error, "the service");
    }
    s->team_is_borrowed = options->borrowed_team != NULL;
    s->team = options->borrowed_team;
    s->store = options->store;
    s->batch_max =
        options->batch_max && options->batch_max < SERVICE_BATCH_MAX ? options->batch_max : SERVICE_BATCH_MAX;
    s->token_input = options->token_input;
    metric_registry_init(&s->metrics);
    known_names_init(&s->known_names);
    large_writes_init(&s->large_writes);
    status = readers_init(&s->readers, options->readers_max ? options->readers_max : SERVICE_READERS_MAX, error);
    if (status == DP_OK)
        status = external_files_init(&s->external_files, error);
    if (status == DP_OK && !s->team_is_borrowed)
        status = team_new(options->threads, &s->team, error);
    if (status == DP_OK)
        status = models_init(&s->models, options, s->team, &s->metrics, error);
    else
        drop_models(options);
    if (status == DP_OK)
        status = register_metrics(s, error);
    if (status == DP_OK && s->models.count && options->cache.enabled)
        status = open_cache(s, &options->cache, error);
    if (status == DP_OK && s->store)
        status = store_add_metrics(s->store, &s->metrics, error);
    if (status == DP_OK && options->indexes && options->indexes->store.cache)
        status = store_cache_metrics(options->indexes->store.cache, &s->metrics, error);
    if (status == DP_OK)
        status = indexes_init(&s->indexes, options->indexes, error);
    if (status == DP_OK && s->store && options->upkeep != UPKEEP_NONE)
        status = upkeep_new(&(struct upkeep_options){.store = s->store,
                                                     .readers = &s->readers,
                                                     .team = options->upkeep == UPKEEP_ROOT ? s->team : NULL,
                                                     .scope = options->upkeep,
                                                     .metrics = &s->metrics},
                            &s->upkeep, error);
    if (status != DP_OK) {
        service_free(s);
        return status;
    }
    *out = s;
    return DP_OK;
}

void service_free(struct service *s)
{
    if (!s)
        return;
    upkeep_free(s->upkeep);
    readers_deinit(&s->readers);
    known_names_deinit(&s->known_names);
    large_writes_deinit(&s->large_writes);
    slots_deinit(&s->external_files);
    indexes_deinit(&s->indexes);
    models_deinit(&s->models);
    redis_cache_free(s->redis);
    vector_cache_free(s->cache);
    store_free(s->store);
    if (!s->team_is_borrowed)
        team_free(s->team);
    metric_registry_deinit(&s->metrics);
    mem_free(s);
}

struct metric_registry *service_metrics(struct service *s)
{
    return &s->metrics;
}

struct team *service_team(struct service *s)
{
    return s->team;
}

struct store *service_store(struct service *s)
{
    return s->store;
}

bool service_has_model(const struct service *s)
{
    return s->models.count > 0;
}

bool service_model_at(struct service *s, size_t place, struct arena *arena, struct service_model *out)
{
    return models_describe(&s->models, place, arena, out);
}

bool service_model(struct service *s, struct arena *arena, struct service_model *out)
{
    return models_describe(&s->models, 0, arena, out);
}

bool service_model_named(struct service *s, struct span name, struct arena *arena, struct service_model *out)
{
    return models_describe(&s->models, models_place(&s->models, name), arena, out);
}

enum dp_status service_open_model(struct call *call, struct service *s, struct span name,
                                  struct service_model *out)
{
    struct served_model *m;
    enum dp_status status = models_borrow(call, &s->models, name, &m);
    if (status != DP_OK)
        return status;
    *out = m->facts;
    if (!served_facts_copy(out, call->arena))
        status = call_nomem(call, "the facts of a model");
    served_model_release(m);
    return status;
}

enum dp_status service_reload_models(struct call *call, struct service *s, struct span name,
                                     struct model_change **changes, size_t *count)
{
    return models_reload(call, &s->models, name, changes, count);
}

void service_end_reloads(struct service *s)
{
    models_end_reloads(&s->models);
}

bool service_takes_tokens(const struct service *s)
{
    return s->token_input;
}

enum dp_status service_need_store(struct call *call, const struct service *s)
{
    return s->store ? DP_OK
                    : call_fail(call, DP_UNSUPPORTED, "no root is open (--root), so there are no namespaces");
}
