/* served_model.c: prepares a model for serving: learns its special tokens and its names. */
#include "service/served_model.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"

static const char DEFAULT_PREFIX[] = "sentence-transformers/";

/* Writes the other name by which clients may know the model. For "org/name" it is "name"; for a name without a
 * slash it is "sentence-transformers/name", as on the model hub. Returns its length in bytes. */
static size_t write_other_name(struct span name, uint8_t *to)
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

/* Copies the options' aliases, and adds the model's other name. */
static enum dp_status keep_aliases(struct served_model *m, const struct service_options *options,
                                   struct dp_error *error)
{
    size_t count = options->model_alias_count + 1;
    size_t bytes = sizeof DEFAULT_PREFIX + m->facts.name.len;
    for (size_t i = 0; i < options->model_alias_count; i++)
        bytes += options->model_aliases[i].len;
    m->aliases = mem_alloc(count * sizeof *m->aliases + bytes);
    if (!m->aliases)
        return dp_fail_nomem(error, "the model's names");
    uint8_t *to = (uint8_t *)(m->aliases + count);
    for (size_t i = 0; i < options->model_alias_count; i++) {
        struct span alias = options->model_aliases[i];
        if (alias.len)
            memcpy(to, alias.data, alias.len);
        m->aliases[m->alias_count++] = span_of(to, alias.len);
        to += alias.len;
    }
    m->aliases[m->alias_count++] = span_of(to, write_other_name(m->facts.name, to));
    return DP_OK;
}

/* Learns the special tokens: an empty text has no other tokens. The special tokens before a text are those with
 * which both the empty text and "a" begin. */
static enum dp_status learn_special_tokens(struct served_model *m, struct dp_error *error)
{
    struct arena arena;
    struct tokens empty, word;
    arena_init(&arena, 1 << 20);
    enum dp_status status = tokenizer_encode(m->tokenizer, span_str(""), 0, &arena, &empty, error);
    if (status == DP_OK)
        status = tokenizer_encode(m->tokenizer, span_str("a"), 0, &arena, &word, error);
    if (status == DP_OK && empty.count > SERVED_SPECIAL_MAX)
        status = dp_fail(error, DP_UNSUPPORTED, "the tokenizer frames a text by %zu special tokens", empty.count);
    if (status == DP_OK) {
        m->special_count = empty.count;
        for (size_t i = 0; i < empty.count; i++)
            m->special[i] = empty.ids[i];
        while (m->special_before < empty.count && empty.ids[m->special_before] == word.ids[m->special_before])
            m->special_before++;
    }
    arena_deinit(&arena);
    return status;
}

static enum dp_status check_room(const struct served_model *m, struct dp_error *error)
{
    const uint32_t max_tokens = m->facts.max_tokens;
    if (max_tokens <= model_prompt_tokens_max(m->model))
        return dp_fail(error, DP_INVALID, "texts of at most %u tokens have no room behind a prompt of %zu",
                       max_tokens, model_prompt_tokens_max(m->model));
    if (max_tokens <= m->special_count)
        return dp_fail(error, DP_INVALID,
                       "texts of at most %u tokens have no room beside the model's %zu special tokens", max_tokens,
                       m->special_count);
    return DP_OK;
}

enum dp_status served_model_new(const struct service_options *options, struct team *team,
                                struct served_model **out, struct dp_error *error)
{
    struct served_model *m = mem_calloc(1, sizeof *m);
    *out = NULL;
    if (!m) {
        model_free(options->model);
        return dp_fail_nomem(error, "the model");
    }
    atomic_init(&m->references, 1);
    m->is_borrowed = options->borrowed_model != NULL;
    m->model = m->is_borrowed ? options->borrowed_model : options->model;
    m->tokenizer = model_tokenizer(m->model);
    const struct model_info *info = model_info(m->model);
    m->facts = (struct service_model){
        .name = span_str(info->name),
        .fingerprint = span_str(info->fingerprint),
        .dim = (uint32_t)info->dim,
        .max_tokens = (uint32_t)info->max_tokens,
        .loaded_s = os_wall_ms() / 1000,
    };
    if (options->max_tokens && options->max_tokens < m->facts.max_tokens)
        m->facts.max_tokens = options->max_tokens;
    cache_keys_begin(&m->key_prefix, info, m->facts.max_tokens);
    enum dp_status status = learn_special_tokens(m, error);
    if (status == DP_OK)
        status = check_room(m, error);
    if (status == DP_OK)
        status = keep_aliases(m, options, error);
    if (status == DP_OK)
        status = embedder_new(m->model, team, NULL, &m->embedder, error);
    if (status != DP_OK) {
        served_model_release(m);
        return status;
    }
    *out = m;
    return DP_OK;
}

struct served_model *served_model_retain(struct served_model *m)
{
    if (m)
        atomic_fetch_add_explicit(&m->references, 1, memory_order_relaxed);
    return m;
}

void served_model_release(struct served_model *m)
{
    if (!m || atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) > 1)
        return;
    embedder_free(m->embedder);
    if (!m->is_borrowed)
        model_free(m->model);
    mem_free(m->aliases);
    mem_free(m);
}

bool served_model_is(const struct served_model *m, struct span name)
{
    for (size_t i = 0; i < m->alias_count; i++)
        if (span_equal(m->aliases[i], name))
            return true;
    return span_equal(m->facts.name, name);
}

enum dp_status served_model_add_metrics(struct served_model *m, struct metric_registry *registry,
                                        struct dp_error *error)
{
    char labels[METRIC_LABELS_MAX] = "", dim[12];
    enum dp_status status = embedder_add_metrics(m->embedder, registry, error);
    if (status != DP_OK)
        return status;
    snprintf(dim, sizeof dim, "%u", (unsigned)m->facts.dim);
    metric_add_label(labels, "model", m->facts.name);
    metric_add_label(labels, "dim", span_str(dim));
    metric_add_label(labels, "fingerprint", m->facts.fingerprint);
    struct metric *info = metric_gauge(registry, "dipper_model_info", labels, "The model that is loaded.");
    metric_set(info, 1); /* the value never changes; the labels carry the facts */
    return info ? DP_OK : dp_fail_nomem(error, "metrics");
}
