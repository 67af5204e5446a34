/* embed.c: texts or tokens in, vectors out: from the cache, from another request that is just computing the same, or
 * computed.
 *
 * The request thread tokenizes; the embedder forks the work over the compute team. Vectors never depend on
 * what else was in the batch.
 */
#include <math.h>

#include "base/base64.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/gate.h"
#include "service/service_impl.h"

/* One request. Arrays have one element an input, and live in the call's arena. */
struct work {
    const struct embed_request *request;
    uint32_t dim; /* of the answer */
    struct embed_item *items;
    float *vectors;     /* [count][dim] */
    struct span *texts; /* NULL: no printed forms */
};

/* `[0.1,…]`; data NULL when out of memory. */
static struct span print_json(struct arena *arena, const float *vector, uint32_t dim)
{
    char *text = arena_alloc(arena, (size_t)dim * (JSON_FLOAT_MAX + 1) + JSON_FLOAT_ROOM + 1);
    if (!text)
        return span_of(NULL, 0);
    text[0] = '[';
    size_t len = 1 + json_format_floats(vector, dim, text + 1);
    text[len - 1] = ']'; /* in place of the last comma */
    return span_of(text, len);
}

/* Base 64 of the little-endian floats, between quotes. */
static struct span print_base64(struct arena *arena, const float *vector, uint32_t dim)
{
    size_t chars = base64_length(dim * sizeof *vector);
    uint8_t *text = arena_alloc(arena, chars + 2);
    if (!text)
        return span_of(NULL, 0);
    text[0] = text[chars + 1] = '"';
    base64_write(span_of(vector, dim * sizeof *vector), text + 1);
    return span_of(text, chars + 2);
}

static enum dp_status refuse_long(struct call *call, const struct service *s, const struct work *w, size_t i)
{
    if (!w->items[i].truncated || !w->request->refuse_long)
        return DP_OK;
    return call_fail(call, DP_TOO_LARGE, "a text of %u tokens is over the model's limit of %u", w->items[i].total,
                     s->facts.max_tokens);
}

/* The tokens of an input that the client tokenized: framed by special tokens unless they are there already, and
 * cut to the model's limit. */
static enum dp_status frame_tokens(struct call *call, const struct service *s, const struct embed_input *input,
                                   size_t place, struct tokens *out)
{
    size_t limit = s->facts.max_tokens, behind = s->special_count - s->special_before;
    uint32_t id_limit = tokenizer_id_limit(s->tokenizer);
    for (size_t i = 0; i < input->id_count; i++)
        if (input->ids[i] < 0 || (uint32_t)input->ids[i] >= id_limit)
            return call_fail(call, DP_INVALID, "input %zu: %d is not a token of the model (0 to %u)", place,
                             input->ids[i], id_limit - 1);
    bool framed = input->id_count >= s->special_count && s->special_count > 0;
    for (size_t i = 0; framed && i < s->special_before; i++)
        framed = input->ids[i] == s->special[i];
    for (size_t i = 0; framed && i < behind; i++)
        framed = input->ids[input->id_count - behind + i] == s->special[s->special_before + i];
    const int32_t *ids = input->ids + (framed ? s->special_before : 0);
    size_t count = input->id_count - (framed ? s->special_count : 0);
    *out = (struct tokens){.total = count + s->special_count};
    out->truncated = out->total > limit;
    if (out->truncated)
        count = limit - s->special_count;
    out->count = count + s->special_count;
    out->ids = arena_array(call->arena, out->count, sizeof *out->ids);
    if (!out->ids)
        return call_nomem(call, "tokens");
    memcpy(out->ids, s->special, s->special_before * sizeof *ids);
    if (count)
        memcpy(out->ids + s->special_before, ids, count * sizeof *ids);
    memcpy(out->ids + s->special_before + count, s->special + s->special_before, behind * sizeof *ids);
    return DP_OK;
}

