/* os/address.h: which texts are network addresses, and which addresses are public. */
#ifndef OS_ADDRESS_H
#define OS_ADDRESS_H

#include <stdbool.h>

struct sockaddr;

/* Whether the text is an IPv4 or IPv6 address. Looks up no name. */
bool os_is_address(const char *text);

/* Whether an address is a public unicast IPv4 or IPv6 address: not of this host, a private or shared network, a link,
 * documentation, or another special range (RFC 6890 and IANA's registries of 2024). False for other families. */
bool os_address_is_public(const struct sockaddr *address);
/* socket(2) with close-on-exec, for a connection to `address`; -1 and EACCES if the address is not public. */
int os_socket_to_public(const struct sockaddr *address, int family, int type, int protocol);

#endif
