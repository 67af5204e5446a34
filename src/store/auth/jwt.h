/* store/auth/jwt.h: signs JSON Web Tokens with RS256 (RFC 7515, RFC 7518 section 3.3), with OpenSSL. Pure: no I/O. */
#ifndef STORE_AUTH_JWT_H
#define STORE_AUTH_JWT_H

#include "base/buffer.h"
#include "base/error.h"
#include "base/span.h"

/* Appends HEADER.CLAIMS.SIGNATURE, each in base64url. `header` and `claims` are JSON; `pem` is the private key, in
 * PKCS #8 or PKCS #1. DP_INVALID if it is not an RSA key; `from` names its file in the message. */
enum dp_status jwt_sign_rs256(const char *from, struct span pem, struct span header, struct span claims,
                              struct buffer *out, struct dp_error *error);

#endif
