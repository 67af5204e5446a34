/* server/listen.h: the address that a server listens on: of TCP, or a Unix socket. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { LISTEN_URL_MAX = 300, LISTEN_PATH_MAX = 108 };

struct listener {
    int fd;        /* a listening socket that does not block */
    bool loopback; /* only this host reaches it */
    bool is_unix;
    char url[LISTEN_URL_MAX];   /* "http://127.0.0.1:8000", with the actual port; "unix:/run/dipper.sock" */
    char path[LISTEN_PATH_MAX]; /* a Unix socket's file, which listen_forget deletes; "": none */
    uint64_t inode;             /* of that file */
};

/* Opens a listening socket at "HOST:PORT". HOST is a name, an IPv4 address or a bracketed IPv6 address. Without
 * HOST the socket listens on all IPv4 addresses. With `loopback_only`, fails with DP_DENIED for an address that
 * other machines can reach. */
enum dp_status listen_open(const char *address, bool loopback_only, struct listener *out, struct dp_error *error);

/* Opens a listening Unix socket. A file that a dead server left there is replaced. Who may write to the file may ask
 * the server; the process's umask decides that. */
enum dp_status listen_open_unix(const char *path, struct listener *out, struct dp_error *error);
/* Takes a socket that a supervisor opened, and owns it on success. `loopback_only` as above. */
enum dp_status listen_adopt(int fd, bool loopback_only, struct listener *out, struct dp_error *error);
/* Makes the listener's URL begin with https. */
void listen_set_tls(struct listener *listener);
/* Deletes the file of a Unix socket that listen_open_unix made, unless another process has replaced it. */
void listen_forget(const struct listener *listener);

/* Prints a socket address as "127.0.0.1:50000", or as "unix", cut to `size` bytes. */
struct sockaddr;
void listen_print_peer(const struct sockaddr *peer, char *out, unsigned size);

#endif
