/* redis_cache.c: chooses the server of a cache key, and reads from several servers at once. */
#include "embed/redis_cache.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hex.h"
#include "embed/cache/redis_server.h"
#include "embed/cache/redis_writer.h"
#include "os/clock.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "values are copied as they lie");

struct redis_cache {
    struct metric *bad_values, *read_seconds;
    struct redis_writer *writer;
    size_t server_count;
    struct redis_server servers[];
};

bool redis_cache_value_is_vector(struct span value, uint32_t dim)
{
    if (value.len != dim * sizeof(float))
        return false;
    for (uint32_t d = 0; d < dim; d++) {
        float v;
        memcpy(&v, value.data + d * sizeof v, sizeof v);
        if (!isfinite(v))
            return false;
    }
    return true;
}

/* Returns the server of a cache key: the one for which a hash of server and key is the largest (D. Thaler,
 * C. Ravishankar: "Using name-based mappings to increase hit rates", 1998). */
static struct redis_server *server_of(struct redis_cache *cache, const struct cache_key *key)
{
    struct redis_server *best = &cache->servers[0];
    uint64_t most = 0;
    for (size_t i = 0; i < cache->server_count && cache->server_count > 1; i++) {
        uint64_t mixed[2] = {cache->servers[i].hash, 0};
        memcpy(&mixed[1], key->bytes, sizeof mixed[1]);
        uint64_t score = checksum64(span_of(mixed, sizeof mixed));
        if (score >= most) {
            most = score;
            best = &cache->servers[i];
        }
    }
    return best;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* One MGET to one server. */
struct redis_question {
    struct redis_turn turn;
    size_t count;
    size_t *places;    /* [count]: position of each vector in reads[] */
    const char **argv; /* MGET and the names of the cache keys */
    size_t *lengths;
    bool sent;
};

static bool send_all(const struct redis_question *q)
{
    int done = 0;
    redisContext *c = q->turn.context;
    bool ok = redisAppendCommandArgv(c, (int)q->count + 1, q->argv, q->lengths) == REDIS_OK;
    while (ok && !done)
        ok = redisBufferWrite(c, &done) == REDIS_OK;
    return ok;
}

static redisReply *receive_reply(const struct redis_question *q)
{
    void *reply = NULL;
    return redisGetReply(q->turn.context, &reply) == REDIS_OK ? reply : NULL;
}

static void send_question(struct redis_server *server, struct redis_question *q)
{
    q->sent = redis_turn_begin(server, &q->turn);
    if (!q->sent || send_all(q))
        return;
    q->sent = q->turn.reused && redis_turn_renew(&q->turn) && send_all(q);
    if (!q->sent && q->turn.context)
        redis_turn_fail(&q->turn, q->turn.context->errstr);
}

/* Receives the answer. If the server has closed the idle connection, only this read notices it. Then the function
 * asks again over a new connection. Returns NULL after a failure. */
static redisReply *receive_answer(struct redis_question *q)
{
    redisReply *reply = receive_reply(q);
    if (!reply && q->turn.reused && redis_turn_renew(&q->turn))
        reply = send_all(q) ? receive_reply(q) : NULL;
    if (!q->turn.context)
        return NULL;
    if (reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == q->count)
        return reply;
    redis_turn_fail(&q->turn, !reply                             ? q->turn.context->errstr
                              : reply->type == REDIS_REPLY_ERROR ? reply->str
                                                                 : "unexpected reply");
    freeReplyObject(reply);
    return NULL;
}

static void take_values(struct redis_cache *cache, const struct redis_question *q, const redisReply *reply,
                        struct redis_read *reads, uint32_t dim)
{
    for (size_t i = 0; i < q->count; i++) {
        const redisReply *value = reply->element[i];
        struct redis_read *read = &reads[q->places[i]];
        if (value->type == REDIS_REPLY_NIL)
            continue;
        read->found =
            value->type == REDIS_REPLY_STRING && redis_cache_value_is_vector(span_of(value->str, value->len), dim);
        if (read->found)
            memcpy(read->vector, value->str, dim * sizeof(float));
        else
            metric_add(cache->bad_values, 1);
    }
}

/* Makes one question for each server, with the reads whose cache keys belong to it. NULL: no memory. */
static struct redis_question *sort_questions(struct call *call, struct redis_cache *cache,
                                             const struct redis_read *reads, size_t count)
{
    struct redis_question *all = arena_calloc(call->arena, cache->server_count, sizeof *all);
    size_t *owners = arena_array(call->arena, count, sizeof *owners);
    char(*names)[CACHE_KEY_NAME_MAX] = arena_array(call->arena, count, sizeof *names);
    if (!all || !owners || !names)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        owners[i] = (size_t)(server_of(cache, reads[i].key) - cache->servers);
        all[owners[i]].count++;
    }
    for (size_t s = 0; s < cache->server_count; s++) {
        struct redis_question *q = &all[s];
        q->places = arena_array(call->arena, q->count, sizeof *q->places);
        q->argv = arena_array(call->arena, q->count + 1, sizeof *q->argv);
        q->lengths = arena_array(call->arena, q->count + 1, sizeof *q->lengths);
        if (!q->places || !q->argv || !q->lengths)
            return NULL;
        q->argv[0] = "MGET";
        q->lengths[0] = 4;
        q->count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct redis_question *q = &all[owners[i]];
        cache_key_name(reads[i].key, names[i]);
        q->places[q->count++] = i;
        q->argv[q->count] = names[i];
        q->lengths[q->count] = strlen(names[i]);
    }
    return all;
}

