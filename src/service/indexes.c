/* indexes.c: opens, describes, searches and closes FAISS files by name. */
#include "service/indexes.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/masked_url.h"
#include "os/clock.h"
#include "os/gate.h"
#include "service/service_impl.h"
#include "store/store_cache.h"
#include "store/transport.h"

enum { SHOWN_MAX = URL_SHOWN_MAX + 8 };

/* One name. While its file is being opened, the slot only reserves the name. */
struct open_index {
    struct slot slot; /* its key is the name */
    struct faiss_index *index;
    struct call_cost cost; /* costs of opening the file */
    int64_t open_ns;
    uint8_t name[INDEX_NAME_MAX];
    char url[SHOWN_MAX];
    char *recall_url; /* URL of the recall table; NULL: unknown, because the file's URL has a query */
    struct recall_table *_Atomic recall; /* set once, by the first search that needs it */
};

static void close_index(struct slot *slot)
{
    struct open_index *open = (struct open_index *)slot;
    faiss_index_free(open->index);
    mem_free(open->recall_url);
    mem_free(atomic_load(&open->recall));
    mem_free(open);
}

/* ---- lifecycle ------------------------------------------------------------------------------------------- */

enum dp_status indexes_init(struct indexes *x, const struct indexes_options *options, struct dp_error *error)
{
    const struct indexes_options none = {0};
    options = options ? options : &none;
    *x = (struct indexes){.memory.max = options->memory_max ? options->memory_max : UINT64_MAX,
                          .store = options->store};
    if (options->schemes) {
        x->schemes = *options->schemes;
        scheme_settings_use(&x->schemes, &x->store);
    }
    x->store.cache = store_cache_retain(options->store.cache);
    enum dp_status status = url_rules_new(options->allow_urls, &x->rules, error);
    if (status == DP_OK)
        status = slots_init(&x->slots, options->max ? options->max : INDEXES_MAX, close_index, error);
    if (status != DP_OK || url_rules_count(x->rules) == 0)
        return status;
    const struct transport_options public_only = {.public_only = true, .trust = x->store.trust};
    const struct transport_options any = {.trust = x->store.trust};
    status = transport_new(&public_only, &x->public_only, error);
    if (status == DP_OK && x->store.transport)
        x->any = transport_retain(x->store.transport);
    else if (status == DP_OK)
        status = transport_new(&any, &x->any, error);
    return status;
}

void indexes_deinit(struct indexes *x)
{
    slots_deinit(&x->slots);
    transport_free(x->any);
    transport_free(x->public_only);
    store_cache_release(x->store.cache);
    url_rules_free(x->rules);
    *x = (struct indexes){0};
}

/* ---- borrowing ------------------------------------------------------------------------------------------- */

static enum dp_status borrow_index(struct call *call, struct indexes *x, enum gate_use use, struct span name,
                                   struct open_index **out)
{
    *out = NULL;
    if (gate_enter(call, use, name) != DP_OK)
        return call->error.status;
    *out = (struct open_index *)slots_borrow(&x->slots, name, true);
    if (*out)
        return DP_OK;
    return call_fail(call, DP_NOT_FOUND, "there is no index \"%.*s\"; POST /v1/indexes opens one",
                     name.len <= INDEX_NAME_MAX ? (int)name.len : INDEX_NAME_MAX, (const char *)name.data);
}

static void give_index_back(struct indexes *x, struct open_index *slot)
{
    slots_give_back(&x->slots, &slot->slot, false);
}

/* ---- opening --------------------------------------------------------------------------------------------- */

/* Copies the URL of the recall table into the slot. */
static enum dp_status keep_recall_url(struct call *call, const struct index_source *source,
                                      struct open_index *slot)
{
    struct span url = source->recall_table;
    if (url.len == 0 && recall_url(call, source->url, &url) != DP_OK) {
        if (call->error.status == DP_NOMEM)
            return DP_NOMEM;
        dp_error_clear(&call->error);
        return DP_OK;
    }
    slot->recall_url = mem_alloc(url.len + 1);
    if (!slot->recall_url)
        return call_nomem(call, "an open index");
    memcpy(slot->recall_url, url.data, url.len);
    slot->recall_url[url.len] = '\0';
    return DP_OK;
}

