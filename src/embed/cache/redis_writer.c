/* redis_writer.c: a thread that takes all queued vectors and sends them to their servers, turn by turn. In a turn it
 * sends the commands for at most 256 vectors to one server, all together. */
#include "embed/cache/redis_writer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "os/clock.h"
#include "os/thread.h"

enum { TURN_MAX = 256, LAST_MS = 1000 };

struct queued_vector {
    struct queued_vector *next;
    struct redis_server *server;
    struct cache_key key;
    uint32_t dim;
    float vector[];
};

struct redis_writer {
    struct metric *written, *dropped, *waiting;
    char ttl[16];
    pthread_t thread;
    struct {
        pthread_mutex_t lock;
        pthread_cond_t work; /* signalled when a vector waits or the writer must end */
        struct queued_vector *first, **last;
        size_t bytes;
    } queue;
    _Atomic int64_t ends_ns; /* no write begins after this time; INT64_MAX: no end */
};

static size_t bytes_of(const struct queued_vector *item)
{
    return sizeof *item + item->dim * sizeof(float);
}

/* Takes the server of the first vector in *list, and moves up to TURN_MAX vectors for that server to turn[], in order.
 * Returns how many. The other vectors stay in *list. */
static size_t gather_turn(struct queued_vector **list, struct queued_vector *turn[TURN_MAX])
{
    struct redis_server *server = (*list)->server;
    size_t count = 0;
    for (struct queued_vector **at = list; *at && count < TURN_MAX;) {
        struct queued_vector *item = *at;
        if (item->server != server) {
            at = &item->next;
            continue;
        }
        *at = item->next;
        turn[count++] = item;
    }
    return count;
}

static bool append_set(const struct redis_writer *w, redisContext *c, const struct queued_vector *item)
{
    char name[CACHE_KEY_NAME_MAX];
    cache_key_name(&item->key, name);
    const char *argv[] = {"SET", name, (const char *)item->vector, "EX", w->ttl};
    const size_t lengths[] = {3, strlen(name), item->dim * sizeof(float), 2, strlen(w->ttl)};
    return redisAppendCommandArgv(c, 5, argv, lengths) == REDIS_OK;
}

/* The outcome of a turn's writes. */
struct turn_outcome {
    size_t written;
    bool failed;   /* the server or the connection failed */
    bool refused;  /* the server answered, but refused some of the writes */
    char why[160]; /* the first refusal or failure */
};

/* Sends all vectors of a turn, then reads all replies. Stops at the first failure. */
static struct turn_outcome exchange_turn(const struct redis_writer *w, redisContext *c,
                                         struct queued_vector *const *turn, size_t count)
{
    struct turn_outcome o = {.written = 0};
    for (size_t i = 0; i < count && !o.failed; i++)
        o.failed = !append_set(w, c, turn[i]);
    for (size_t i = 0; i < count && !o.failed; i++) {
        void *got = NULL;
        o.failed = redisGetReply(c, &got) != REDIS_OK;
        const redisReply *reply = got;
        bool is_error = !o.failed && reply->type == REDIS_REPLY_ERROR;
        if (is_error && o.why[0] == '\0')
            snprintf(o.why, sizeof o.why, "%s", reply->str);
        o.refused = o.refused || (is_error && redis_reply_refuses_writes(reply->str));
        o.failed = o.failed || (is_error && !redis_reply_refuses_writes(reply->str));
        o.written += !o.failed && !is_error;
        freeReplyObject(got);
    }
    if (o.failed && o.why[0] == '\0')
        snprintf(o.why, sizeof o.why, "%s", c->errstr);
    return o;
}

static void write_turn(const struct redis_writer *w, struct queued_vector *const *items, size_t count)
{
    struct redis_turn turn;
    struct turn_outcome o = {.written = 0};
    if (redis_server_takes_writes(items[0]->server) && redis_turn_begin(items[0]->server, &turn)) {
        o = exchange_turn(w, turn.context, items, count);
        if (o.failed && o.written == 0 && turn.reused && redis_turn_renew(&turn))
            o = exchange_turn(w, turn.context, items, count);
        if (turn.context && o.failed)
            redis_turn_fail(&turn, o.why);
        else if (turn.context && o.refused)
            redis_turn_end_refused(&turn, o.why);
        else if (turn.context)
            redis_turn_end_written(&turn);
    }
    metric_add(w->written, (int64_t)o.written);
    metric_add(w->dropped, (int64_t)(count - o.written));
}

