/* account/siphash.h: SipHash-2-4 with 128 bits of output: a keyed hash that nobody can predict without its key. */
#ifndef ACCOUNT_SIPHASH_H
#define ACCOUNT_SIPHASH_H

#include "base/span.h"

enum { SIPHASH_BYTES = 16 };

void siphash128(const uint8_t key[SIPHASH_BYTES], struct span bytes, uint8_t out[SIPHASH_BYTES]);

#endif
