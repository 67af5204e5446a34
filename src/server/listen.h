/* server/listen.h: the address that a server listens on. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>

#include "base/error.h"

enum { LISTEN_URL_MAX = 300 };

struct listener {
    int fd; /* bound and listening, not blocking */
    bool loopback;
    char url[LISTEN_URL_MAX]; /* "http://127.0.0.1:8000", with the port that was chosen */
};

/* Opens "HOST:PORT", where HOST is a name, an IPv4 or a bracketed IPv6 address; no HOST means all of IPv4.
 * With `loopback_only`, an address that other machines can reach is DP_DENIED. */
enum dp_status listen_open(const char *address, bool loopback_only, struct listener *out, struct dp_error *error);

/* "127.0.0.1:50000" of a socket address; cut to `size`. */
struct sockaddr;
void listen_print_peer(const struct sockaddr *peer, char *out, unsigned size);

#endif
