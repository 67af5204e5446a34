/* models.c: finds models by name, opens them on first use, closes those that memory has no room for. */
#include "service/models.h"

#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/log.h"

enum { NAMES_SHOWN = 200 };
#define RETRY_NS (INT64_C(5) * 1000000000)

/* ---- opening and closing ------------------------------------------------------------------------------ */

/* Wraps a model for slot number `place`. Takes over options.model, also on failure. */
static enum dp_status wrap_model(const struct models *m, size_t place, struct served_options options,
                                 struct served_model **out, struct dp_error *error)
{
    options.name = m->slots[place].name;
    options.max_tokens = m->served.max_tokens;
    options.team = m->served.team;
    options.metrics = m->served.metrics;
    if (place == 0) {
        options.aliases = m->served.aliases;
        options.alias_count = m->served.alias_count;
    }
    return served_model_new(&options, out, error);
}

/* Opens the files of slot number `place`, and tests the model. */
static enum dp_status open_version(struct call *call, const struct models *m, size_t place,
                                   struct served_model **out)
{
    struct served_options options = {.model = NULL};
    *out = NULL;
    enum dp_status status = m->sources.open(m->sources.context, place, &options.model, &call->error);
    if (status == DP_OK)
        status = wrap_model(m, place, options, out, &call->error);
    if (status == DP_OK)
        status = served_model_test(call, *out);
    if (status != DP_OK) {
        served_model_release(*out);
        *out = NULL;
    }
    return status;
}

static void note_version(struct model_slot *slot, struct served_model *version)
{
    slot->current = version;
    slot->used_ns = os_now_ns();
    memcpy(slot->fingerprint, version->facts.fingerprint.data, sizeof slot->fingerprint - 1);
}

/* Opens the default model. */
static enum dp_status open_default(struct models *m, const struct service_options *options, struct dp_error *error)
{
    struct served_options first = {.model = options->model, .borrowed_model = options->borrowed_model};
    struct served_model *version;
    enum dp_status status = DP_OK;
    if (!first.model && !first.borrowed_model)
        status = m->sources.open(m->sources.context, 0, &first.model, error);
    if (status == DP_OK)
        status = wrap_model(m, 0, first, &version, error);
    if (status == DP_OK)
        note_version(&m->slots[0], version);
    return status;
}

static enum dp_status make_slots(struct models *m, struct dp_error *error)
{
    size_t bytes = m->count * sizeof *m->slots;
    for (size_t i = 0; i < m->sources.count; i++)
        bytes += m->sources.names[i].len;
    m->slots = mem_calloc(1, bytes);
    if (!m->slots)
        return dp_fail_nomem(error, "the models");
    uint8_t *to = (uint8_t *)(m->slots + m->count);
    for (size_t i = 0; i < m->sources.count; i++) {
        const struct span name = m->sources.names[i];
        if (name.len)
            memcpy(to, name.data, name.len);
        m->slots[i].name = span_of(to, name.len);
        to += name.len;
    }
    m->sources.names = NULL;
    return DP_OK;
}

/* Copies the names of the default model. */
static enum dp_status keep_aliases(struct models *m, const struct service_options *options, struct dp_error *error)
{
    size_t bytes = 1;
    for (size_t i = 0; i < options->model_alias_count; i++)
        bytes += options->model_aliases[i].len;
    struct span *aliases = mem_alloc(options->model_alias_count * sizeof *aliases + bytes);
    if (!aliases)
        return dp_fail_nomem(error, "the names of the model");
    uint8_t *to = (uint8_t *)(aliases + options->model_alias_count);
    for (size_t i = 0; i < options->model_alias_count; i++) {
        const struct span alias = options->model_aliases[i];
        if (alias.len)
            memcpy(to, alias.data, alias.len);
        aliases[i] = span_of(to, alias.len);
        to += alias.len;
    }
    m->served.aliases = aliases;
    m->served.alias_count = options->model_alias_count;
    return DP_OK;
}

