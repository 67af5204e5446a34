/* address.c: tells public IP addresses from private, local and reserved ones. */
#include "os/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct network4 {
    uint8_t prefix[4];
    unsigned bits;
};

static const struct network4 SPECIAL4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by the customers of a provider (carrier-grade NAT) */
    {{127}, 8},           /* this host */
    {{169, 254}, 16},     /* link-local; clouds serve instance metadata there */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* 6to4 relays */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 3},           /* multicast, reserved, broadcast */
};

bool os_in_network(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

static bool is_public4(const uint8_t a[4])
{
    for (size_t i = 0; i < sizeof SPECIAL4 / sizeof *SPECIAL4; i++)
        if (os_in_network(a, SPECIAL4[i].prefix, SPECIAL4[i].bits))
            return false;
    return true;
}

static bool is_public6(const uint8_t a[16])
{
    static const uint8_t global[] = {0x20}, protocols[] = {0x20, 0x01, 0x00},
                         documentation[] = {0x20, 0x01, 0x0d, 0xb8}, to4[] = {0x20, 0x02},
                         documentation2[] = {0x3f, 0xff, 0x00}, mapped[12] = {[10] = 0xff, [11] = 0xff},
                         nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    if (os_in_network(a, mapped, 96) || os_in_network(a, nat64, 96))
        return is_public4(a + 12);
    if (os_in_network(a, to4, 16))
        return is_public4(a + 2);
    return os_in_network(a, global, 3) && !os_in_network(a, protocols, 23) &&
           !os_in_network(a, documentation, 32) && !os_in_network(a, documentation2, 20);
}

bool os_address_is_public(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return is_public4((const uint8_t *)&in.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, address, sizeof in);
        return is_public6(in.sin6_addr.s6_addr);
    }
    return false;
}

int os_socket_to_public(const struct sockaddr *address, int family, int type, int protocol)
{
    if (!os_address_is_public(address)) {
        errno = EACCES;
        return -1;
    }
    return socket(family, type | SOCK_CLOEXEC, protocol);
}

bool os_is_address(const char *text)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}
