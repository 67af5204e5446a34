/* service.c: beginning and end of a service, and what it knows of its model. */
#include "service/service_impl.h"

#include <stdio.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "store/store_cache.h"
#include "store/store_metrics.h"

static const char HITS_HELP[] = "Texts whose vector was cached.";
static const char DEFAULT_PREFIX[] = "sentence-transformers/";

/* The name under which clients may know the model besides its own: the short one of "org/name", or that with which the
 * hub has a sentence-transformers model. Appended to `to`; answers how many bytes. */
static size_t other_name(struct span name, uint8_t *to)
{
    const uint8_t *slash = name.len > 0 ? memchr(name.data, '/', name.len) : NULL;
    size_t prefix = sizeof DEFAULT_PREFIX - 1, behind = slash ? (size_t)(slash + 1 - name.data) : 0;
    if (slash) {
        memcpy(to, name.data + behind, name.len - behind);
        return name.len - behind;
    }
    memcpy(to, DEFAULT_PREFIX, prefix);
    memcpy(to + prefix, name.data, name.len);
    return prefix + name.len;
}

/* Keeps copies of the aliases, and the model's other name. */
static enum dp_status keep_aliases(struct service *s, const struct service_options *options,
                                   struct dp_error *error)
{
    size_t count = options->model_alias_count + 1;
    size_t bytes = sizeof DEFAULT_PREFIX + s->facts.name.len;
    for (size_t i = 0; i < options->model_alias_count; i++)
        bytes += options->model_aliases[i].len;
    s->aliases = mem_alloc(count * sizeof *s->aliases + bytes);
    if (!s->aliases)
        return dp_fail_nomem(error, "the model's names");
    uint8_t *to = (uint8_t *)(s->aliases + count);
    for (size_t i = 0; i < options->model_alias_count; i++) {
        struct span alias = options->model_aliases[i];
        if (alias.len)
            memcpy(to, alias.data, alias.len);
        s->aliases[s->alias_count++] = span_of(to, alias.len);
        to += alias.len;
    }
    s->aliases[s->alias_count++] = span_of(to, other_name(s->facts.name, to));
    return DP_OK;
}

/* What frames a text: the ids of an empty text, of which those before are the ones that one with a word has too. */
static enum dp_status learn_special_tokens(struct service *s, struct dp_error *error)
{
    struct arena arena;
    struct tokens empty, word;
    arena_init(&arena, 1 << 20);
    enum dp_status status = tokenizer_encode(s->tokenizer, span_str(""), 0, &arena, &empty, error);
    if (status == DP_OK)
        status = tokenizer_encode(s->tokenizer, span_str("a"), 0, &arena, &word, error);
    if (status == DP_OK && empty.count > SERVICE_SPECIAL_MAX)
        status = dp_fail(error, DP_UNSUPPORTED, "the tokenizer frames a text by %zu special tokens", empty.count);
    if (status == DP_OK) {
        s->special_count = empty.count;
        for (size_t i = 0; i < empty.count; i++)
            s->special[i] = empty.ids[i];
        while (s->special_before < empty.count && empty.ids[s->special_before] == word.ids[s->special_before])
            s->special_before++;
    }
    arena_deinit(&arena);
    return status;
}

/* Which model serves, as a metric that is always 1. */
static enum dp_status describe_model(struct service *s, struct dp_error *error)
{
    char labels[METRIC_LABELS_MAX] = "", dim[12];
    snprintf(dim, sizeof dim, "%u", (unsigned)s->facts.dim);
    metric_add_label(labels, "model", s->facts.name);
    metric_add_label(labels, "dim", span_str(dim));
    metric_add_label(labels, "fingerprint", s->facts.fingerprint);
    struct metric *info = metric_gauge(&s->metrics, "dipper_model_info", labels, "The model that is loaded.");
    metric_set(info, 1);
    return info ? DP_OK : dp_fail_nomem(error, "metrics");
}