static enum dp_status register_metrics(struct models *m, struct metric_registry *r, struct dp_error *error)
{
    static const char reloads[] = "dipper_model_reloads_total",
                      help[] = "Versions of models that a reload opened.";
    enum dp_status status = embedder_metrics_add(&m->embedder_metrics, r, error);
    m->opened = metric_counter(r, "dipper_model_opened_total", "", "Models that a request had opened.");
    m->evicted = metric_counter(r, "dipper_model_evicted_total", "", "Models that were closed to free memory.");
    m->reloaded = metric_counter(r, reloads, "status=\"ok\"", help);
    m->refused = metric_counter(r, reloads, "status=\"refused\"", help);
    if (status == DP_OK && (!m->opened || !m->evicted || !m->reloaded || !m->refused))
        return dp_fail_nomem(error, "metrics");
    m->served.metrics = &m->embedder_metrics;
    return status;
}

enum dp_status models_init(struct models *m, const struct service_options *options, struct team *team,
                           struct metric_registry *registry, struct dp_error *error)
{
    const bool given = options->model || options->borrowed_model;
    *m = (struct models){.sources = options->sources, .served = {.team = team, .max_tokens = options->max_tokens}};
    m->count = given && !m->sources.count ? 1 : m->sources.count;
    pthread_mutex_init(&m->lock, NULL);
    pthread_cond_init(&m->changed, NULL);
    if (m->count == 0)
        return DP_OK;
    enum dp_status status = make_slots(m, error);
    if (status == DP_OK)
        status = keep_aliases(m, options, error);
    if (status == DP_OK)
        status = register_metrics(m, registry, error);
    if (status == DP_OK)
        return open_default(m, options, error);
    model_free(options->model);
    return status;
}

void models_deinit(struct models *m)
{
    for (size_t i = 0; m->slots && i < m->count; i++)
        served_model_release(m->slots[i].current);
    if (m->sources.free)
        m->sources.free(m->sources.context);
    mem_free(m->slots);
    mem_free((void *)(uintptr_t)m->served.aliases);
    pthread_mutex_destroy(&m->lock);
    pthread_cond_destroy(&m->changed);
    *m = (struct models){.count = 0};
}

/* ---- finding ------------------------------------------------------------------------------------------ */

/* The caller holds the lock. */
static bool slot_is(const struct model_slot *slot, struct span name)
{
    return served_name_is(slot->name, name) || (slot->current && served_model_is(slot->current, name));
}

/* The caller holds the lock. */
static size_t find_place(const struct models *m, struct span name)
{
    size_t place = 0;
    if (name.len == 0)
        return 0;
    while (place < m->count && !slot_is(&m->slots[place], name))
        place++;
    return place;
}

size_t models_place(struct models *m, struct span name)
{
    pthread_mutex_lock(&m->lock);
    const size_t place = find_place(m, name);
    pthread_mutex_unlock(&m->lock);
    return place;
}

/* Gives a reference to an open model. The caller holds the lock. */
static struct served_model *use_slot(struct model_slot *slot)
{
    if (slot->current)
        slot->used_ns = os_now_ns();
    return served_model_retain(slot->current);
}

struct served_model *models_try(struct models *m, struct span name)
{
    pthread_mutex_lock(&m->lock);
    const size_t place = find_place(m, name);
    struct served_model *found = place < m->count ? use_slot(&m->slots[place]) : NULL;
    pthread_mutex_unlock(&m->lock);
    return found;
}

/* Waits until no other thread opens a model, and takes the turn to open one. The caller holds the lock. */
static enum dp_status begin_opening(struct call *call, struct models *m, bool is_reload)
{
    enum dp_status status = call_check(call);
    while (status == DP_OK && m->opening && !(is_reload && m->reloads_ended)) {
        call_wait(call, &m->changed, &m->lock);
        status = call_check(call);
    }
    if (status == DP_OK && is_reload && m->reloads_ended)
        status = call_fail(call, DP_UNAVAILABLE, "the server is ending, so it reads no model again");
    m->opening |= status == DP_OK;
    return status;
}

