/* listen.c: opens the listening socket, or takes one that is open. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HOST_MAX = 256, BACKLOG = 1024 };

/* Splits "HOST:PORT" or "[HOST]:PORT". Returns false for any other text. */
static bool split_address(const char *address, char host[HOST_MAX], const char **port)
{
    const char *colon = strrchr(address, ':');
    if (!colon)
        return false;
    const char *begin = address, *end = colon;
    if (address[0] == '[') {
        if (colon == address || colon[-1] != ']')
            return false;
        begin++;
        end--;
    } else if (memchr(address, ':', (size_t)(colon - address))) {
        return false; /* an IPv6 address without brackets */
    }
    size_t len = (size_t)(end - begin);
    if (len >= HOST_MAX)
        return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    *port = colon + 1;
    size_t digits = strspn(*port, "0123456789");
    if (digits == 0 || digits > 5 || (*port)[digits] != '\0')
        return false;
    return strtoul(*port, NULL, 10) <= 65535;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

void listen_print_peer(const struct sockaddr *peer, char *out, unsigned size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (peer && peer->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, peer, sizeof v4);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        port = ntohs(v4.sin_port);
    } else if (peer && peer->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, peer, sizeof v6);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        port = ntohs(v6.sin6_port);
    }
    if (peer && peer->sa_family == AF_UNIX) {
        snprintf(out, size, "unix");
        return;
    }
    bool v6 = peer && peer->sa_family == AF_INET6;
    snprintf(out, size, v6 ? "[%s]:%u" : "%s:%u", host, port);
}

/* Prints the URL of the address that the socket is bound to. */
static void print_url(struct listener *out)
{
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    char name[INET6_ADDRSTRLEN + 16] = "?";
    if (getsockname(out->fd, (struct sockaddr *)&bound, &len) == 0)
        listen_print_peer((const struct sockaddr *)&bound, name, sizeof name);
    snprintf(out->url, sizeof out->url, "http://%s", name);
}

static enum dp_status open_socket(const struct addrinfo *info, const char *address, struct listener *out,
                                  struct dp_error *error)
{
    int on = 1;
    out->fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return dp_fail_errno(error, errno, "open a socket for", address);
    setsockopt(out->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(out->fd, info->ai_addr, info->ai_addrlen) < 0 || listen(out->fd, BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            dp_fail(error, DP_IO, "cannot listen on %s: another program does; stop it, or choose another port",
                    address);
        else
            dp_fail_errno(error, errno, "listen on", address);
        close(out->fd);
        return error->status;
    }
    print_url(out);
    return DP_OK;
}

static enum dp_status refuse_address(const char *address, struct dp_error *error)
{
    return dp_fail(error, DP_DENIED,
                   "%s can be reached from other machines, and this server asks nobody for a key; give "
                   "--auth to ask for keys, --insecure if that is meant, or listen on 127.0.0.1",
                   address);
}

enum dp_status listen_open(const char *address, bool loopback_only, struct listener *out, struct dp_error *error)
{
    char host[HOST_MAX];
    const char *port;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    if (!split_address(address, host, &port))
        return dp_fail(error, DP_INVALID, "\"%s\" is no address to listen on: give HOST:PORT, as 127.0.0.1:8000",
                       address);
    if (host[0] == '\0')
        hints.ai_family = AF_INET;
    int code = getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
    if (code != 0)
        return dp_fail(error, DP_INVALID, "cannot listen on %s: %s", address, gai_strerror(code));
    enum dp_status status;
    *out = (struct listener){.fd = -1, .loopback = is_loopback(found->ai_addr)};
    if (loopback_only && !out->loopback)
        status = refuse_address(address, error);
    else
        status = open_socket(found, address, out, error);
    freeaddrinfo(found);
    return status;
}

/* ---- Unix sockets ------------------------------------------------------------------------------------- */

/* Deletes the file of a socket that no process listens on any more. Returns false if one does. */
static bool remove_dead_socket(const struct sockaddr_un *at)
{
    struct stat file;
    if (lstat(at->sun_path, &file) != 0 || !S_ISSOCK(file.st_mode))
        return true; /* bind() decides about other files */
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    const bool dead = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (dead)
        unlink(at->sun_path);
    return dead;
}

enum dp_status listen_open_unix(const char *path, struct listener *out, struct dp_error *error)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct stat file;
    *out = (struct listener){.fd = -1, .loopback = true, .is_unix = true};
    if (path[0] == '\0' || strlen(path) >= sizeof at.sun_path)
        return dp_fail(error, DP_INVALID, "the path of a Unix socket has 1 to %zu bytes, but \"%s\" has %zu",
                       sizeof at.sun_path - 1, path, strlen(path));
    memcpy(at.sun_path, path, strlen(path));
    if (!remove_dead_socket(&at))
        return dp_fail(error, DP_IO, "cannot listen on %s: another program does; stop it, or choose another path",
                       path);
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (out->fd < 0)
        return dp_fail_errno(error, errno, "open a socket for", path);
    if (bind(out->fd, (const struct sockaddr *)&at, sizeof at) < 0 || listen(out->fd, BACKLOG) < 0) {
        dp_fail_errno(error, errno, "listen on", path);
        close(out->fd);
        return error->status;
    }
    if (lstat(path, &file) == 0) {
        snprintf(out->path, sizeof out->path, "%s", path);
        out->inode = file.st_ino;
    }
    snprintf(out->url, sizeof out->url, "unix:%s", path);
    return DP_OK;
}

void listen_set_tls(struct listener *listener)
{
    static const char plain[] = "http://";
    char rest[LISTEN_URL_MAX];
    if (strncmp(listener->url, plain, sizeof plain - 1) != 0)
        return; /* a Unix socket */
    snprintf(rest, sizeof rest, "%s", listener->url + sizeof plain - 1);
    snprintf(listener->url, sizeof listener->url, "https://%.*s", (int)sizeof listener->url - 9, rest);
}

void listen_forget(const struct listener *listener)
{
    struct stat file;
    if (listener->path[0] && lstat(listener->path, &file) == 0 && file.st_ino == listener->inode)
        unlink(listener->path);
}

enum dp_status listen_adopt(int fd, bool loopback_only, struct listener *out, struct dp_error *error)
{
    struct sockaddr_storage bound = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof bound;
    *out = (struct listener){.fd = fd};
    if (getsockname(fd, (struct sockaddr *)&bound, &len) != 0)
        return dp_fail_errno(error, errno, "look at", "the supervisor's socket");
    out->is_unix = bound.ss_family == AF_UNIX;
    out->loopback = out->is_unix || is_loopback((const struct sockaddr *)&bound);
    if (out->is_unix) {
        struct sockaddr_un at;
        memcpy(&at, &bound, sizeof at);
        snprintf(out->url, sizeof out->url, "unix:%.*s", (int)sizeof at.sun_path - 1, at.sun_path);
    } else {
        print_url(out);
    }
    return loopback_only && !out->loopback ? refuse_address(out->url, error) : DP_OK;
}