static enum dp_status open_model(struct service *s, const struct service_options *options, struct dp_error *error)
{
    const struct model_info *info = model_info(s->model);
    s->tokenizer = model_tokenizer(s->model);
    s->facts = (struct service_model){
        .name = span_str(info->name),
        .fingerprint = span_str(info->fingerprint),
        .dim = (uint32_t)info->dim,
        .max_tokens = (uint32_t)info->max_tokens,
        .loaded_s = os_wall_ms() / 1000,
    };
    if (options->max_tokens && options->max_tokens < s->facts.max_tokens)
        s->facts.max_tokens = options->max_tokens;
    enum dp_status status = learn_special_tokens(s, error);
    if (status == DP_OK && s->facts.max_tokens <= model_prompt_tokens_max(s->model))
        status = dp_fail(error, DP_INVALID, "texts of at most %u tokens have no room behind a prompt of %zu",
                         s->facts.max_tokens, model_prompt_tokens_max(s->model));
    if (status == DP_OK && s->facts.max_tokens <= s->special_count)
        status = dp_fail(error, DP_INVALID,
                         "texts of at most %u tokens have no room beside the model's %zu special tokens",
                         s->facts.max_tokens, s->special_count);
    if (status == DP_OK)
        status = keep_aliases(s, options, error);
    if (status == DP_OK)
        status = embedder_new(s->model, s->team, NULL, &s->embedder, error);
    if (status == DP_OK)
        status = embedder_add_metrics(s->embedder, &s->metrics, error);
    if (status == DP_OK)
        status = describe_model(s, error);
    if (status == DP_OK && options->cache) {
        cache_keys_begin(&s->model_keys, info, s->facts.max_tokens);
        status = vector_cache_new(options->cache_vectors, options->cache_bytes, &s->cache, error);
    }
    return status;
}

/* Registers metrics, and opens what registers its own. */
static enum dp_status add_metrics(struct service *s, const struct service_options *options, struct dp_error *error)
{
    struct metric_registry *r = &s->metrics;
    const double *bounds = METRIC_LATENCY_BOUNDS;
    size_t n = METRIC_LATENCY_BOUND_COUNT;
    bool added =
        (s->count.texts = metric_counter(r, "dipper_embedded_texts_total", "",
                                         "Texts that requests had embedded, cached ones too.")) &&
        (s->count.tokens = metric_counter(r, "dipper_embedded_tokens_total", "", "Tokens of those texts.")) &&
        (s->count.truncated =
             metric_counter(r, "dipper_truncated_texts_total", "", "Texts that were cut to the model's limit.")) &&
        (s->count.text_tokens = metric_histogram(r, "dipper_text_tokens", "", "Tokens of a text.",
                                                 METRIC_SIZE_BOUNDS, METRIC_SIZE_BOUND_COUNT)) &&
        (s->count.embed_seconds = metric_histogram(
             r, "dipper_embed_seconds", "",
             "Time to tokenize and embed the texts of one request that were not cached.", bounds, n)) &&
        (s->count.l1_hits = metric_counter(r, "dipper_embed_cache_hits_total", "cache_level=\"l1\"", HITS_HELP)) &&
        (s->count.l2_hits = metric_counter(r, "dipper_embed_cache_hits_total", "cache_level=\"l2\"", HITS_HELP)) &&
        (s->count.misses = metric_counter(r, "dipper_embed_cache_misses_total", "",
                                          "Texts whose vector was in no tier of the cache.")) &&
        (s->count.waits = metric_counter(r, "dipper_embed_cache_waits_total", "",
                                         "Texts whose vector another request was just computing.")) &&
        (s->count.queries =
             metric_counter(r, "dipper_queries_total", "status=\"ok\"", "Queries of namespaces.")) &&
        (s->count.query_errors =
             metric_counter(r, "dipper_queries_total", "status=\"error\"", "Queries of namespaces.")) &&
        (s->count.query_seconds =
             metric_histogram(r, "dipper_query_seconds", "", "Time to answer a query.", bounds, n)) &&
        (s->count.rounds = metric_counter(r, "dipper_store_rounds_total", "",
                                          "Dependent rounds of reads that queries sent to the store.")) &&
        (s->count.requests =
             metric_counter(r, "dipper_store_requests_total", "", "Requests that queries sent to the store.")) &&
        (s->count.bytes =
             metric_counter(r, "dipper_store_read_bytes_total", "", "Bytes that queries read from the store.")) &&
        (s->count.searches =
             metric_counter(r, "dipper_index_searches_total", "status=\"ok\"", "Searches of FAISS files.")) &&
        (s->count.search_errors =
             metric_counter(r, "dipper_index_searches_total", "status=\"error\"", "Searches of FAISS files.")) &&
        (s->count.search_seconds = metric_histogram(r, "dipper_index_search_seconds", "",
                                                    "Time to answer a search of a FAISS file.", bounds, n));
    if (!added)
        return dp_fail_nomem(error, "metrics");
    struct metric *threads = metric_gauge(r, "dipper_compute_threads", "", "Threads of the compute team.");
    if (!threads)
        return dp_fail_nomem(error, "metrics");
    metric_set(threads, team_size(s->team));
    enum dp_status status = s->cache ? vector_cache_add_metrics(s->cache, r, error) : DP_OK;
    if (status == DP_OK && s->cache && options->redis_urls.len) {
        const struct redis_cache_options redis = {
            .urls = options->redis_urls,
            .ttl_s = options->redis_ttl_s,
            .timeouts = {options->redis_connect_ms, options->redis_command_ms},
        };
        status = redis_cache_new(&redis, r, &s->redis, error);
    }
    return status == DP_OK && s->store ? store_add_metrics(s->store, r, error) : status;
}

