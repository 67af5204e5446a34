/* server/peers.h: counts the open connections of each peer, so that one peer cannot take them all.
 *
 * A peer is an IPv4 address, or the first 64 bits of an IPv6 address, which one host or household has for itself.
 */
#ifndef SERVER_PEERS_H
#define SERVER_PEERS_H

#include <pthread.h>
#include <stdatomic.h>

#include "server/proxies.h"

enum { PEERS_HEADS = 1024 };

struct peer {
    uint8_t address[ADDRESS_BYTES];
    _Atomic unsigned open;
    struct peer *next;
};

struct peers {
    const struct proxies *proxies; /* these and Unix sockets have no limit of their own */
    unsigned each_max;
    uint64_t seed;
    pthread_mutex_t lock;
    struct peer *heads[PEERS_HEADS]; /* under the lock, as all below each */
};

enum dp_status peers_init(struct peers *p, const struct proxies *proxies, unsigned each_max,
                          struct dp_error *error);
void peers_deinit(struct peers *p);

/* Counts a connection of the address. Returns NULL, and counts nothing, if the peer has as many as it may, unless
 * `anyway`; or when out of memory. The peer stays while it has an open connection. */
struct peer *peers_enter(struct peers *p, const struct sockaddr *address, bool anyway);
/* Returns the peer of an address that has an open connection. */
struct peer *peers_find(struct peers *p, const struct sockaddr *address);
void peers_leave(struct peers *p, const struct sockaddr *address);

#endif
