/* os/address.h: which texts are network addresses, and which addresses anyone may be sent to. */
#ifndef OS_ADDRESS_H
#define OS_ADDRESS_H

#include <stdbool.h>

struct sockaddr;

/* Whether the text is an IPv4 or IPv6 address; no name is looked up. */
bool os_is_address(const char *text);

/* Whether an IPv4 or IPv6 address is a public unicast one: none of this host, of a private or shared network, of a
 * link, of documentation, nor any other special one (RFC 6890 and IANA's registries of 2024). Other families are
 * not. */
bool os_address_is_public(const struct sockaddr *address);
/* socket(2) with close-on-exec, for a connection to `address`; -1 and EACCES when that is not public. */
int os_socket_to_public(const struct sockaddr *address, int family, int type, int protocol);

#endif