static enum dp_status tokenize(struct call *call, const struct service *s, const struct work *w, size_t i,
                               struct tokens *tokens)
{
    const struct embed_input *input = &w->request->inputs[i];
    enum dp_status status;
    if (input->ids)
        status = frame_tokens(call, s, input, i, tokens);
    else
        status = model_encode(s->model, w->request->kind, input->text, s->facts.max_tokens, call->arena, tokens,
                              &call->error);
    if (status == DP_OK)
        status = call_check(call);
    if (status != DP_OK)
        return status;
    w->items[i] = (struct embed_item){
        .tokens = (uint32_t)tokens->count,
        .total = tokens->total > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens->total,
        .truncated = tokens->truncated,
    };
    return refuse_long(call, s, w, i);
}

/* The first `keep` numbers of a vector, of unit length again when asked. */
static void shorten(const float *vector, uint32_t keep, bool normalize, float *to)
{
    double sum = 0;
    memcpy(to, vector, keep * sizeof *to);
    for (uint32_t d = 0; d < keep; d++)
        sum += (double)to[d] * (double)to[d];
    if (!normalize || !(sum > 0))
        return;
    float scale = (float)(1 / sqrt(sum));
    for (uint32_t d = 0; d < keep; d++)
        to[d] *= scale;
}

static enum dp_status tokenize_all(struct call *call, const struct service *s, const struct work *w,
                                   const size_t *places, size_t count, struct tokens *tokens)
{
    int64_t began = os_now_ns();
    enum dp_status status = DP_OK;
    for (size_t n = 0; n < count && status == DP_OK; n++)
        status = tokenize(call, s, w, places[n], &tokens[n]);
    call->cost.tokenize_ns += (uint64_t)(os_now_ns() - began);
    return status;
}

/* Embeds the inputs at places[count], which have these tokens. */
static enum dp_status compute(struct call *call, struct service *s, const struct work *w, const size_t *places,
                              const struct tokens *tokens, size_t count)
{
    int64_t began = os_now_ns();
    uint32_t dim = s->facts.dim;
    float *whole = arena_array(call->arena, count * dim, sizeof *whole);
    if (!whole)
        return call_nomem(call, "vectors");
    enum dp_status status = embedder_embed(call, s->embedder, tokens, count, w->request->normalize, whole);
    if (status != DP_OK)
        return status;
    for (size_t n = 0; n < count; n++) {
        float *to = w->vectors + places[n] * w->dim;
        if (w->dim < dim)
            shorten(whole + n * dim, w->dim, w->request->normalize, to);
        else
            memcpy(to, whole + n * dim, dim * sizeof *to);
    }
    metric_observe(s->count.embed_seconds, (double)(os_now_ns() - began) * 1e-9);
    return DP_OK;
}

/* Without a cache. */
static enum dp_status compute_all(struct call *call, struct service *s, const struct work *w, size_t *places)
{
    size_t count = w->request->count;
    struct tokens *tokens = arena_array(call->arena, count, sizeof *tokens);
    if (!tokens)
        return call_nomem(call, "tokens");
    for (size_t i = 0; i < count; i++)
        places[i] = i;
    enum dp_status status = tokenize_all(call, s, w, places, count, tokens);
    return status == DP_OK ? compute(call, s, w, places, tokens, count) : status;
}

/* ---- through the cache ------------------------------------------------------------------------------ */

/* An input on its way through the cache. */
struct passage {
    struct cache_key key;
    struct vector_entry *entry; /* LEADS (NULL: computed for nobody else), WAITS */
    enum { OPEN, LEADS, WAITS, DONE } state;
};

static void make_keys(const struct service *s, const struct work *w, struct passage *passages)
{
    struct sha256_state keys;
    const struct prompts *prompts = model_prompts(s->model);
    cache_keys_of_output(&s->model_keys, w->request->normalize, w->dim, &keys);
    for (size_t i = 0; i < w->request->count; i++) {
        const struct embed_input *input = &w->request->inputs[i];
        passages[i].state = OPEN;
        if (input->ids)
            cache_key_of_tokens(&keys, input->ids, input->id_count, &passages[i].key);
        else
            cache_key_of_text(&keys, prompts->of[w->request->kind], prompts->are_skipped, input->text,
                              &passages[i].key);
    }
}

