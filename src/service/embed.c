/* embed.c: turns texts or tokens into vectors. A vector comes from the cache, from another request that is
 * computing it, or from the embedder.
 *
 * A large request goes through the cache in slices. So it leads few texts at a time, others do not wait long for one
 * of them, and what was computed before its time limit stays in the cache.
 *
 * The request thread tokenizes; the embedder spreads the work over the compute team. A vector never depends on the
 * other texts of its batch.
 */
#include <math.h>

#include "base/base64.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/gate.h"
#include "service/service_impl.h"

enum {
    /* A slice has enough texts to keep each worker of the team busy for some time. */
    SLICE_TEXTS = 128,
    SLICE_BYTES = 32 << 10, /* of the texts */
};

/* One request. Arrays have an element for each input, and live in the call's arena. */
struct embed_work {
    struct service *service;
    struct served_model *model;
    const struct embed_request *request;
    uint32_t dim; /* of the answer */
    struct embed_item *items;
    float *vectors;     /* [count][dim] */
    struct span *texts; /* printed forms of the vectors; NULL: the request wants floats, or there is no cache */
    struct passage *passages;
    size_t first, end; /* the slice that is on its way through the cache */
};

/* Prints `[0.1,…]`. Data NULL: out of memory. */
static struct span print_vector_json(struct arena *arena, const float *vector, uint32_t dim)
{
    char *text = arena_alloc(arena, (size_t)dim * (JSON_FLOAT_MAX + 1) + JSON_FLOAT_ROOM + 1);
    if (!text)
        return span_of(NULL, 0);
    text[0] = '[';
    size_t len = 1 + json_format_floats(vector, dim, text + 1);
    text[len - 1] = ']'; /* in place of the last comma */
    return span_of(text, len);
}

/* Prints base 64 of the little-endian floats, between quotes. Data NULL: out of memory. */
static struct span print_vector_base64(struct arena *arena, const float *vector, uint32_t dim)
{
    size_t chars = base64_length(dim * sizeof *vector);
    uint8_t *text = arena_alloc(arena, chars + 2);
    if (!text)
        return span_of(NULL, 0);
    text[0] = text[chars + 1] = '"';
    base64_write(span_of(vector, dim * sizeof *vector), text + 1);
    return span_of(text, chars + 2);
}

static enum dp_status refuse_long(struct call *call, const struct embed_work *r, size_t i)
{
    if (!r->items[i].truncated || !r->request->refuse_long)
        return DP_OK;
    return call_fail(call, DP_TOO_LARGE, "a text of %u tokens is over the model's limit of %u", r->items[i].total,
                     r->model->facts.max_tokens);
}

/* Makes the tokens of an input that the client tokenized: adds special tokens unless it has them, and cuts it to
 * the model's limit. */
static enum dp_status frame_tokens(struct call *call, const struct served_model *m,
                                   const struct embed_input *input, size_t place, struct tokens *out)
{
    size_t limit = m->facts.max_tokens, behind = m->special_count - m->special_before;
    uint32_t id_limit = tokenizer_id_limit(m->tokenizer);
    for (size_t i = 0; i < input->id_count; i++)
        if (input->ids[i] < 0 || (uint32_t)input->ids[i] >= id_limit)
            return call_fail(call, DP_INVALID, "input %zu: %d is not a token of the model (0 to %u)", place,
                             input->ids[i], id_limit - 1);
    bool framed = input->id_count >= m->special_count && m->special_count > 0;
    for (size_t i = 0; framed && i < m->special_before; i++)
        framed = input->ids[i] == m->special[i];
    for (size_t i = 0; framed && i < behind; i++)
        framed = input->ids[input->id_count - behind + i] == m->special[m->special_before + i];
    const int32_t *ids = input->ids + (framed ? m->special_before : 0);
    size_t count = input->id_count - (framed ? m->special_count : 0);
    *out = (struct tokens){.total = count + m->special_count};
    out->truncated = out->total > limit;
    if (out->truncated)
        count = limit - m->special_count;
    out->count = count + m->special_count;
    out->ids = arena_array(call->arena, out->count, sizeof *out->ids);
    if (!out->ids)
        return call_nomem(call, "tokens");
    memcpy(out->ids, m->special, m->special_before * sizeof *ids);
    if (count)
        memcpy(out->ids + m->special_before, ids, count * sizeof *ids);
    memcpy(out->ids + m->special_before + count, m->special + m->special_before, behind * sizeof *ids);
    return DP_OK;
}

