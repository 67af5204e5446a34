/* redis_server.c: connects to a Redis server, logs in, and pauses after a failure. */
#include "embed/cache/redis_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "os/clock.h"
#include "os/log.h"

enum { SHUT_FIRST_MS = 100, SHUT_MAX_MS = 5000, WRITES_SHUT_MS = 1000, WHY_MAX = 160 };

void redis_server_init(struct redis_server *s, const struct redis_url *url, struct redis_timeouts timeouts,
                       struct metric *errors)
{
    *s = (struct redis_server){.url = *url, .timeouts = timeouts, .errors = errors};
    snprintf(s->name, sizeof s->name, "%s:%u/%u", url->host, (unsigned)url->port, url->database);
    s->hash = checksum64(span_str(s->name));
    pthread_mutex_init(&s->locked.lock, NULL);
    s->has_objects = redis_objects_init(&s->objects);
}

static void drop_idle(struct redis_server *s)
{
    while (s->locked.idle_count > 0)
        redisFree(s->locked.idle[--s->locked.idle_count]);
}

void redis_server_deinit(struct redis_server *s)
{
    drop_idle(s);
    pthread_mutex_destroy(&s->locked.lock);
}

static struct timeval time_of(int ms)
{
    return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

/* Sends one command and waits for the reply. Returns false, with the reason in `why`, if the reply is an
 * error or missing. */
static bool command_ok(redisContext *c, int argc, const char **argv, char why[WHY_MAX])
{
    redisReply *reply = redisCommandArgv(c, argc, argv, NULL);
    bool ok = reply && reply->type != REDIS_REPLY_ERROR;
    if (!ok) /* safe to show: an error reply does not repeat the password */
        snprintf(why, WHY_MAX, "%s", reply ? reply->str : c->errstr);
    freeReplyObject(reply);
    return ok;
}

static bool log_in(const struct redis_url *url, redisContext *c, char why[WHY_MAX])
{
    char database[16];
    const char *auth[] = {"AUTH", url->user, url->password}, *select[] = {"SELECT", database};
    if (url->user[0] == '\0')
        auth[1] = url->password;
    snprintf(database, sizeof database, "%u", url->database);
    return (url->password[0] == '\0' || command_ok(c, url->user[0] == '\0' ? 2 : 3, auth, why)) &&
           (url->database == 0 || command_ok(c, 2, select, why));
}

/* ---- a bound on the memory of replies ------------------------------------------------------------------ */

#if HIREDIS_MAJOR < 1
typedef int element_count;
#else
typedef size_t element_count;
#endif

/* Makes the array of a reply; refuses nested and long ones. hiredis 0.14 would allocate a pointer for each
 * element, and a line of 13 bytes can announce 2,147,483,647 elements. */
static void *create_array(const redisReadTask *task, element_count elements)
{
    const struct redis_objects *objects = task->privdata;
    if (task->parent || elements > REDIS_ELEMENTS_MAX)
        return NULL;
    return objects->usual.createArray(task, elements);
}

bool redis_objects_init(struct redis_objects *objects)
{
    redisReader *reader = redisReaderCreate();
    *objects = (struct redis_objects){.bounded = {.createArray = create_array}};
    if (!reader)
        return false;
    objects->usual = objects->bounded = *reader->fn;
    objects->bounded.createArray = create_array;
    redisReaderFree(reader);
    return true;
}

void redis_bound_reader(redisReader *reader, struct redis_objects *objects)
{
    reader->fn = &objects->bounded;
    reader->privdata = objects;
}

/* ---- turns --------------------------------------------------------------------------------------------- */

static bool dial_server(struct redis_turn *turn, char why[WHY_MAX])
{
    struct redis_server *s = turn->server;
    turn->reused = false;
    if (!s->has_objects) {
        snprintf(why, WHY_MAX, "out of memory");
        return false;
    }
    turn->context = redisConnectWithTimeout(s->url.host, s->url.port, time_of(s->timeouts.connect_ms));
    if (!turn->context || turn->context->err != 0) {
        snprintf(why, WHY_MAX, "%s", turn->context ? turn->context->errstr : "out of memory");
        return false;
    }
    redis_bound_reader(turn->context->reader, &s->objects);
    if (redisSetTimeout(turn->context, time_of(s->timeouts.command_ms)) != REDIS_OK) {
        snprintf(why, WHY_MAX, "%s", turn->context->errstr);
        return false;
    }
    return log_in(&s->url, turn->context, why);
}

enum dp_status redis_server_check(struct redis_server *s, struct dp_error *error)
{
    char why[WHY_MAX] = "";
    const char *ping[] = {"PING"};
    struct redis_turn turn = {.server = s};
    const bool ok = dial_server(&turn, why) && command_ok(turn.context, 1, ping, why);
    redisFree(turn.context);
    return ok ? DP_OK : dp_fail(error, DP_UNAVAILABLE, "Redis server %s: %s", s->name, why);
}

bool redis_turn_begin(struct redis_server *s, struct redis_turn *turn)
{
    char why[WHY_MAX] = "";
    int64_t now = os_now_ns();
    *turn = (struct redis_turn){.server = s};
    pthread_mutex_lock(&s->locked.lock);
    bool shut = now < s->locked.shut_until_ns;
    if (!shut && s->locked.failures > 0) /* before the new shut_until_ns, only this thread tries the server */
        s->locked.shut_until_ns = now + ((int64_t)s->timeouts.connect_ms + s->timeouts.command_ms) * 1000000;
    if (!shut && s->locked.idle_count > 0) {
        turn->context = s->locked.idle[--s->locked.idle_count];
        turn->reused = true;
    }
    pthread_mutex_unlock(&s->locked.lock);
    if (shut || turn->context)
        return !shut;
    if (dial_server(turn, why))
        return true;
    redis_turn_fail(turn, why);
    return false;
}

bool redis_turn_renew(struct redis_turn *turn)
{
    char why[WHY_MAX] = "";
    struct redis_server *s = turn->server;
    redisFree(turn->context);
    turn->context = NULL;
    pthread_mutex_lock(&s->locked.lock);
    drop_idle(s); /* the server has probably closed the other idle connections too */
    pthread_mutex_unlock(&s->locked.lock);
    if (dial_server(turn, why))
        return true;
    redis_turn_fail(turn, why);
    return false;
}

/* The server's response to the writes of a turn. */
enum redis_writes { WRITES_UNKNOWN, WRITES_TAKEN, WRITES_REFUSED };

static void end_turn(struct redis_turn *turn, enum redis_writes writes, const char *why)
{
    struct redis_server *s = turn->server;
    pthread_mutex_lock(&s->locked.lock);
    bool refused_before = s->locked.refuses_writes;
    if (writes != WRITES_UNKNOWN)
        s->locked.refuses_writes = writes == WRITES_REFUSED;
    if (writes == WRITES_REFUSED)
        s->locked.writes_shut_until_ns = os_now_ns() + (int64_t)WRITES_SHUT_MS * 1000000;
    bool refuses = s->locked.refuses_writes;
    bool was_away = s->locked.failures > 0;
    s->locked.failures = 0;
    s->locked.shut_until_ns = 0;
    if (s->locked.idle_count < REDIS_IDLE_MAX) {
        s->locked.idle[s->locked.idle_count++] = turn->context;
        turn->context = NULL;
    }
    pthread_mutex_unlock(&s->locked.lock);
    if (turn->context)
        redisFree(turn->context);
    if (was_away)
        log_write(LOG_INFO, "embedding cache: Redis at %s is back", s->name);
    if (refuses && !refused_before)
        log_write(LOG_WARN, "embedding cache: Redis at %s refuses writes, reading what it has: %s", s->name, why);
    if (!refuses && refused_before)
        log_write(LOG_INFO, "embedding cache: Redis at %s takes writes again", s->name);
}

void redis_turn_end(struct redis_turn *turn)
{
    end_turn(turn, WRITES_UNKNOWN, "");
}

void redis_turn_end_written(struct redis_turn *turn)
{
    end_turn(turn, WRITES_TAKEN, "");
}

void redis_turn_end_refused(struct redis_turn *turn, const char *why)
{
    end_turn(turn, WRITES_REFUSED, why);
}

bool redis_reply_refuses_writes(const char *reply)
{
    static const char *const codes[] = {"OOM ", "READONLY ", "MISCONF ", "NOREPLICAS ", "NOPERM "};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strncmp(reply, codes[i], strlen(codes[i])) == 0)
            return true;
    return false;
}

