/* embed.c: texts or tokens in, vectors out.
 *
 * The request thread tokenizes; the embedder forks the work over the compute team. Vectors never depend on
 * what else was in the batch.
 */
#include <math.h>

#include "os/clock.h"
#include "service/service_impl.h"

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
    out->total = count + s->special_count;
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

static enum dp_status tokenize(struct call *call, const struct service *s, const struct embed_request *request,
                               struct tokens *tokens, struct embed_item *items)
{
    for (size_t i = 0; i < request->count; i++) {
        const struct embed_input *input = &request->inputs[i];
        enum dp_status status;
        if (input->ids ? input->id_count == 0 : input->text.len == 0)
            return call_fail(call, DP_INVALID,
                             request->count == 1 ? "the text is empty" : "the text at place %zu is empty", i);
        if (input->ids)
            status = frame_tokens(call, s, input, i, &tokens[i]);
        else
            status = tokenizer_encode(s->tokenizer, input->text, s->facts.max_tokens, call->arena, &tokens[i],
                                      &call->error);
        if (status == DP_OK)
            status = call_check(call);
        if (status != DP_OK)
            return status;
        if (tokens[i].truncated && request->refuse_long)
            return call_fail(call, DP_TOO_LARGE, "a text of %zu tokens is over the model's limit of %u",
                             tokens[i].total, s->facts.max_tokens);
        items[i] = (struct embed_item){
            .tokens = (uint32_t)tokens[i].count,
            .total = tokens[i].total > UINT32_MAX ? UINT32_MAX : (uint32_t)tokens[i].total,
            .truncated = tokens[i].truncated,
        };
    }
    return DP_OK;
}

/* Keeps the first `keep` numbers of each vector, packed, and makes them unit vectors again when asked. */
static void shorten(float *vectors, size_t count, uint32_t dim, uint32_t keep, bool normalize)
{
    for (size_t i = 0; i < count; i++) {
        float *to = vectors + i * keep;
        double sum = 0;
        memmove(to, vectors + i * dim, keep * sizeof *to);
        for (uint32_t d = 0; d < keep; d++)
            sum += (double)to[d] * (double)to[d];
        if (!normalize || !(sum > 0))
            continue;
        float scale = (float)(1 / sqrt(sum));
        for (uint32_t d = 0; d < keep; d++)
            to[d] *= scale;
    }
}

void service_count_texts(struct call *call, struct service *s, const struct embed_item *items, size_t count)
{
    uint64_t tokens = 0, truncated = 0, cached = 0;
    for (size_t i = 0; i < count; i++) {
        tokens += items[i].tokens;
        truncated += items[i].truncated;
        cached += items[i].cached;
        metric_observe(s->count.text_tokens, items[i].tokens);
    }
    metric_add(s->count.texts, (int64_t)count);
    metric_add(s->count.tokens, (int64_t)tokens);
    if (truncated)
        metric_add(s->count.truncated, (int64_t)truncated);
    call->cost.texts += count;
    call->cost.cached_texts += cached;
    call->cost.text_tokens += tokens;
}

enum dp_status service_embed(struct call *call, struct service *s, const struct embed_request *request,
                             struct embed_response *response)
{
    int64_t began = os_now_ns();
    size_t count = request->count;
    enum dp_status status = service_need_model(call, s);
    if (status != DP_OK)
        return status;
    if (count == 0 || count > s->batch_max)
        return call_fail(call, DP_INVALID, "a request embeds 1 to %zu texts, not %zu", s->batch_max, count);
    uint32_t dim = s->facts.dim;
    if (request->dimensions > dim)
        return call_fail(call, DP_INVALID, "%u dimensions were asked of a model that has %u", request->dimensions,
                         dim);
    struct tokens *tokens = arena_array(call->arena, count, sizeof *tokens);
    struct embed_item *items = arena_array(call->arena, count, sizeof *items);
    float *vectors = arena_array(call->arena, count * dim, sizeof *vectors);
    if (!tokens || !items || !vectors)
        return call_nomem(call, "vectors");

    status = tokenize(call, s, request, tokens, items);
    int64_t tokenized = os_now_ns();
    call->cost.tokenize_ns += (uint64_t)(tokenized - began);
    if (status != DP_OK)
        return status;
    status = embedder_embed(call, s->embedder, tokens, count, request->normalize, vectors);
    if (status != DP_OK)
        return status;
    int64_t ended = os_now_ns();

    *response = (struct embed_response){.vectors = vectors, .items = items, .dim = dim};
    for (size_t i = 0; i < count; i++) {
        response->tokens += items[i].tokens;
        response->truncated += items[i].truncated;
    }
    if (request->dimensions && request->dimensions < dim) {
        response->dim = request->dimensions;
        shorten(vectors, count, dim, request->dimensions, request->normalize);
    }
    service_count_texts(call, s, items, count);
    metric_observe(s->count.embed_seconds, (double)(ended - began) * 1e-9);
    return DP_OK;
}