/* Puts the name into the table before the file is open, so that no other request can take the name. The caller borrows
 * the slot. */
static enum dp_status reserve_name(struct call *call, struct indexes *x, const struct index_source *source,
                                   struct open_index **out)
{
    char shown[URL_SHOWN_MAX];
    struct open_index *slot = mem_calloc(1, sizeof *slot);
    *out = NULL;
    if (!slot)
        return call_nomem(call, "an open index");
    memcpy(slot->name, source->name.data, source->name.len);
    slot->slot.key = span_of(slot->name, source->name.len);
    snprintf(slot->url, sizeof slot->url, "%s%s", url_shown(source->url, shown),
             memchr(source->url.data, '?', source->url.len) ? "?…" : "");
    enum dp_status status = keep_recall_url(call, source, slot);
    if (status == DP_OK)
        status = slots_reserve(&x->slots, &slot->slot);
    if (status == DP_EXISTS)
        call_fail(call, DP_EXISTS, "there is already an index \"%.*s\"; DELETE it first, or choose another name",
                  SPAN_FMT(source->name));
    if (status == DP_FULL)
        status = call_fail(call, DP_CONFLICT, "%zu indexes are open, which is the limit: DELETE one first",
                           x->slots.max);
    if (status != DP_OK) {
        close_index(&slot->slot);
        return status;
    }
    *out = slot;
    return DP_OK;
}

/* The options with which the store of a permitted URL is opened. */
static struct store_options store_of(const struct indexes *x, const struct url_permit *permit)
{
    struct store_options store = x->store;
    store.create = false;
    store.transport = permit->reach == URL_PUBLIC ? x->public_only : x->any;
    store.below = permit->below;
    return store;
}

static enum dp_status open_index_file(struct call *call, struct indexes *x, const struct index_source *source,
                                      const struct url_permit *permit, struct faiss_index **out)
{
    const struct faiss_index_options known = {.cluster_data_offset = source->cluster_data_offset,
                                              .n_clusters = source->n_clusters,
                                              .memory = &x->memory};
    struct store_options store = store_of(x, permit);
    enum dp_status status = faiss_index_open_url(call, source->url, &store, &known, out);
    if (status == DP_OK && faiss_index_info(*out).flat && faiss_index_info(*out).data_bytes > FLAT_BYTES_MAX) {
        status = call_fail(call, DP_TOO_LARGE,
                           "the file is a flat index, so each search would read all of its %" PRIu64
                           " bytes of vectors; the "
                           "limit is %d bytes: make an IVF file with `dipper faiss build`",
                           faiss_index_info(*out).data_bytes, FLAT_BYTES_MAX);
        faiss_index_free(*out);
        *out = NULL;
    }
    if (status == DP_CORRUPT) /* the client named a wrong file: the server's data is not corrupt */
        status = call_restatus(call, DP_INVALID);
    return status;
}

static enum dp_status check_index_name(struct call *call, struct span name)
{
    if (index_check_name(name, NULL) == DP_OK)
        return DP_OK;
    return call_fail(call, DP_INVALID,
                     "an index's name must have 1 to %d characters A-Z, a-z, 0-9, '.', '-' or '_', and "
                     "must not begin with '.' or '_'",
                     INDEX_NAME_MAX);
}

static enum dp_status describe_index(struct call *call, const struct open_index *slot,
                                     struct index_description *out);

static enum dp_status permit_url(struct call *call, struct indexes *x, struct span url, struct url_permit *out)
{
    if (url_rules_count(x->rules) == 0)
        return call_fail(call, DP_DENIED,
                         "this program opens no URLs for others: its operator can permit URLs with "
                         "--allow-index-url");
    return url_rules_check(x->rules, url, call->arena, out, &call->error);
}

