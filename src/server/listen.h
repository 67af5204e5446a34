/* server/listen.h: the address that a server listens on. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>

#include "base/error.h"

enum { LISTEN_URL_MAX = 300 };

struct listener {
    int fd; /* a listening socket that does not block */
    bool loopback;
    char url[LISTEN_URL_MAX]; /* "http://127.0.0.1:8000", with the actual port */
};

/* Opens a listening socket at "HOST:PORT". HOST is a name, an IPv4 address or a bracketed IPv6 address. Without
 * HOST the socket listens on all IPv4 addresses. With `loopback_only`, fails with DP_DENIED for an address that
 * other machines can reach. */
enum dp_status listen_open(const char *address, bool loopback_only, struct listener *out, struct dp_error *error);

/* Prints a socket address as "127.0.0.1:50000", cut to `size` bytes. */
struct sockaddr;
void listen_print_peer(const struct sockaddr *peer, char *out, unsigned size);

#endif