/* The caller holds the lock. */
static void end_opening(struct models *m)
{
    m->opening = false;
    pthread_cond_broadcast(&m->changed);
}

static uint64_t memory_of(const struct model_slot *slot)
{
    return slot->current ? model_info(slot->current->model)->memory : 0;
}

/* If the open models take too much memory, takes the model out of its slot that no request has used for longest, except
 * the default one and the one at `kept`. Returns its reference, or NULL. The caller holds the lock. */
static struct served_model *evict_one(struct models *m, size_t kept)
{
    struct model_slot *oldest = NULL;
    uint64_t total = memory_of(&m->slots[0]);
    for (size_t i = 1; i < m->count; i++) {
        struct model_slot *slot = &m->slots[i];
        total += memory_of(slot);
        if (slot->current && i != kept && (!oldest || slot->used_ns < oldest->used_ns))
            oldest = slot;
    }
    if (!m->sources.memory_max || total <= m->sources.memory_max || !oldest)
        return NULL;
    struct served_model *version = oldest->current;
    oldest->current = NULL;
    return version;
}

static void free_memory(struct models *m, size_t kept)
{
    struct served_model *version;
    do {
        pthread_mutex_lock(&m->lock);
        version = evict_one(m, kept);
        pthread_mutex_unlock(&m->lock);
        if (version) {
            log_write(LOG_INFO, "closed model %.*s, because the open models took more than --model-memory",
                      SPAN_FMT(version->facts.name));
            metric_add(m->evicted, 1);
        }
        served_model_release(version);
    } while (version);
}

/* Opens slot number `place` in this thread's turn. */
static enum dp_status fill_slot(struct call *call, struct models *m, size_t place)
{
    struct model_slot *slot = &m->slots[place];
    struct served_model *version;
    const int64_t began = os_now_ns();
    enum dp_status status = open_version(call, m, place, &version);
    pthread_mutex_lock(&m->lock);
    if (status == DP_OK) {
        note_version(slot, version);
    } else if (status != DP_DEADLINE && status != DP_CANCELLED && status != DP_NOMEM) {
        dp_error_prefix(&call->error, "model %.*s cannot be opened", SPAN_FMT(slot->name));
        status = call_restatus(call, DP_UNAVAILABLE);
        call->retry_ns = RETRY_NS;
        slot->error = call->error;
        slot->retry_ns = os_now_ns() + RETRY_NS;
    }
    end_opening(m);
    pthread_mutex_unlock(&m->lock);
    if (status != DP_OK)
        return status;
    metric_add(m->opened, 1);
    log_write(LOG_INFO, "opened model %.*s in %" PRId64 " ms", SPAN_FMT(slot->name),
              (os_now_ns() - began) / 1000000);
    free_memory(m, place);
    return DP_OK;
}

/* Borrows the model of slot number `place`; opens it if necessary. */
static enum dp_status borrow_place(struct call *call, struct models *m, size_t place, struct served_model **out)
{
    struct model_slot *slot = &m->slots[place];
    enum dp_status status = DP_OK;
    *out = NULL;
    while (status == DP_OK && !*out) {
        bool mine = false;
        pthread_mutex_lock(&m->lock);
        *out = use_slot(slot);
        if (!*out && slot->retry_ns > os_now_ns()) {
            call->error = slot->error;
            call->retry_ns = slot->retry_ns - os_now_ns();
            status = slot->error.status;
        } else if (!*out) {
            status = begin_opening(call, m, false);
            mine = status == DP_OK && !slot->current && slot->retry_ns <= os_now_ns();
            if (status == DP_OK && !mine)
                end_opening(m); /* another thread has opened it meanwhile, or has failed to */
        }
        pthread_mutex_unlock(&m->lock);
        if (mine)
            status = fill_slot(call, m, place);
    }
    return status;
}

