/* peers.c: a hash table of peers with open connections. */
#include "server/peers.h"

#include <string.h>

#include "base/alloc.h"
#include "base/splitmix.h"
#include "os/random.h"

static bool is_zero(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

/* Leaves only the first half of an IPv6 address, unless it is a mapped IPv4 address. */
static void shorten(uint8_t address[ADDRESS_BYTES])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(address, mapped, sizeof mapped) != 0)
        memset(address + ADDRESS_BYTES / 2, 0, ADDRESS_BYTES / 2);
}

/* Returns the peer's address, shortened. */
static void address_of(const struct sockaddr *from, uint8_t out[ADDRESS_BYTES])
{
    proxies_address(from, out);
    shorten(out);
}

/* Returns the place of the pointer to the peer, or to NULL where it would be added. */
static struct peer **place_of(struct peers *p, const uint8_t address[ADDRESS_BYTES])
{
    uint64_t halves[2];
    memcpy(halves, address, sizeof halves);
    const uint64_t hash = splitmix64_mix(splitmix64_mix(p->seed ^ halves[0]) ^ halves[1]);
    struct peer **place = &p->heads[hash % PEERS_HEADS];
    while (*place && memcmp((*place)->address, address, ADDRESS_BYTES) != 0)
        place = &(*place)->next;
    return place;
}

enum dp_status peers_init(struct peers *p, const struct proxies *proxies, unsigned each_max,
                          struct dp_error *error)
{
    *p = (struct peers){.proxies = proxies, .each_max = each_max};
    pthread_mutex_init(&p->lock, NULL);
    return os_random(&p->seed, sizeof p->seed, error);
}

void peers_deinit(struct peers *p)
{
    for (size_t i = 0; i < PEERS_HEADS; i++)
        while (p->heads[i]) {
            struct peer *next = p->heads[i]->next;
            mem_free(p->heads[i]);
            p->heads[i] = next;
        }
    pthread_mutex_destroy(&p->lock);
}

struct peer *peers_enter(struct peers *p, const struct sockaddr *from, bool anyway)
{
    uint8_t address[ADDRESS_BYTES];
    proxies_address(from, address);
    anyway = anyway || is_zero(address, sizeof address) || proxies_have(p->proxies, address);
    shorten(address);
    pthread_mutex_lock(&p->lock);
    struct peer **place = place_of(p, address), *peer = *place;
    if (!peer) {
        peer = mem_calloc(1, sizeof *peer);
        if (peer) {
            memcpy(peer->address, address, sizeof address);
            *place = peer;
        }
    }
    if (peer && !anyway && atomic_load(&peer->open) >= p->each_max)
        peer = NULL; /* it has open connections, so it stays */
    if (peer)
        atomic_fetch_add(&peer->open, 1);
    pthread_mutex_unlock(&p->lock);
    return peer;
}

struct peer *peers_find(struct peers *p, const struct sockaddr *from)
{
    uint8_t address[ADDRESS_BYTES];
    address_of(from, address);
    pthread_mutex_lock(&p->lock);
    struct peer *peer = *place_of(p, address);
    pthread_mutex_unlock(&p->lock);
    return peer;
}

void peers_leave(struct peers *p, const struct sockaddr *from)
{
    uint8_t address[ADDRESS_BYTES];
    address_of(from, address);
    pthread_mutex_lock(&p->lock);
    struct peer **place = place_of(p, address), *peer = *place;
    if (peer && atomic_fetch_sub(&peer->open, 1) == 1) {
        *place = peer->next;
        mem_free(peer);
    }
    pthread_mutex_unlock(&p->lock);
}