void redis_cache_read(struct call *call, struct redis_cache *cache, struct redis_read *reads, size_t count,
                      uint32_t dim)
{
    int64_t began = os_now_ns();
    for (size_t i = 0; i < count; i++)
        reads[i].found = false;
    struct redis_question *all = sort_questions(call, cache, reads, count);
    for (size_t s = 0; all && s < cache->server_count; s++)
        if (all[s].count > 0)
            send_question(&cache->servers[s], &all[s]);
    for (size_t s = 0; all && s < cache->server_count; s++) {
        redisReply *reply = all[s].sent ? receive_answer(&all[s]) : NULL;
        if (!reply)
            continue;
        take_values(cache, &all[s], reply, reads, dim);
        freeReplyObject(reply);
        redis_turn_end(&all[s].turn);
    }
    int64_t took = os_now_ns() - began;
    call->cost.cache_ns += (uint64_t)took;
    metric_observe(cache->read_seconds, (double)took * 1e-9);
}

void redis_cache_write(struct redis_cache *cache, const struct cache_key *key, const float *vector, uint32_t dim)
{
    redis_writer_put(cache->writer, server_of(cache, key), key, vector, dim);
}

/* ---- beginning and end ------------------------------------------------------------------------------ */

static enum dp_status start_cache(struct redis_cache *cache, const struct redis_cache_options *options,
                                  const struct redis_url *urls, size_t count, struct metric_registry *r,
                                  struct dp_error *error)
{
    struct metric *errors = metric_counter(r, "dipper_embed_cache_l2_errors_total", "",
                                           "Times a Redis server could not be reached, or failed.");
    cache->bad_values =
        metric_counter(r, "dipper_embed_cache_l2_bad_values_total", "",
                       "Values in Redis that were not a vector of the right length. They are ignored.");
    cache->read_seconds = metric_histogram(r, "dipper_embed_cache_l2_seconds", "",
                                           "Time to look the vectors of one request up in Redis.",
                                           METRIC_LATENCY_BOUNDS, METRIC_LATENCY_BOUND_COUNT);
    if (!errors || !cache->bad_values || !cache->read_seconds)
        return dp_fail_nomem(error, "metrics");
    for (; cache->server_count < count; cache->server_count++)
        redis_server_init(&cache->servers[cache->server_count], &urls[cache->server_count], options->timeouts,
                          errors);
    return redis_writer_new(options->ttl_s, r, &cache->writer, error);
}

enum dp_status redis_cache_new(const struct redis_cache_options *options, struct metric_registry *registry,
                               struct redis_cache **out, struct dp_error *error)
{
    size_t count = 0;
    struct redis_cache *cache = NULL;
    struct redis_url *urls = mem_alloc(REDIS_SERVERS_MAX * sizeof *urls);
    *out = NULL;
    if (!urls)
        return dp_fail_nomem(error, "the cache in Redis");
    enum dp_status status = redis_url_parse_list(options->urls, urls, &count, error);
    if (status == DP_OK) {
        cache = mem_calloc(1, sizeof *cache + count * sizeof cache->servers[0]);
        status = cache ? start_cache(cache, options, urls, count, registry, error)
                       : dp_fail_nomem(error, "the cache in Redis");
    }
    mem_free(urls);
    if (status == DP_OK)
        *out = cache;
    else
        redis_cache_free(cache);
    return status;
}

enum dp_status redis_cache_check(const struct redis_cache_options *options, struct dp_error *error)
{
    size_t count = 0;
    struct redis_server server;
    struct redis_url *urls = mem_alloc(REDIS_SERVERS_MAX * sizeof *urls);
    if (!urls)
        return dp_fail_nomem(error, "the cache in Redis");
    enum dp_status status = redis_url_parse_list(options->urls, urls, &count, error);
    for (size_t i = 0; i < count && status == DP_OK; i++) {
        redis_server_init(&server, &urls[i], options->timeouts, NULL);
        status = redis_server_check(&server, error);
        redis_server_deinit(&server);
    }
    mem_free(urls);
    return status;
}

void redis_cache_free(struct redis_cache *cache)
{
    if (!cache)
        return;
    redis_writer_free(cache->writer);
    for (size_t i = 0; i < cache->server_count; i++)
        redis_server_deinit(&cache->servers[i]);
    mem_free(cache);
}