enum dp_status indexes_open_url(struct call *call, struct indexes *x, struct span url, struct faiss_index **out)
{
    const struct index_source source = {.url = url};
    struct url_permit permit;
    *out = NULL;
    enum dp_status status = permit_url(call, x, url, &permit);
    return status == DP_OK ? open_index_file(call, x, &source, &permit, out) : status;
}

enum dp_status service_index_open(struct call *call, struct service *s, const struct index_source *source,
                                  struct index_description *out)
{
    struct indexes *x = &s->indexes;
    struct open_index *slot;
    struct url_permit permit;
    enum dp_status status = check_index_name(call, source->name);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, source->name);
    if (status == DP_OK)
        status = permit_url(call, x, source->url, &permit);
    if (status == DP_OK)
        status = reserve_name(call, x, source, &slot);
    if (status != DP_OK)
        return status;
    const struct call_cost before = call->cost;
    const int64_t began = os_now_ns();
    status = open_index_file(call, x, source, &permit, &slot->index);
    slot->open_ns = os_now_ns() - began;
    slot->cost = (struct call_cost){.rounds = call->cost.rounds - before.rounds,
                                    .requests = call->cost.requests - before.requests,
                                    .bytes = call->cost.bytes - before.bytes};
    const bool opened = status == DP_OK;
    if (opened) {
        slots_ready(&x->slots, &slot->slot);
        status = describe_index(call, slot, out);
    }
    slots_give_back(&x->slots, &slot->slot, !opened);
    return status;
}

/* ---- describing --------------------------------------------------------------------------------------------- */

static enum dp_status describe_index(struct call *call, const struct open_index *slot,
                                     struct index_description *out)
{
    const struct faiss_ivf_info info = faiss_index_info(slot->index);
    const int64_t open_us = slot->open_ns / 1000;
    *out = (struct index_description){
        .name = arena_copy(call->arena, slot->slot.key),
        .url = arena_printf(call->arena, "%s", slot->url),
        .codes = arena_printf(call->arena, "%s", info.codes),
        .dim = info.dim_in,
        .metric = info.codec->metric,
        .vectors = info.ntotal,
        .in_no_list = info.ntotal - info.listed,
        .nlist = info.nlist,
        .nprobe = info.nprobe,
        .id_map = info.id_map,
        .transforms = info.transforms,
        .refined = info.refined,
        .k_factor = info.k_factor,
        .file_bytes = info.file_bytes,
        .cluster_data_offset = info.head_bytes,
        .memory_bytes = info.memory_bytes,
        .open_rounds = slot->cost.rounds,
        .open_requests = slot->cost.requests,
        .open_bytes = slot->cost.bytes,
        .open_ms = (double)open_us / 1000,
    };
    memcpy(out->kind, info.fourcc, sizeof out->kind);
    return out->name.data && out->url && out->codes ? DP_OK : call_nomem(call, "the description of an index");
}

enum dp_status service_index_describe(struct call *call, struct service *s, struct span name,
                                      struct index_description *out)
{
    struct open_index *slot;
    enum dp_status status = borrow_index(call, &s->indexes, GATE_READ, name, &slot);
    if (status != DP_OK)
        return status;
    status = describe_index(call, slot, out);
    give_index_back(&s->indexes, slot);
    return status;
}

static int by_name(const void *a, const void *b)
{
    return span_compare(((const struct index_description *)a)->name, ((const struct index_description *)b)->name);
}

/* The indexes that service_index_list() describes. */
struct index_listing {
    struct call *call;
    struct span prefix;
    struct index_description *list; /* [slots.max] */
    size_t count;
    enum dp_status status;
};

static bool list_index(void *context, const struct slot *slot)
{
    struct index_listing *l = context;
    if (span_starts_with(slot->key, l->prefix))
        l->status = describe_index(l->call, (const struct open_index *)slot, &l->list[l->count++]);
    return l->status == DP_OK;
}