enum dp_status service_new(const struct service_options *options, struct service **out, struct dp_error *error)
{
    enum dp_status status;
    *out = NULL;
    struct service *s = mem_calloc(1, sizeof *s);
    if (!s) {
        model_free(options->model);
        store_free(options->store);
        return dp_fail_nomem(error, "the service");
    }
    s->model_is_borrowed = options->borrowed_model != NULL;
    s->model = s->model_is_borrowed ? options->borrowed_model : options->model;
    s->team_is_borrowed = options->borrowed_team != NULL;
    s->team = options->borrowed_team;
    s->store = options->store;
    s->batch_max =
        options->batch_max && options->batch_max < SERVICE_BATCH_MAX ? options->batch_max : SERVICE_BATCH_MAX;
    s->token_input = options->token_input;
    metric_registry_init(&s->metrics);
    known_names_init(&s->known_names);
    status = readers_init(&s->readers, options->readers_max ? options->readers_max : SERVICE_READERS_MAX, error);
    if (status == DP_OK && !s->team_is_borrowed)
        status = team_new(options->threads, &s->team, error);
    if (status == DP_OK && s->model)
        status = open_model(s, options, error);
    if (status == DP_OK)
        status = add_metrics(s, options, error);
    if (status == DP_OK && options->indexes && options->indexes->store.cache)
        status = store_cache_metrics(options->indexes->store.cache, &s->metrics, error);
    if (status == DP_OK)
        status = indexes_init(&s->indexes, options->indexes, error);
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
    readers_deinit(&s->readers);
    known_names_deinit(&s->known_names);
    indexes_deinit(&s->indexes);
    embedder_free(s->embedder);
    redis_cache_free(s->redis);
    vector_cache_free(s->cache);
    if (!s->model_is_borrowed)
        model_free(s->model);
    store_free(s->store);
    if (!s->team_is_borrowed)
        team_free(s->team);
    mem_free(s->aliases);
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

bool service_model(const struct service *s, struct service_model *out)
{
    if (s->model)
        *out = s->facts;
    return s->model != NULL;
}

bool service_takes_tokens(const struct service *s)
{
    return s->token_input;
}

bool service_model_is(const struct service *s, struct span name)
{
    if (!s->model)
        return false;
    for (size_t i = 0; i < s->alias_count; i++)
        if (span_equal(s->aliases[i], name))
            return true;
    return span_equal(s->facts.name, name);
}

enum dp_status service_need_model(struct call *call, const struct service *s)
{
    return s->model ? DP_OK : call_fail(call, DP_UNSUPPORTED, "no model is loaded, so text cannot be embedded");
}

enum dp_status service_need_store(struct call *call, const struct service *s)
{
    return s->store ? DP_OK
                    : call_fail(call, DP_UNSUPPORTED, "no root is open (--root), so there are no namespaces");
}
