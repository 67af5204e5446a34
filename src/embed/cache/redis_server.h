/* embed/cache/redis_server.h: connections to one Redis server, and whether it is there.
 *
 * A circuit breaker: after a failure nobody tries for a while (100 ms, doubling to 5 s), then one does, and all when
 * that went well. Idle connections are kept. Threads that use it must have SIGPIPE blocked, as those of os_thread_start
 * have: hiredis writes to sockets that the server may have closed.
 */
#ifndef EMBED_REDIS_SERVER_H
#define EMBED_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <pthread.h>

#include "base/metrics.h"
#include "embed/cache/redis_url.h"

enum { REDIS_IDLE_MAX = 16, REDIS_NAME_MAX = REDIS_HOST_MAX + 24, REDIS_ELEMENTS_MAX = 1 << 16 };

/* What a reader makes of a reply: hiredis's own objects, and the same with bounded arrays. */
struct redis_objects {
    redisReplyObjectFunctions usual, bounded;
};

struct redis_server {
    struct redis_url url;
    struct redis_timeouts timeouts;
    char name[REDIS_NAME_MAX]; /* "host:port/database": of messages and of the hash */
    uint64_t hash;
    struct metric *errors;
    struct redis_objects objects; /* readers of all connections point here */
    bool has_objects;
    struct {
        pthread_mutex_t lock;
        redisContext *idle[REDIS_IDLE_MAX];
        size_t idle_count;
        unsigned failures;     /* in a row */
        int64_t shut_until_ns; /* nobody tries before */
        bool refuses_writes;   /* it answers, and the last writes were refused */
        int64_t writes_shut_until_ns;
    } locked;
};

/* One use of a connection. */
struct redis_turn {
    struct redis_server *server;
    redisContext *context;
    bool reused; /* the server may have closed it since */
};

void redis_server_init(struct redis_server *server, const struct redis_url *url, struct redis_timeouts timeouts,
                       struct metric *errors);
void redis_server_deinit(struct redis_server *server); /* nobody may have a turn */

/* Takes an idle connection or makes one; false when the server is away. */
bool redis_turn_begin(struct redis_server *server, struct redis_turn *turn);
/* After a failure on a connection that was reused: a fresh one instead; false when there is none to be had. */
bool redis_turn_renew(struct redis_turn *turn);
/* All went well: the connection is idle again. */
void redis_turn_end(struct redis_turn *turn);

/* A server that is full, a replica, or one whose user may not write: it answers reads all the same. Whether an error reply
 * says so; anything else it says is a failure. */
bool redis_reply_refuses_writes(const char *reply);
/* Whether writing is worth a try: not for a second after a refusal. */
bool redis_server_takes_writes(struct redis_server *server);
/* All went well but for writes that the server refused; the log says so once. */
void redis_turn_end_refused(struct redis_turn *turn, const char *why);
/* All went well, writes too. */
void redis_turn_end_written(struct redis_turn *turn);
/* The server failed; `why` is for the log. */
void redis_turn_fail(struct redis_turn *turn, const char *why);

/* Bounds what a server can have a reader allocate by one line: an array has at most REDIS_ELEMENTS_MAX elements, and none
 * of them is an array; anything else is an error of the connection. False: out of memory. `objects` outlives the reader. */
bool redis_objects_init(struct redis_objects *objects);
void redis_bound_reader(redisReader *reader, struct redis_objects *objects);

#endif
