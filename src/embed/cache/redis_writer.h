/* embed/cache/redis_writer.h: a thread that writes vectors from a bounded queue to Redis servers. Only
 * redis_cache.c calls it. */
#ifndef EMBED_REDIS_WRITER_H
#define EMBED_REDIS_WRITER_H

#include "embed/cache/cache_key.h"
#include "embed/cache/redis_server.h"

enum { REDIS_QUEUE_BYTES_MAX = 16 << 20 };

struct redis_writer;

/* Starts the thread. Redis keeps each vector for ttl_s seconds. */
enum dp_status redis_writer_new(uint32_t ttl_s, struct metric_registry *registry, struct redis_writer **out,
                                struct dp_error *error);
/* Writes the rest of the queue for at most one second, then ends the thread. NULL is fine. */
void redis_writer_free(struct redis_writer *writer);
/* Queues a copy of the vector, or drops it if the queue is full. Never waits. Any thread may call it. */
void redis_writer_put(struct redis_writer *writer, struct redis_server *server, const struct cache_key *key,
                      const float *vector, uint32_t dim);

#endif