static enum dp_status tokenize_input(struct call *call, const struct embed_work *r, size_t i,
                                     struct tokens *tokens)
{
    const struct embed_input *input = &r->request->inputs[i];
    const struct served_model *m = r->model;
    enum dp_status status;
    if (input->ids)
        status = frame_tokens(call, m, input, i, tokens);
    else
        status = model_encode(m->model, r->request->kind, input->text, m->facts.max_tokens, call->arena, tokens,
                              &call->error);
    if (status == DP_OK)
        status = call_check(call);
    if (status != DP_OK)
        return status;
    r->items[i] = (struct embed_item){
        .tokens = (uint32_t)tokens->count,
        .total = tokens->total > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens->total,
        .truncated = tokens->truncated,
    };
    return refuse_long(call, r, i);
}

/* Copies the first `keep` numbers of a vector, and with `normalize` scales them to length 1. */
static void shorten_vector(const float *vector, uint32_t keep, bool normalize, float *to)
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

static enum dp_status tokenize_all(struct call *call, const struct embed_work *r, const size_t *places,
                                   size_t count, struct tokens *tokens)
{
    int64_t began = os_now_ns();
    enum dp_status status = DP_OK;
    for (size_t n = 0; n < count && status == DP_OK; n++)
        status = tokenize_input(call, r, places[n], &tokens[n]);
    call->cost.tokenize_ns += (uint64_t)(os_now_ns() - began);
    return status;
}

/* Computes the vectors of the inputs at places[count] from their tokens. Sets *done to how many of them it has, also
 * after a failure. */
static enum dp_status compute_vectors(struct call *call, const struct embed_work *r, const size_t *places,
                                      const struct tokens *tokens, size_t count, size_t *done)
{
    int64_t began = os_now_ns();
    uint32_t dim = r->model->facts.dim;
    float *whole = arena_array(call->arena, count * dim, sizeof *whole);
    *done = 0;
    if (!whole)
        return call_nomem(call, "vectors");
    enum dp_status status =
        embedder_embed_some(call, r->model->embedder, tokens, count, r->request->normalize, whole, done);
    for (size_t n = 0; n < *done; n++) {
        float *to = r->vectors + places[n] * r->dim;
        if (r->dim < dim)
            shorten_vector(whole + n * dim, r->dim, r->request->normalize, to);
        else
            memcpy(to, whole + n * dim, dim * sizeof *to);
    }
    if (status == DP_OK)
        metric_observe(r->service->counts.embed_seconds, (double)(os_now_ns() - began) * 1e-9);
    return status;
}

/* Computes all inputs, without a cache. */
static enum dp_status compute_all(struct call *call, const struct embed_work *r, size_t *places)
{
    size_t count = r->request->count, done;
    struct tokens *tokens = arena_array(call->arena, count, sizeof *tokens);
    if (!tokens)
        return call_nomem(call, "tokens");
    for (size_t i = 0; i < count; i++)
        places[i] = i;
    enum dp_status status = tokenize_all(call, r, places, count, tokens);
    return status == DP_OK ? compute_vectors(call, r, places, tokens, count, &done) : status;
}

/* ---- through the cache ------------------------------------------------------------------------------ */

/* The state of an input on its way through the cache. */
struct passage {
    struct cache_key key;
    /* Set in the states LEADS and WAITS. NULL in LEADS: out of memory, so no other request waits for the input. */
    struct vector_entry *entry;
    enum { OPEN, LEADS, WAITS, DONE } state;
    bool found; /* the vector is there */
};

static void make_keys(const struct embed_work *r)
{
    struct sha256_state keys;
    const struct prompts *prompts = model_prompts(r->model->model);
    cache_keys_of_output(&r->model->key_prefix, r->request->normalize, r->dim, &keys);
    for (size_t i = 0; i < r->request->count; i++) {
        const struct embed_input *input = &r->request->inputs[i];
        r->passages[i].state = OPEN;
        r->passages[i].found = false;
        if (input->ids)
            cache_key_of_tokens(&keys, input->ids, input->id_count, &r->passages[i].key);
        else
            cache_key_of_text(&keys, prompts->of[r->request->kind], prompts->are_skipped, input->text,
                              &r->passages[i].key);
    }
}

static struct vector_read read_of(const struct embed_work *r, size_t i)
{
    return (struct vector_read){.form = r->request->form, .dim = r->dim, .vector = r->vectors + i * r->dim};
}

