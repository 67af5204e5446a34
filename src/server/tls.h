/* server/tls.h: the certificate and the key of the server, which may be read again while it serves.
 *
 * Each connection holds the identity that was current when it began, so a reload changes nothing for it. Identities
 * are counted: the last holder frees one.
 */
#ifndef SERVER_TLS_H
#define SERVER_TLS_H

#include <gnutls/abstract.h>

#include "base/error.h"

struct tls;
struct tls_identity;

/* Reads the files: PEM, the certificate first, then those of its authorities. DP_INVALID: a file is no PEM, or the key
 * is not the certificate's; or the failure of reading a file. */
enum dp_status tls_new(const char *certificate, const char *key, struct tls **out, struct dp_error *error);
void tls_free(struct tls *tls); /* NULL is fine */
/* Reads the files again. If that fails, the former identity stays. One thread at a time. */
enum dp_status tls_reload(struct tls *tls, struct dp_error *error);

/* Returns the current identity, for one holder. Any thread. */
struct tls_identity *tls_take(struct tls *tls);
void tls_give(struct tls_identity *identity); /* NULL is fine */
/* Gives the parts that a handshake needs. They live as long as the identity. */
void tls_parts(struct tls_identity *identity, gnutls_pcert_st **chain, unsigned *length, gnutls_privkey_t *key);

#endif
