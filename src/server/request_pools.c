/* request_pools.c: which pool runs a request, and what a client hears whose request no pool takes. */
#include "server/request_pools.h"

enum {
    BULK_SHARE = 4,            /* bulk requests that run at a time: a quarter of the threads */
    SMALL_BODY_MAX = 16 << 10, /* a larger body of an embedding is bulk */
    MIB = 1 << 20,
};

/* Most bytes of bodies that wait. Those of writes are mostly in files, and 8 MiB of each in memory. */
static const struct {
    const char *name;
    size_t bytes_max;
} KINDS[REQUEST_KINDS] = {
    [REQUEST_EMBED] = {"embed", 8 * MIB},
    [REQUEST_BULK] = {"bulk", 128 * MIB},
    [REQUEST_QUERY] = {"query", 64 * MIB},
    [REQUEST_WRITE] = {"write", 256 * MIB},
};

enum dp_status request_pools_new(struct request_pools *pools, unsigned threads, unsigned queue_max,
                                 struct metric_registry *registry, struct dp_error *error)
{
    enum dp_status status = DP_OK;
    *pools = (struct request_pools){.of = {NULL}};
    for (size_t k = 0; k < REQUEST_KINDS && status == DP_OK; k++) {
        const struct pool_options options = {
            .threads = k == REQUEST_BULK ? (threads + BULK_SHARE - 1) / BULK_SHARE : threads,
            .queue_max = queue_max,
            .bytes_max = KINDS[k].bytes_max,
            .kind = KINDS[k].name,
        };
        status = pool_new(&options, &pools->of[k], error);
    }
    return status == DP_OK ? pool_add_metrics(pools->of, REQUEST_KINDS, registry, error) : status;
}

void request_pools_free(struct request_pools *pools)
{
    for (size_t k = 0; k < REQUEST_KINDS; k++) {
        pool_free(pools->of[k]);
        pools->of[k] = NULL;
    }
}

static enum request_kind kind_of(const struct exchange *ex)
{
    const struct route *route = ex->match.route;
    if (route && route->right == RIGHT_TO_EMBED)
        return ex->body.received.len > SMALL_BODY_MAX || ex->body.encoding != ENCODING_IDENTITY ? REQUEST_BULK
                                                                                                : REQUEST_EMBED;
    return route && route->right == RIGHT_TO_WRITE ? REQUEST_WRITE : REQUEST_QUERY;
}

static struct pool_job job_of(const struct exchange *ex, void (*fn)(void *ctx), void *ctx)
{
    return (struct pool_job){.fn = fn,
                             .ctx = ctx,
                             .client = exchange_client(ex),
                             .bytes = ex->body.received.len,
                             .patience_ns = (int64_t)ex->timeout_ms * 1000000};
}

/* Returns whether the pool took the exchange, or writes the refusal. */
static bool take_answer(struct exchange *ex, enum pool_answer answer, int64_t retry_ns,
                        const struct dp_error *error)
{
    if (answer == POOL_TAKEN)
        return true;
    ex->call.retry_ns = retry_ns;
    exchange_refuse(ex, answer == POOL_CLIENT_FULL ? 429 : 503, error->status, error->message);
    return false;
}

bool request_pools_give(struct request_pools *pools, struct exchange *ex, void (*fn)(void *ctx), void *ctx)
{
    const struct pool_job job = job_of(ex, fn, ctx);
    struct dp_error error;
    int64_t retry_ns;
    const enum pool_answer answer = pool_submit(pools->of[kind_of(ex)], &job, &retry_ns, &error);
    return take_answer(ex, answer, retry_ns, &error);
}

bool request_pools_admit(struct request_pools *pools, struct exchange *ex)
{
    const struct pool_job job = job_of(ex, NULL, NULL);
    struct dp_error error;
    int64_t retry_ns;
    const enum pool_answer answer = pool_ask(pools->of[kind_of(ex)], &job, &retry_ns, &error);
    return take_answer(ex, answer, retry_ns, &error);
}
