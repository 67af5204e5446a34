/* siphash.c: SipHash-2-4-128 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 128-bit output
 * is that of the authors' reference code).
 *
 * The table of API keys in memory uses SipHash rather than XXH3, because clients can choose inputs that collide
 * under XXH3. */
#include "account/siphash.h"

struct sip_state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t sip_rotate(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

static uint64_t read_le(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static void sip_rounds(struct sip_state *s, int count)
{
    while (count-- > 0) {
        s->v0 += s->v1;
        s->v1 = sip_rotate(s->v1, 13) ^ s->v0;
        s->v0 = sip_rotate(s->v0, 32);
        s->v2 += s->v3;
        s->v3 = sip_rotate(s->v3, 16) ^ s->v2;
        s->v0 += s->v3;
        s->v3 = sip_rotate(s->v3, 21) ^ s->v0;
        s->v2 += s->v1;
        s->v1 = sip_rotate(s->v1, 17) ^ s->v2;
        s->v2 = sip_rotate(s->v2, 32);
    }
}

static void sip_absorb(struct sip_state *s, uint64_t word)
{
    s->v3 ^= word;
    sip_rounds(s, 2);
    s->v0 ^= word;
}

static void sip_squeeze(struct sip_state *s, uint8_t out[8])
{
    sip_rounds(s, 4);
    uint64_t word = s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(word >> (8 * i));
}

void siphash128(const uint8_t key[SIPHASH_BYTES], struct span bytes, uint8_t out[SIPHASH_BYTES])
{
    const uint64_t k0 = read_le(key, 8), k1 = read_le(key + 8, 8);
    struct sip_state s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
                          k1 ^ 0x7465646279746573};
    size_t at = 0;
    for (; bytes.len - at >= 8; at += 8)
        sip_absorb(&s, read_le(bytes.data + at, 8));
    sip_absorb(&s, read_le(bytes.len > at ? bytes.data + at : NULL, bytes.len - at) | (uint64_t)bytes.len << 56);
    s.v2 ^= 0xee;
    sip_squeeze(&s, out);
    s.v1 ^= 0xdd;
    sip_squeeze(&s, out + 8);
}
