/* served_model.c: prepares a model for serving: learns its special tokens and its names. */
#include "service/served_model.h"

#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/memory.h"

enum { TEST_TEXTS = 2 };

static const char DEFAULT_PREFIX[] = "sentence-transformers/";

bool served_name_is(struct span name, struct span asked)
{
    const size_t prefix = sizeof DEFAULT_PREFIX - 1;
    const uint8_t *slash = name.len > 0 ? memchr(name.data, '/', name.len) : NULL;
    if (name.len == 0 || span_equal(name, asked))
        return name.len > 0;
    if (slash) {
        const size_t behind = (size_t)(slash + 1 - name.data);
        return span_equal(span_of(slash + 1, name.len - behind), asked);
    }
    return span_starts_with(asked, span_str(DEFAULT_PREFIX)) &&
           span_equal(span_of(asked.data + prefix, asked.len - prefix), name);
}

/* Copies the options' names. */
static enum dp_status keep_names(struct served_model *m, const struct served_options *options,
                                 struct dp_error *error)
{
    size_t count = options->alias_count, bytes = options->name.len + 1;
    for (size_t i = 0; i < count; i++)
        bytes += options->aliases[i].len;
    m->aliases = mem_alloc(count * sizeof *m->aliases + bytes);
    if (!m->aliases)
        return dp_fail_nomem(error, "the model's names");
    uint8_t *to = (uint8_t *)(m->aliases + count);
    for (size_t i = 0; i < count; i++) {
        struct span alias = options->aliases[i];
        if (alias.len)
            memcpy(to, alias.data, alias.len);
        m->aliases[m->alias_count++] = span_of(to, alias.len);
        to += alias.len;
    }
    if (options->name.len) {
        memcpy(to, options->name.data, options->name.len);
        m->facts.name = span_of(to, options->name.len);
    }
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

enum dp_status served_model_new(const struct served_options *options, struct served_model **out,
                                struct dp_error *error)
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
        .engine = info->engine,
        .memory = info->memory,
    };
    if (options->max_tokens && options->max_tokens < m->facts.max_tokens)
        m->facts.max_tokens = options->max_tokens;
    cache_keys_begin(&m->key_prefix, info, m->facts.max_tokens);
    enum dp_status status = learn_special_tokens(m, error);
    if (status == DP_OK)
        status = check_room(m, error);
    if (status == DP_OK)
        status = keep_names(m, options, error);
    if (status == DP_OK)
        status = embedder_new(m->model, options->team, NULL, &m->embedder, error);
    if (status == DP_OK && options->metrics)
        embedder_set_metrics(m->embedder, options->metrics);
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
    os_trim_memory(); /* the next version is already in memory, or another model needs the room */
}

bool served_model_is(const struct served_model *m, struct span name)
{
    for (size_t i = 0; i < m->alias_count; i++)
        if (span_equal(m->aliases[i], name))
            return true;
    return served_name_is(m->facts.name, name) || served_name_is(span_str(model_info(m->model)->name), name);
}

bool served_facts_copy(struct service_model *facts, struct arena *arena)
{
    facts->name = arena_copy(arena, facts->name);
    facts->fingerprint = arena_copy(arena, facts->fingerprint);
    facts->engine = arena_printf(arena, "%s", facts->engine ? facts->engine : "");
    return facts->name.data && facts->fingerprint.data && facts->engine;
}

/* Whether a vector is finite and has length 1, but for rounding. */
static bool is_unit(const float *vector, size_t dim)
{
    double sum = 0;
    for (size_t d = 0; d < dim; d++)
        sum += (double)vector[d] * (double)vector[d];
    return sum > 0.99 && sum < 1.01; /* false for NaN and infinity */
}

enum dp_status served_model_test(struct call *call, struct served_model *m)
{
    static const char *const texts[TEST_TEXTS] = {"The cat sits on the mat.",
                                                  "Stock prices fell by 3% in May 1999"};
    struct tokens seqs[TEST_TEXTS];
    const size_t dim = m->facts.dim;
    float *vectors = arena_array(call->arena, TEST_TEXTS * dim, sizeof *vectors);
    enum dp_status status = vectors ? DP_OK : call_nomem(call, "the test of a model");
    for (size_t i = 0; i < TEST_TEXTS && status == DP_OK; i++)
        status = model_encode(m->model, TEXT_PLAIN, span_str(texts[i]), m->facts.max_tokens, call->arena, &seqs[i],
                              &call->error);
    if (status == DP_OK)
        status = embedder_embed(call, m->embedder, seqs, TEST_TEXTS, true, vectors);
    if (status != DP_OK)
        return status;
    double cosine = 0;
    for (size_t d = 0; d < dim; d++)
        cosine += (double)vectors[d] * (double)vectors[dim + d];
    if (!is_unit(vectors, dim) || !is_unit(vectors + dim, dim))
        return call_fail(call, DP_CORRUPT,
                         "the model's vectors have numbers that are not finite, or are all zero");
    return cosine < 0.9999 ? DP_OK
                           : call_fail(call, DP_CORRUPT, "the model gives two different texts the same vector");
}