static void take_vector(const struct embed_work *r, size_t i, const struct vector_read *read, bool cached)
{
    r->items[i] = (struct embed_item){.tokens = read->facts.tokens,
                                      .total = read->facts.total,
                                      .truncated = read->facts.truncated,
                                      .cached = cached};
    if (r->texts)
        r->texts[i] = read->text;
}

/* Asks the cache for every open input of the slice. Returns how many inputs this request leads, and their places. */
static size_t ask_all(struct call *call, const struct embed_work *r, size_t *places)
{
    size_t leads = 0;
    for (size_t i = r->first; i < r->end; i++) {
        struct passage *p = &r->passages[i];
        struct vector_read read = read_of(r, i);
        if (p->state != OPEN)
            continue;
        switch (vector_cache_ask(r->service->cache, &p->key, call->arena, &read, &p->entry)) {
        case FLIGHT_HIT:
            take_vector(r, i, &read, true);
            p->state = DONE;
            p->found = true;
            metric_add(r->service->counts.l1_hits, 1);
            continue;
        case FLIGHT_WAIT:
            p->state = WAITS;
            metric_add(r->service->counts.waits, 1);
            continue;
        case FLIGHT_LEAD:
        case FLIGHT_NOMEM: break;
        }
        p->state = LEADS;
        places[leads++] = i;
    }
    return leads;
}

/* Reads vectors from Redis. Returns how many inputs Redis lacks, and moves their places and tokens to the front.
 * Redis stores vectors only; the facts about a text (struct vector_facts) come from its tokens. */
static size_t read_redis(struct call *call, const struct embed_work *r, size_t *places, struct tokens *tokens,
                         size_t count)
{
    size_t left = 0;
    struct redis_read *reads = r->service->redis ? arena_array(call->arena, count, sizeof *reads) : NULL;
    if (!reads)
        return count;
    for (size_t n = 0; n < count; n++)
        reads[n] =
            (struct redis_read){.key = &r->passages[places[n]].key, .vector = r->vectors + places[n] * r->dim};
    redis_cache_read(call, r->service->redis, reads, count, r->dim);
    for (size_t n = 0; n < count; n++) {
        size_t i = places[n];
        r->items[i].cached = r->passages[i].found = reads[n].found;
        if (reads[n].found)
            continue;
        tokens[left] = tokens[n];
        places[left++] = i;
    }
    metric_add(r->service->counts.l2_hits, (int64_t)(count - left));
    return left;
}

/* Takes vectors from Redis, or computes them and writes them there. */
static enum dp_status find_or_compute(struct call *call, const struct embed_work *r, size_t *places, size_t count)
{
    struct tokens *tokens = arena_array(call->arena, count, sizeof *tokens);
    if (!tokens)
        return call_nomem(call, "tokens");
    enum dp_status status = tokenize_all(call, r, places, count, tokens);
    if (status != DP_OK)
        return status;
    size_t done, left = read_redis(call, r, places, tokens, count);
    metric_add(r->service->counts.misses, (int64_t)left);
    if (left == 0)
        return DP_OK;
    status = compute_vectors(call, r, places, tokens, left, &done);
    for (size_t n = 0; n < done; n++) {
        struct passage *p = &r->passages[places[n]];
        p->found = true;
        if (r->service->redis)
            redis_cache_write(r->service->redis, &p->key, r->vectors + places[n] * r->dim, r->dim);
    }
    return status;
}

/* Gets the vectors that this request leads, and lands them for those who wait; after a failure those it has. */
static enum dp_status lead_inputs(struct call *call, const struct embed_work *r, size_t *places, size_t count)
{
    enum dp_status status = find_or_compute(call, r, places, count);
    for (size_t i = r->first; i < r->end; i++) {
        if (r->passages[i].state != LEADS)
            continue;
        const struct embed_item *item = &r->items[i];
        const struct vector_facts facts = {item->tokens, item->total, item->truncated};
        r->passages[i].state = DONE;
        if (r->passages[i].entry)
            vector_cache_land(r->service->cache, r->passages[i].entry,
                              r->passages[i].found ? r->vectors + i * r->dim : NULL, &facts);
    }
    return status;
}

/* Takes the vectors that others led. An input whose leader failed is open again. */
static enum dp_status wait_all(struct call *call, const struct embed_work *r, enum dp_status status)
{
    for (size_t i = r->first; i < r->end; i++) {
        struct passage *p = &r->passages[i];
        struct vector_read read = read_of(r, i);
        if (p->state != WAITS)
            continue;
        p->state = OPEN;
        if (status != DP_OK) {
            vector_cache_leave(r->service->cache, p->entry);
            continue;
        }
        enum flight_end end = vector_cache_wait(call, r->service->cache, p->entry, &read);
        if (end == FLIGHT_LANDED) {
            take_vector(r, i, &read, false);
            p->state = DONE;
            p->found = true;
        } else if (end == FLIGHT_LEFT) {
            status = call->error.status;
        }
    }
    return status;
}