/* Fails because no model has this name. */
static enum dp_status fail_unknown(struct call *call, struct models *m, struct span name)
{
    const char *names = "";
    for (size_t i = 0; names && i < m->count; i++) {
        struct service_model model;
        if (models_describe(m, i, call->arena, &model) && strlen(names) + model.name.len < NAMES_SHOWN)
            names = arena_printf(call->arena, "%s%s%.*s", names, *names ? ", " : "", SPAN_FMT(model.name));
    }
    if (m->count == 0)
        return call_fail(call, DP_UNSUPPORTED, "no model is loaded, so text cannot be embedded");
    return call_fail(call, DP_NOT_FOUND, "there is no model \"%.*s\" here; there are: %s",
                     name.len < NAMES_SHOWN ? (int)name.len : NAMES_SHOWN, (const char *)name.data,
                     names ? names : "");
}

enum dp_status models_borrow(struct call *call, struct models *m, struct span name, struct served_model **out)
{
    const size_t place = models_place(m, name);
    *out = NULL;
    return place < m->count ? borrow_place(call, m, place, out) : fail_unknown(call, m, name);
}

/* What is known about a slot's vectors. */
enum slot_match { SLOT_DIFFERS, SLOT_UNKNOWN, SLOT_MATCHES };

static enum slot_match match_slot(struct models *m, size_t place, struct span fingerprint)
{
    const struct model_slot *slot = &m->slots[place];
    pthread_mutex_lock(&m->lock);
    enum slot_match match = !slot->fingerprint[0]                            ? SLOT_UNKNOWN
                            : span_equal_str(fingerprint, slot->fingerprint) ? SLOT_MATCHES
                                                                             : SLOT_DIFFERS;
    if (match == SLOT_UNKNOWN && slot->retry_ns > os_now_ns())
        match = SLOT_DIFFERS;
    pthread_mutex_unlock(&m->lock);
    return match;
}

/* Borrows the model at `place` if it makes such vectors; *out is NULL if it does not. */
static enum dp_status borrow_if_match(struct call *call, struct models *m, size_t place, struct span fingerprint,
                                      struct served_model **out)
{
    enum dp_status status = borrow_place(call, m, place, out);
    if (status == DP_OK && !span_equal((*out)->facts.fingerprint, fingerprint)) {
        served_model_release(*out);
        *out = NULL;
    }
    if (status == DP_UNAVAILABLE) { /* then a query for its vectors fails by their fingerprint */
        dp_error_clear(&call->error);
        status = DP_OK;
    }
    return status;
}

/* Borrows the first model of slots begin to end - 1 of which so much is known, if it makes such vectors. Leaves *out NULL if
 * none does. */
static enum dp_status borrow_first(struct call *call, struct models *m, size_t begin, size_t end,
                                   enum slot_match known, struct span fingerprint, struct served_model **out)
{
    enum dp_status status = DP_OK;
    for (size_t i = begin; i < end && status == DP_OK && !*out; i++)
        if (match_slot(m, i, fingerprint) == known)
            status = borrow_if_match(call, m, i, fingerprint, out);
    return status;
}

enum dp_status models_borrow_for(struct call *call, struct models *m, const struct index_vectors *vectors,
                                 struct served_model **out)
{
    const struct span fingerprint = vectors->fingerprint;
    *out = NULL;
    if (!fingerprint.len)
        return models_borrow(call, m, span_of(NULL, 0), out);
    enum dp_status status = borrow_first(call, m, 0, m->count, SLOT_MATCHES, fingerprint, out);
    const size_t named =
        status == DP_OK && !*out && vectors->model.len ? models_place(m, vectors->model) : m->count;
    if (named < m->count)
        status = borrow_first(call, m, named, named + 1, SLOT_UNKNOWN, fingerprint, out);
    if (status == DP_OK && !*out)
        status = borrow_first(call, m, 0, m->count, SLOT_UNKNOWN, fingerprint, out);
    return status == DP_OK && !*out ? models_borrow(call, m, span_of(NULL, 0), out) : status;
}