enum dp_status service_index_list(struct call *call, struct service *s, struct span prefix,
                                  struct index_description **out, size_t *count)
{
    struct indexes *x = &s->indexes;
    struct index_listing l = {.call = call, .prefix = prefix};
    enum dp_status status = gate_list(call, prefix);
    *count = 0;
    if (status != DP_OK)
        return status;
    *out = l.list = arena_array(call->arena, x->slots.max, sizeof **out);
    if (!l.list)
        return call_nomem(call, "the list of indexes");
    slots_for_each(&x->slots, list_index, &l);
    *count = l.count;
    if (l.status == DP_OK)
        qsort(*out, *count, sizeof **out, by_name);
    return l.status;
}

enum dp_status service_index_close(struct call *call, struct service *s, struct span name)
{
    struct indexes *x = &s->indexes;
    struct open_index *slot;
    enum dp_status status = borrow_index(call, x, GATE_WRITE, name, &slot);
    if (status != DP_OK)
        return status;
    slots_give_back(&x->slots, &slot->slot, true);
    return DP_OK;
}

/* ---- searching ------------------------------------------------------------------------------------------- */

static enum dp_status check_index_search(struct call *call, const struct index_search *search)
{
    if (search->count < 1 || search->count > INDEX_SEARCH_QUERIES_MAX)
        return call_fail(call, DP_INVALID, "a search must have 1 to %d queries, not %zu", INDEX_SEARCH_QUERIES_MAX,
                         search->count);
    if (search->k < 1 || search->k > INDEX_SEARCH_HITS_MAX / search->count)
        return call_fail(call, DP_INVALID, "a search of %zu queries finds 1 to %zu neighbours for each, not %zu",
                         search->count, INDEX_SEARCH_HITS_MAX / search->count, search->k);
    if (search->k_factor * (float)(search->k * search->count) > (float)INDEX_SEARCH_HITS_MAX)
        return call_fail(call, DP_INVALID,
                         "a search has at most %d candidates (queries * k * k_factor), not %zu times k_factor",
                         INDEX_SEARCH_HITS_MAX, search->k * search->count);
    if (search->keep_count > INDEX_SEARCH_IDS_MAX || search->skip_count > INDEX_SEARCH_IDS_MAX)
        return call_fail(call, DP_INVALID, "a search keeps or skips at most %d ids", INDEX_SEARCH_IDS_MAX);
    return DP_OK;
}

static enum dp_status embed_queries(struct call *call, struct service *s, const struct open_index *slot,
                                    const struct index_search *search, struct faiss_search *out)
{
    struct served_model *m;
    const struct embed_request request = {
        .inputs = search->texts, .count = search->count, .kind = TEXT_QUERY, .normalize = true};
    struct embed_response response;
    enum dp_status status = models_borrow(call, &s->models, search->model, &m);
    if (status == DP_OK && m->facts.dim != faiss_index_info(slot->index).dim_in)
        status = call_fail(call, DP_INVALID,
                           "the model %.*s makes vectors of %u dimensions, but the index has %zu dimensions: send "
                           "vectors, or name another model",
                           SPAN_FMT(m->facts.name), m->facts.dim, faiss_index_info(slot->index).dim_in);
    if (status == DP_OK)
        status = service_embed_by(call, s, m, &request, &response);
    served_model_release(m);
    if (status != DP_OK)
        return status;
    out->queries = response.vectors;
    out->dim = response.dim;
    return DP_OK;
}

/* Reads the recall table if the rules permit its URL. */
static enum dp_status load_recall(struct call *call, struct indexes *x, const struct open_index *slot,
                                  struct recall_table *out)
{
    struct url_permit permit;
    struct span url = span_str(slot->recall_url ? slot->recall_url : "");
    if (url.len == 0)
        return call_fail(
            call, DP_INVALID,
            "the URL of the index has a query, so the server cannot know the URL of its recall table: give "
            "recall_table when you open the index, or search with nprobe");
    enum dp_status status = url_rules_check(x->rules, url, call->arena, &permit, &call->error);
    if (status != DP_OK)
        return status;
    const struct store_options store = store_of(x, &permit);
    status = recall_load(call, url, &store, slot->index, out);
    if (status == DP_NOT_FOUND || status == DP_STALE || status == DP_CORRUPT) /* the index itself is fine */
        status = call_restatus(call, DP_INVALID);
    return status;
}