static struct vector_read read_of(const struct work *w, size_t i)
{
    return (struct vector_read){.form = w->request->form, .dim = w->dim, .vector = w->vectors + i * w->dim};
}

static void take(const struct work *w, size_t i, const struct vector_read *read, bool cached)
{
    w->items[i] = (struct embed_item){.tokens = read->facts.tokens,
                                      .total = read->facts.total,
                                      .truncated = read->facts.truncated,
                                      .cached = cached};
    if (w->texts)
        w->texts[i] = read->text;
}

/* Asks for every open input; answers how many this request leads, and their places. */
static size_t ask_all(struct call *call, struct service *s, const struct work *w, struct passage *passages,
                      size_t *places)
{
    size_t leads = 0;
    for (size_t i = 0; i < w->request->count; i++) {
        struct passage *p = &passages[i];
        struct vector_read read = read_of(w, i);
        if (p->state != OPEN)
            continue;
        switch (vector_cache_ask(s->cache, &p->key, call->arena, &read, &p->entry)) {
        case FLIGHT_HIT:
            take(w, i, &read, true);
            p->state = DONE;
            metric_add(s->count.l1_hits, 1);
            continue;
        case FLIGHT_WAIT:
            p->state = WAITS;
            metric_add(s->count.waits, 1);
            continue;
        case FLIGHT_LEAD:
        case FLIGHT_NOMEM: break;
        }
        p->state = LEADS;
        places[leads++] = i;
    }
    return leads;
}

/* Takes what Redis has; answers how many are left, and moves their places and tokens to the front. A value there is a
 * vector and nothing else: what it is to be told of its text is known from the tokens. */
static size_t read_redis(struct call *call, struct service *s, const struct work *w,
                         const struct passage *passages, size_t *places, struct tokens *tokens, size_t count)
{
    size_t left = 0;
    struct redis_read *reads = s->redis ? arena_array(call->arena, count, sizeof *reads) : NULL;
    if (!reads)
        return count;
    for (size_t n = 0; n < count; n++)
        reads[n] = (struct redis_read){.key = &passages[places[n]].key, .vector = w->vectors + places[n] * w->dim};
    redis_cache_read(call, s->redis, reads, count, w->dim);
    for (size_t n = 0; n < count; n++) {
        size_t i = places[n];
        w->items[i].cached = reads[n].found;
        if (reads[n].found)
            continue;
        tokens[left] = tokens[n];
        places[left++] = i;
    }
    metric_add(s->count.l2_hits, (int64_t)(count - left));
    return left;
}

/* From Redis, or computed and then given to it. */
static enum dp_status find_or_compute(struct call *call, struct service *s, const struct work *w,
                                      const struct passage *passages, size_t *places, size_t count)
{
    struct tokens *tokens = arena_array(call->arena, count, sizeof *tokens);
    if (!tokens)
        return call_nomem(call, "tokens");
    enum dp_status status = tokenize_all(call, s, w, places, count, tokens);
    if (status != DP_OK)
        return status;
    size_t left = read_redis(call, s, w, passages, places, tokens, count);
    metric_add(s->count.misses, (int64_t)left);
    if (left == 0)
        return DP_OK;
    status = compute(call, s, w, places, tokens, left);
    for (size_t n = 0; n < left && status == DP_OK && s->redis; n++)
        redis_cache_write(s->redis, &passages[places[n]].key, w->vectors + places[n] * w->dim, w->dim);
    return status;
}