bool models_describe(struct models *m, size_t place, struct arena *arena, struct service_model *out)
{
    if (place >= m->count)
        return false;
    pthread_mutex_lock(&m->lock);
    const struct model_slot *slot = &m->slots[place];
    struct served_model *version = served_model_retain(slot->current);
    pthread_mutex_unlock(&m->lock);
    *out = version ? version->facts : (struct service_model){.name = slot->name};
    const bool copied = served_facts_copy(out, arena);
    served_model_release(version);
    return copied;
}

/* ---- reloading ---------------------------------------------------------------------------------------- */

void models_end_reloads(struct models *m)
{
    pthread_mutex_lock(&m->lock);
    m->reloads_ended = true;
    pthread_cond_broadcast(&m->changed);
    pthread_mutex_unlock(&m->lock);
}

/* Opens the files of slot number `place` again. If the new version passes its test, it takes the place of the
 * old one. */
static enum dp_status reload_slot(struct call *call, struct models *m, size_t place, struct model_change *change)
{
    struct model_slot *slot = &m->slots[place];
    struct served_model *version = NULL, *old = NULL;
    pthread_mutex_lock(&m->lock);
    enum dp_status status = begin_opening(call, m, true);
    pthread_mutex_unlock(&m->lock);
    if (status != DP_OK)
        return status;
    const int64_t began = os_now_ns();
    status = open_version(call, m, place, &version);
    pthread_mutex_lock(&m->lock);
    if (status == DP_OK) {
        old = slot->current;
        note_version(slot, version);
        served_model_retain(version);
        slot->retry_ns = 0;
    }
    end_opening(m);
    pthread_mutex_unlock(&m->lock);
    metric_add(status == DP_OK ? m->reloaded : m->refused, 1);
    if (status == DP_OK) {
        change->after = version->facts;
        change->before = old ? old->facts.fingerprint : span_of(NULL, 0);
        change->ms = (os_now_ns() - began) / 1000000;
        change->before = arena_copy(call->arena, change->before);
        if (!served_facts_copy(&change->after, call->arena))
            status = call_nomem(call, "the facts of a model");
        free_memory(m, place);
    }
    served_model_release(version);
    served_model_release(old);
    return status;
}

static bool is_open(struct models *m, size_t place)
{
    pthread_mutex_lock(&m->lock);
    const bool open = m->slots[place].current;
    pthread_mutex_unlock(&m->lock);
    return open;
}

enum dp_status models_reload(struct call *call, struct models *m, struct span name, struct model_change **changes,
                             size_t *count)
{
    const size_t place = models_place(m, name);
    *count = 0;
    if (m->count && !m->sources.open)
        return call_fail(call, DP_UNSUPPORTED, "the model was not read from files, so it cannot be reloaded");
    if (place >= m->count)
        return fail_unknown(call, m, name);
    *changes = arena_calloc(call->arena, m->count, sizeof **changes);
    if (!*changes)
        return call_nomem(call, "the list of models");
    for (size_t i = 0; i < m->count; i++) {
        struct model_change *change = &(*changes)[*count];
        if (name.len ? i != place : !is_open(m, i))
            continue;
        enum dp_status status = reload_slot(call, m, i, change);
        *count += status == DP_OK;
        if (status == DP_OK)
            continue;
        struct service_model model;
        if (models_describe(m, i, call->arena, &model))
            dp_error_prefix(&call->error, "model %.*s was not reloaded, %s", SPAN_FMT(model.name),
                            is_open(m, i) ? "its old version goes on serving" : "and no version of it is open");
        const bool is_fault =
            status != DP_DEADLINE && status != DP_CANCELLED && status != DP_NOMEM && status != DP_UNAVAILABLE;
        return is_fault ? call_restatus(call, DP_CONFLICT) : status;
    }
    return DP_OK;
}