static void *run_writer(void *context)
{
    struct redis_writer *w = context;
    struct queued_vector *turn[TURN_MAX];
    pthread_mutex_lock(&w->queue.lock);
    for (;;) {
        while (!w->queue.first && w->ends_ns == INT64_MAX)
            pthread_cond_wait(&w->queue.work, &w->queue.lock);
        struct queued_vector *list = w->queue.first;
        bool late = os_now_ns() >= w->ends_ns;
        w->queue.first = NULL;
        w->queue.last = &w->queue.first;
        if (!list)
            break;
        pthread_mutex_unlock(&w->queue.lock);
        size_t freed = 0;
        while (list) {
            size_t count = gather_turn(&list, turn);
            if (late)
                metric_add(w->dropped, (int64_t)count);
            else
                write_turn(w, turn, count);
            late = late || os_now_ns() >= w->ends_ns;
            metric_add(w->waiting, -(int64_t)count);
            for (size_t i = 0; i < count; i++) {
                freed += bytes_of(turn[i]);
                mem_free(turn[i]);
            }
        }
        pthread_mutex_lock(&w->queue.lock);
        w->queue.bytes -= freed;
    }
    pthread_mutex_unlock(&w->queue.lock);
    return NULL;
}

enum dp_status redis_writer_new(uint32_t ttl_s, struct metric_registry *r, struct redis_writer **out,
                                struct dp_error *error)
{
    struct redis_writer *w = mem_calloc(1, sizeof *w);
    *out = NULL;
    if (!w)
        return dp_fail_nomem(error, "the writer of the cache in Redis");
    snprintf(w->ttl, sizeof w->ttl, "%u", ttl_s);
    w->queue.last = &w->queue.first;
    w->ends_ns = INT64_MAX;
    w->written = metric_counter(r, "dipper_embed_cache_l2_written_total", "", "Vectors written to Redis.");
    w->dropped = metric_counter(
        r, "dipper_embed_cache_l2_dropped_total", "",
        "Vectors not written to Redis: the queue was full, or the server was away or refused them.");
    w->waiting = metric_gauge(r, "dipper_embed_cache_l2_waiting", "", "Vectors that wait to be written to Redis.");
    if (!w->written || !w->dropped || !w->waiting) {
        mem_free(w);
        return dp_fail_nomem(error, "metrics");
    }
    pthread_mutex_init(&w->queue.lock, NULL);
    pthread_cond_init(&w->queue.work, NULL);
    int failed = os_thread_start(&w->thread, "dipper-redis", run_writer, w);
    if (failed != 0) {
        pthread_cond_destroy(&w->queue.work);
        pthread_mutex_destroy(&w->queue.lock);
        mem_free(w);
        return dp_fail_errno(error, failed, "start the writer of", "the cache in Redis");
    }
    *out = w;
    return DP_OK;
}

void redis_writer_free(struct redis_writer *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->queue.lock);
    w->ends_ns = os_now_ns() + (int64_t)LAST_MS * 1000000;
    pthread_cond_signal(&w->queue.work);
    pthread_mutex_unlock(&w->queue.lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->queue.work);
    pthread_mutex_destroy(&w->queue.lock);
    mem_free(w);
}

void redis_writer_put(struct redis_writer *w, struct redis_server *server, const struct cache_key *key,
                      const float *vector, uint32_t dim)
{
    struct queued_vector *item = mem_alloc(sizeof *item + dim * sizeof(float));
    if (item) {
        *item = (struct queued_vector){.server = server, .key = *key, .dim = dim};
        memcpy(item->vector, vector, dim * sizeof(float));
        pthread_mutex_lock(&w->queue.lock);
        bool fits = w->queue.bytes + bytes_of(item) <= REDIS_QUEUE_BYTES_MAX;
        if (fits) {
            w->queue.bytes += bytes_of(item);
            *w->queue.last = item;
            w->queue.last = &item->next;
            pthread_cond_signal(&w->queue.work);
        }
        pthread_mutex_unlock(&w->queue.lock);
        if (fits) {
            metric_add(w->waiting, 1);
            return;
        }
        mem_free(item);
    }
    metric_add(w->dropped, 1);
}
