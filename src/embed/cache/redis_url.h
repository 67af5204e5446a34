/* embed/cache/redis_url.h: parses URLs of Redis servers: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE].
 *
 * Any character of user and password may be percent-encoded; ':', '@', '/', ',' and '%' must be. An IPv6 address
 * stands in brackets. Errors never show a password.
 */
#ifndef EMBED_REDIS_URL_H
#define EMBED_REDIS_URL_H

#include "base/error.h"
#include "base/span.h"

enum { REDIS_SERVERS_MAX = 64, REDIS_HOST_MAX = 253, REDIS_SECRET_MAX = 512, REDIS_DATABASE_MAX = 65535 };

struct redis_url {
    char host[REDIS_HOST_MAX + 1];
    char user[REDIS_SECRET_MAX + 1];     /* "": the default user */
    char password[REDIS_SECRET_MAX + 1]; /* "": no password */
    uint16_t port;
    unsigned database;
};

/* Time-outs of each connection. */
struct redis_timeouts {
    int connect_ms, command_ms;
};

/* Parses one URL. DP_INVALID; DP_UNSUPPORTED for rediss:// and unix://. */
enum dp_status redis_url_parse(struct span text, struct redis_url *out, struct dp_error *error);
/* Parses one URL, or several that commas separate. Skips blanks around each. DP_INVALID also for an empty list, or
 * for a list that names a server twice. */
enum dp_status redis_url_parse_list(struct span text, struct redis_url out[REDIS_SERVERS_MAX], size_t *count,
                                    struct dp_error *error);

#endif