static bool slice_is_done(const struct embed_work *r)
{
    for (size_t i = r->first; i < r->end; i++)
        if (r->passages[i].state != DONE)
            return false;
    return true;
}

/* A request lands all flights that it leads before it waits for others, so no two requests wait for each other. */
static enum dp_status embed_slice(struct call *call, const struct embed_work *r, size_t *places)
{
    enum dp_status status = DP_OK;
    do {
        size_t leads = ask_all(call, r, places);
        if (leads)
            status = lead_inputs(call, r, places, leads);
        status = wait_all(call, r, status);
    } while (status == DP_OK && !slice_is_done(r));
    return status;
}

/* Returns the end of the slice that begins with input `first`. */
static size_t slice_end(const struct embed_work *r, size_t first)
{
    const size_t workers = r->service->team ? team_size(r->service->team) : 1;
    size_t end = first, bytes = 0;
    while (end < r->request->count && end - first < SLICE_TEXTS * workers && bytes < SLICE_BYTES * workers) {
        const struct embed_input *input = &r->request->inputs[end++];
        bytes += input->ids ? input->id_count * sizeof *input->ids : input->text.len;
    }
    return end;
}

/* Says after a time limit how far the request came. */
static enum dp_status fail_late(struct call *call, const struct embed_work *r)
{
    size_t found = 0;
    for (size_t i = 0; i < r->end; i++)
        found += r->passages[i].found;
    return call_fail(
        call, DP_DEADLINE,
        "the time limit came when %zu of %zu texts had their vectors, which the cache keeps: send the "
        "same request again, or fewer texts at a time",
        found, r->request->count);
}

static enum dp_status embed_through_cache(struct call *call, struct embed_work *r, size_t *places)
{
    enum dp_status status = DP_OK;
    make_keys(r);
    for (r->first = 0; r->first < r->request->count && status == DP_OK; r->first = r->end) {
        r->end = slice_end(r, r->first);
        status = embed_slice(call, r, places);
        if (status == DP_DEADLINE)
            return fail_late(call, r);
    }
    for (size_t i = 0; i < r->request->count && status == DP_OK; i++)
        status = refuse_long(call, r, i);
    return status;
}

/* Prints cached vectors that have no printed form yet, and keeps the form for later answers. Only vectors from the
 * cache get one: a form is not worth its memory for a text that is asked for once. */
static void attach_texts(struct call *call, const struct embed_work *r)
{
    for (size_t i = 0; r->texts && i < r->request->count; i++) {
        const float *vector = r->vectors + i * r->dim;
        if (!r->items[i].cached || r->texts[i].data)
            continue;
        r->texts[i] = r->request->form == VECTOR_JSON ? print_vector_json(call->arena, vector, r->dim)
                                                      : print_vector_base64(call->arena, vector, r->dim);
        if (r->texts[i].data)
            vector_cache_attach(r->service->cache, &r->passages[i].key, r->request->form, r->texts[i]);
    }
}

/* ---- requests --------------------------------------------------------------------------------------- */

static enum dp_status embed_check(struct call *call, const struct service *s, const struct served_model *m,
                                  const struct embed_request *request)
{
    size_t count = request->count;
    if (count == 0 || count > s->batch_max)
        return call_fail(call, DP_INVALID, "a request embeds 1 to %zu texts, not %zu", s->batch_max, count);
    if (request->dimensions > m->facts.dim)
        return call_fail(call, DP_INVALID, "the request asks for %u dimensions, but the model has %u",
                         request->dimensions, m->facts.dim);
    for (size_t i = 0; i < count; i++) {
        const struct embed_input *input = &request->inputs[i];
        if (input->ids && !s->token_input)
            return call_fail(call, DP_INVALID, "input %zu holds token ids, which this server does not accept", i);
        if (input->ids ? input->id_count == 0 : input->text.len == 0)
            return call_fail(call, DP_INVALID, count == 1 ? "the text is empty" : "the text at place %zu is empty",
                             i);
    }
    return DP_OK;
}

