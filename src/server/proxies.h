/* server/proxies.h: proxies that the operator trusts to say which client they ask for.
 *
 * Anybody can send X-Forwarded-For. So the server believes it only from a trusted proxy, and reads it from its end,
 * where each proxy adds the address that it saw: the client is the last address that is no trusted proxy.
 */
#ifndef SERVER_PROXIES_H
#define SERVER_PROXIES_H

#include "base/error.h"
#include "server/head.h"

struct sockaddr;

enum { PROXIES_MAX = 64, ADDRESS_BYTES = 16, ADDRESS_TEXT_MAX = 64 };

struct proxies {
    struct {
        uint8_t prefix[ADDRESS_BYTES];
        unsigned bits;
    } ranges[PROXIES_MAX];
    size_t count;
};

/* Parses addresses and ranges such as 10.0.0.0/8, separated by blanks or commas. DP_INVALID names the wrong one. */
enum dp_status proxies_parse(const char *text, struct proxies *out, struct dp_error *error);
/* Returns the address as IPv6 (IPv4 is mapped); all zero: of another family, such as a Unix socket. */
void proxies_address(const struct sockaddr *address, uint8_t out[ADDRESS_BYTES]);
bool proxies_have(const struct proxies *p, const uint8_t address[ADDRESS_BYTES]);
/* Finds the client that a trusted proxy asks for. Returns false if the head names none. */
bool proxies_client(const struct proxies *p, const struct head *head, char out[ADDRESS_TEXT_MAX]);

#endif
