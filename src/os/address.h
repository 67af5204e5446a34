/* os/address.h: recognises texts that are network addresses, and addresses that are public. */
#ifndef OS_ADDRESS_H
#define OS_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

/* Returns whether the text is an IPv4 or IPv6 address. Looks up no name. */
bool os_is_address(const char *text);

/* Returns whether the first `bits` bits of an address are those of the prefix. */
bool os_in_network(const uint8_t *address, const uint8_t *prefix, unsigned bits);
/* Returns whether an address is a public unicast IPv4 or IPv6 address. Returns false for addresses of this host,
 * of private, shared or link-local networks, of documentation, of other special ranges (RFC 6890 and IANA's
 * registries of 2024), and for other address families. */
bool os_address_is_public(const struct sockaddr *address);
/* Calls socket(2) with close-on-exec, for a connection to `address`. Returns -1 with EACCES in errno if the
 * address is not public. */
int os_socket_to_public(const struct sockaddr *address, int family, int type, int protocol);

#endif