/* Gets what this request leads, and lets those who wait for it have it. */
static enum dp_status lead(struct call *call, struct service *s, const struct work *w, struct passage *passages,
                           size_t *places, size_t count)
{
    enum dp_status status = find_or_compute(call, s, w, passages, places, count);
    for (size_t i = 0; i < w->request->count; i++) {
        if (passages[i].state != LEADS)
            continue;
        const struct embed_item *item = &w->items[i];
        const struct vector_facts facts = {item->tokens, item->total, item->truncated};
        passages[i].state = DONE;
        if (passages[i].entry)
            vector_cache_land(s->cache, passages[i].entry, status == DP_OK ? w->vectors + i * w->dim : NULL,
                              &facts);
    }
    return status;
}

/* Takes what others led; what they failed to get is open again. */
static enum dp_status wait_all(struct call *call, struct service *s, const struct work *w,
                               struct passage *passages, enum dp_status status)
{
    for (size_t i = 0; i < w->request->count; i++) {
        struct passage *p = &passages[i];
        struct vector_read read = read_of(w, i);
        if (p->state != WAITS)
            continue;
        p->state = OPEN;
        if (status != DP_OK) {
            vector_cache_leave(s->cache, p->entry);
            continue;
        }
        enum flight_end end = vector_cache_wait(call, s->cache, p->entry, &read);
        if (end == FLIGHT_LANDED) {
            take(w, i, &read, false);
            p->state = DONE;
        } else if (end == FLIGHT_LEFT) {
            status = call->error.status;
        }
    }
    return status;
}

static bool all_done(const struct work *w, const struct passage *passages)
{
    for (size_t i = 0; i < w->request->count; i++)
        if (passages[i].state != DONE)
            return false;
    return true;
}

/* Whoever leads lands before waiting, so no two requests wait for each other. */
static enum dp_status embed_through_cache(struct call *call, struct service *s, const struct work *w,
                                          struct passage *passages, size_t *places)
{
    enum dp_status status = DP_OK;
    make_keys(s, w, passages);
    do {
        size_t leads = ask_all(call, s, w, passages, places);
        if (leads)
            status = lead(call, s, w, passages, places, leads);
        status = wait_all(call, s, w, passages, status);
    } while (status == DP_OK && !all_done(w, passages));
    for (size_t i = 0; i < w->request->count && status == DP_OK; i++)
        status = refuse_long(call, s, w, i);
    return status;
}

/* Prints what was cached without its printed form, for this answer and those to come. Done for a vector's second
 * reader: what is asked for once is not worth the room. */
static void attach_texts(struct call *call, struct service *s, const struct work *w,
                         const struct passage *passages)
{
    for (size_t i = 0; w->texts && i < w->request->count; i++) {
        const float *vector = w->vectors + i * w->dim;
        if (!w->items[i].cached || w->texts[i].data)
            continue;
        w->texts[i] = w->request->form == VECTOR_JSON ? print_json(call->arena, vector, w->dim)
                                                      : print_base64(call->arena, vector, w->dim);
        if (w->texts[i].data)
            vector_cache_attach(s->cache, &passages[i].key, w->request->form, w->texts[i]);
    }
}

/* ---- requests --------------------------------------------------------------------------------------- */

static enum dp_status check(struct call *call, const struct service *s, const struct embed_request *request)
{
    size_t count = request->count;
    enum dp_status status = service_need_model(call, s);
    if (status != DP_OK)
        return status;
    if (count == 0 || count > s->batch_max)
        return call_fail(call, DP_INVALID, "a request embeds 1 to %zu texts, not %zu", s->batch_max, count);
    if (request->dimensions > s->facts.dim)
        return call_fail(call, DP_INVALID, "%u dimensions were asked of a model that has %u", request->dimensions,
                         s->facts.dim);
    for (size_t i = 0; i < count; i++) {
        const struct embed_input *input = &request->inputs[i];
        if (input->ids && !s->token_input)
            return call_fail(call, DP_INVALID, "input %zu holds token ids, which this server does not take", i);
        if (input->ids ? input->id_count == 0 : input->text.len == 0)
            return call_fail(call, DP_INVALID, count == 1 ? "the text is empty" : "the text at place %zu is empty",
                             i);
    }
    return DP_OK;
}