/* The number of lists to probe for a wanted recall. */
static enum dp_status nprobe_for_recall(struct call *call, struct indexes *x, struct open_index *slot,
                                        double recall, size_t *nprobe)
{
    if (recall_is_whole(slot->index))
        return DP_OK;
    struct recall_table *table = atomic_load(&slot->recall);
    if (!table) {
        struct recall_table *read = mem_calloc(1, sizeof *read);
        enum dp_status status = read ? load_recall(call, x, slot, read) : call_nomem(call, "a table of recall");
        if (status != DP_OK) {
            mem_free(read);
            return status;
        }
        if (atomic_compare_exchange_strong(&slot->recall, &table, read))
            table = read;
        else
            mem_free(read); /* another search was first; `table` is its table */
    }
    return recall_nprobe(table, recall, nprobe, &call->error);
}

static enum dp_status run_index_search(struct call *call, struct service *s, struct open_index *slot,
                                       const struct index_search *search, struct index_hits *out)
{
    struct id_filter filter;
    size_t hits = search->count * search->k;
    struct faiss_search faiss = {.queries = search->vectors,
                                 .count = search->count,
                                 .dim = search->dim,
                                 .k = search->k,
                                 .nprobe = search->nprobe,
                                 .k_factor = search->k_factor};
    int64_t *ids = arena_array(call->arena, hits, sizeof *ids);
    float *distances = arena_array(call->arena, hits, sizeof *distances);
    struct faiss_search_cost *costs = arena_array(call->arena, search->count, sizeof *costs);
    if (!ids || !distances || !costs)
        return call_nomem(call, "the answers");
    *out = (struct index_hits){ids, distances, costs};
    enum dp_status status = search->vectors ? DP_OK : embed_queries(call, s, slot, search, &faiss);
    if (status == DP_OK && search->recall > 0)
        status = nprobe_for_recall(call, &s->indexes, slot, search->recall, &faiss.nprobe);
    if (status != DP_OK)
        return status;
    status =
        id_filter_init(&filter, search->keep, search->keep_count, search->skip, search->skip_count, &call->error);
    if (status != DP_OK)
        return status;
    faiss.filter = search->keep || search->skip_count > 0 ? &filter : NULL;
    status = faiss_index_search(call, slot->index, &faiss, ids, distances, costs);
    id_filter_deinit(&filter);
    if (status == DP_STALE) {
        dp_error_prefix(&call->error, "DELETE the index and open it anew");
        status = call_restatus(call, DP_CONFLICT);
    }
    return status;
}

enum dp_status service_index_search(struct call *call, struct service *s, const struct index_search *search,
                                    struct index_hits *out)
{
    const int64_t began = os_now_ns();
    const struct call_cost before = call->cost;
    struct open_index *slot;
    enum dp_status status = check_index_search(call, search);
    if (status == DP_OK)
        status = borrow_index(call, &s->indexes, GATE_READ, search->name, &slot);
    if (status != DP_OK)
        return status;
    status = run_index_search(call, s, slot, search, out);
    give_index_back(&s->indexes, slot);
    metric_add(status == DP_OK ? s->counts.searches : s->counts.search_errors, 1);
    metric_observe(s->counts.search_seconds, (double)(os_now_ns() - began) * 1e-9);
    metric_add(s->counts.rounds, (int64_t)(call->cost.rounds - before.rounds));
    metric_add(s->counts.requests, (int64_t)(call->cost.requests - before.requests));
    metric_add(s->counts.bytes, (int64_t)(call->cost.bytes - before.bytes));
    return status;
}