/* Allocates the arrays; false when out of memory. */
static bool embed_begin(struct call *call, struct service *s, struct served_model *m,
                        const struct embed_request *request, struct embed_work *r)
{
    size_t count = request->count;
    *r = (struct embed_work){.service = s,
                             .model = m,
                             .request = request,
                             .dim = request->dimensions ? request->dimensions : m->facts.dim};
    r->items = arena_array(call->arena, count, sizeof *r->items);
    r->vectors = arena_array(call->arena, count * r->dim, sizeof *r->vectors);
    r->passages = arena_array(call->arena, count, sizeof *r->passages);
    if (request->form != VECTOR_FLOATS && s->cache) {
        r->texts = arena_calloc(call->arena, count, sizeof *r->texts);
        if (!r->texts)
            return false;
    }
    return r->items && r->vectors && r->passages;
}

/* Fills the response, and counts its texts in the call's costs and in the metrics. */
static void embed_finish(struct call *call, const struct embed_work *r, struct embed_response *response)
{
    const struct service_counts *counts = &r->service->counts;
    *response = (struct embed_response){.vectors = r->vectors,
                                        .texts = r->texts,
                                        .items = r->items,
                                        .dim = r->dim,
                                        .model = arena_copy(call->arena, r->model->facts.name)};
    for (size_t i = 0; i < r->request->count; i++) {
        response->tokens += r->items[i].tokens;
        response->truncated += r->items[i].truncated;
        call->cost.cached_texts += r->items[i].cached;
        metric_observe(counts->text_tokens, r->items[i].tokens);
    }
    call->cost.texts += r->request->count;
    call->cost.text_tokens += response->tokens;
    metric_add(counts->texts, (int64_t)r->request->count);
    metric_add(counts->tokens, (int64_t)response->tokens);
    metric_add(counts->truncated, (int64_t)response->truncated);
}

enum dp_status service_embed_by(struct call *call, struct service *s, struct served_model *m,
                                const struct embed_request *request, struct embed_response *response)
{
    struct embed_work r;
    enum dp_status status = embed_check(call, s, m, request);
    if (status == DP_OK)
        status = gate_spend(call, request->count);
    if (status != DP_OK)
        return status;
    size_t *places = arena_array(call->arena, request->count, sizeof *places);
    if (!places || !embed_begin(call, s, m, request, &r))
        return call_nomem(call, "vectors");
    status = s->cache ? embed_through_cache(call, &r, places) : compute_all(call, &r, places);
    if (status != DP_OK)
        return status;
    attach_texts(call, &r);
    embed_finish(call, &r, response);
    return DP_OK;
}

enum dp_status service_embed(struct call *call, struct service *s, const struct embed_request *request,
                             struct embed_response *response)
{
    struct served_model *m;
    enum dp_status status = models_borrow(call, &s->models, request->model, &m);
    if (status == DP_OK)
        status = service_embed_by(call, s, m, request, response);
    served_model_release(m);
    return status;
}

/* Reads every vector from the memory tier; false when one is missing. */
static bool read_cached(struct call *call, const struct embed_work *r)
{
    make_keys(r);
    for (size_t i = 0; i < r->request->count; i++) {
        struct vector_read read = read_of(r, i);
        if (!vector_cache_read(r->service->cache, &r->passages[i].key, call->arena, &read))
            return false;
        if (read.facts.truncated && r->request->refuse_long)
            return false;
        take_vector(r, i, &read, true);
    }
    return true;
}

static enum embed_cached embed_cached(struct call *call, struct service *s, struct served_model *m,
                                      const struct embed_request *request, struct embed_response *response)
{
    struct embed_work r;
    if (embed_check(call, s, m, request) != DP_OK || !embed_begin(call, s, m, request, &r) ||
        !read_cached(call, &r)) {
        dp_error_clear(&call->error);
        return EMBED_NOT_CACHED;
    }
    const enum gate_answer paid = gate_try_spend(call, request->count);
    if (paid != GATE_GRANTED)
        return paid == GATE_REFUSED ? EMBED_REFUSED : EMBED_NOT_CACHED;
    metric_add(s->counts.l1_hits, (int64_t)request->count);
    attach_texts(call, &r);
    embed_finish(call, &r, response);
    return EMBED_CACHED;
}

enum embed_cached service_embed_cached(struct call *call, struct service *s, const struct embed_request *request,
                                       struct embed_response *response)
{
    if (!s->cache || request->count > SERVICE_AT_ONCE_MAX)
        return EMBED_NOT_CACHED;
    struct served_model *m = models_try(&s->models, request->model);
    enum embed_cached answer = m ? embed_cached(call, s, m, request, response) : EMBED_NOT_CACHED;
    served_model_release(m);
    return answer;
}