static bool begin(struct call *call, const struct service *s, const struct embed_request *request, struct work *w)
{
    size_t count = request->count;
    *w = (struct work){.request = request, .dim = request->dimensions ? request->dimensions : s->facts.dim};
    w->items = arena_array(call->arena, count, sizeof *w->items);
    w->vectors = arena_array(call->arena, count * w->dim, sizeof *w->vectors);
    if (request->form != VECTOR_FLOATS && s->cache) {
        w->texts = arena_calloc(call->arena, count, sizeof *w->texts);
        if (!w->texts)
            return false;
    }
    return w->items && w->vectors;
}

/* Fills the response, and counts its texts in the call's costs and in the metrics. */
static void finish(struct call *call, struct service *s, const struct work *w, struct embed_response *response)
{
    *response =
        (struct embed_response){.vectors = w->vectors, .texts = w->texts, .items = w->items, .dim = w->dim};
    for (size_t i = 0; i < w->request->count; i++) {
        response->tokens += w->items[i].tokens;
        response->truncated += w->items[i].truncated;
        call->cost.cached_texts += w->items[i].cached;
        metric_observe(s->count.text_tokens, w->items[i].tokens);
    }
    call->cost.texts += w->request->count;
    call->cost.text_tokens += response->tokens;
    metric_add(s->count.texts, (int64_t)w->request->count);
    metric_add(s->count.tokens, (int64_t)response->tokens);
    metric_add(s->count.truncated, (int64_t)response->truncated);
}

enum dp_status service_embed(struct call *call, struct service *s, const struct embed_request *request,
                             struct embed_response *response)
{
    struct work w;
    enum dp_status status = check(call, s, request);
    if (status == DP_OK)
        status = gate_spend(call, request->count);
    if (status != DP_OK)
        return status;
    size_t *places = arena_array(call->arena, request->count, sizeof *places);
    struct passage *passages = arena_array(call->arena, request->count, sizeof *passages);
    if (!places || !passages || !begin(call, s, request, &w))
        return call_nomem(call, "vectors");
    status = s->cache ? embed_through_cache(call, s, &w, passages, places) : compute_all(call, s, &w, places);
    if (status != DP_OK)
        return status;
    attach_texts(call, s, &w, passages);
    finish(call, s, &w, response);
    return DP_OK;
}

/* Reads every vector from the memory tier; false when one is missing. */
static bool read_cached(struct call *call, struct service *s, const struct work *w, struct passage *passages)
{
    make_keys(s, w, passages);
    for (size_t i = 0; i < w->request->count; i++) {
        struct vector_read read = read_of(w, i);
        if (!vector_cache_read(s->cache, &passages[i].key, call->arena, &read) ||
            (read.facts.truncated && w->request->refuse_long))
            return false;
        take(w, i, &read, true);
    }
    return true;
}

enum embed_cached service_embed_cached(struct call *call, struct service *s, const struct embed_request *request,
                                       struct embed_response *response)
{
    struct work w;
    if (!s->cache || request->count > SERVICE_AT_ONCE_MAX)
        return EMBED_NOT_CACHED;
    struct passage *passages = arena_array(call->arena, request->count, sizeof *passages);
    if (check(call, s, request) != DP_OK || !passages || !begin(call, s, request, &w) ||
        !read_cached(call, s, &w, passages)) {
        dp_error_clear(&call->error);
        return EMBED_NOT_CACHED;
    }
    const enum gate_answer paid = gate_try_spend(call, request->count);
    if (paid != GATE_GRANTED)
        return paid == GATE_REFUSED ? EMBED_REFUSED : EMBED_NOT_CACHED;
    metric_add(s->count.l1_hits, (int64_t)request->count);
    attach_texts(call, s, &w, passages);
    finish(call, s, &w, response);
    return EMBED_CACHED;
}
