/* embed/cache/redis_server.h: connections to one Redis server, with a circuit breaker.
 *
 * After a failure no thread tries the server for 100 ms. Each further failure doubles this time, up to 5 s. Then
 * one thread tries, and after its success all threads may. A connection stays open after use, for the next thread.
 * Callers must block SIGPIPE, as threads of os_thread_start do: hiredis may write to a socket that the server has
 * closed.
 */
#ifndef EMBED_REDIS_SERVER_H
#define EMBED_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <pthread.h>

#include "base/metrics.h"
#include "embed/cache/redis_url.h"

enum { REDIS_IDLE_MAX = 16, REDIS_NAME_MAX = REDIS_HOST_MAX + 24, REDIS_ELEMENTS_MAX = 1 << 16 };

/* Functions that make the objects of a reply: hiredis's functions, and our functions, which bound arrays. */
struct redis_objects {
    redisReplyObjectFunctions usual, bounded;
};

struct redis_server {
    struct redis_url url;
    struct redis_timeouts timeouts;
    char name[REDIS_NAME_MAX]; /* "host:port/database", for messages and the hash */
    uint64_t hash;
    struct metric *errors;
    struct redis_objects objects; /* hiredis's reader of each connection points to it */
    bool has_objects;
    struct {
        pthread_mutex_t lock;
        redisContext *idle[REDIS_IDLE_MAX];
        size_t idle_count;
        unsigned failures;     /* consecutive failures */
        int64_t shut_until_ns; /* no thread tries the server before this time */
        bool refuses_writes;   /* the server answers reads, but refused the last writes */
        int64_t writes_shut_until_ns;
    } locked;
};

/* The exclusive use of one connection. */
struct redis_turn {
    struct redis_server *server;
    redisContext *context;
    bool reused; /* the connection was idle, and the server may have closed it */
};

void redis_server_init(struct redis_server *server, const struct redis_url *url, struct redis_timeouts timeouts,
                       struct metric *errors);
void redis_server_deinit(struct redis_server *server); /* no thread may have a turn */

/* Connects, logs in and asks for an answer, without a turn. Fails with DP_UNAVAILABLE and the reason. */
enum dp_status redis_server_check(struct redis_server *server, struct dp_error *error);
/* Takes an idle connection or opens one. False if the server is away. */
bool redis_turn_begin(struct redis_server *server, struct redis_turn *turn);
/* Replaces a reused connection that has failed by a new one. False if the new one fails too. */
bool redis_turn_renew(struct redis_turn *turn);
/* Ends a turn without failure: the connection is idle again. */
void redis_turn_end(struct redis_turn *turn);

/* Returns whether an error reply refuses only writes: the server is full, is a replica, or forbids this user to
 * write. Any other error is a failure of the server. */
bool redis_reply_refuses_writes(const char *reply);
/* Returns whether to try a write: false for one second after a refusal. */
bool redis_server_takes_writes(struct redis_server *server);
/* Ends a turn whose writes the server refused; the log says so once. */
void redis_turn_end_refused(struct redis_turn *turn, const char *why);
/* Ends a turn whose writes the server took. */
void redis_turn_end_written(struct redis_turn *turn);
/* Ends a turn in which the server failed; `why` is for the log. */
void redis_turn_fail(struct redis_turn *turn, const char *why);

/* Bound the memory that a reader allocates for one reply line of a server: an array may have at most
 * REDIS_ELEMENTS_MAX elements and no array inside. Any larger reply fails the connection. redis_objects_init
 * returns false if there is no memory. `objects` must outlive the reader. */
bool redis_objects_init(struct redis_objects *objects);
void redis_bound_reader(redisReader *reader, struct redis_objects *objects);

#endif