bool redis_server_takes_writes(struct redis_server *s)
{
    pthread_mutex_lock(&s->locked.lock);
    bool takes = !s->locked.refuses_writes || os_now_ns() >= s->locked.writes_shut_until_ns;
    pthread_mutex_unlock(&s->locked.lock);
    return takes;
}

void redis_turn_fail(struct redis_turn *turn, const char *why)
{
    struct redis_server *s = turn->server;
    char message[WHY_MAX]; /* `why` may lie in the context */
    snprintf(message, sizeof message, "%s", why);
    if (turn->context)
        redisFree(turn->context);
    turn->context = NULL;
    metric_add(s->errors, 1);
    pthread_mutex_lock(&s->locked.lock);
    bool first = s->locked.failures == 0;
    int64_t shut_ms = (int64_t)SHUT_FIRST_MS << (s->locked.failures < 6 ? s->locked.failures : 6);
    s->locked.failures++;
    s->locked.shut_until_ns = os_now_ns() + (shut_ms < SHUT_MAX_MS ? shut_ms : SHUT_MAX_MS) * 1000000;
    drop_idle(s);
    pthread_mutex_unlock(&s->locked.lock);
    if (first)
        log_write(LOG_WARN, "embedding cache: Redis at %s is away, going on without it: %s", s->name, message);
}
