/* cache_key.c: computes cache keys of texts and of token sequences, and their names in Redis. */
#include "embed/cache/cache_key.h"

#include "base/hex.h"
#include "simd/simd.h"

/* Change the number when the meaning of the bytes or the arithmetic of the native engine changes. */
static const char FORMAT[] = "dipper vector 2";

enum { KIND_TEXT = 1, KIND_TOKENS = 2, KIND_PROMPTED = 3, KIND_PROMPT_SKIPPED = 4 };

static void add_u32(struct sha256_state *s, uint32_t v)
{
    const uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    sha256_update(s, span_of(bytes, sizeof bytes));
}

static void add_u8(struct sha256_state *s, uint8_t v)
{
    sha256_update(s, span_of(&v, 1));
}

static void add_name(struct sha256_state *s, const char *name)
{
    struct span text = span_str(name);
    add_u32(s, (uint32_t)text.len);
    sha256_update(s, text);
}

void cache_keys_begin(struct sha256_state *s, const struct model_info *info, uint32_t max_tokens)
{
    /* The native engine computes equal bits with every instruction set; other engines may not. */
    bool native = strncmp(info->engine, "native ", 7) == 0;
    sha256_begin(s);
    sha256_update(s, span_of(FORMAT, sizeof FORMAT));
    add_name(s, info->fingerprint);
    add_name(s, info->engine);
    add_name(s, native ? "" : simd_ops()->name);
    add_u32(s, max_tokens);
}

void cache_keys_of_output(const struct sha256_state *model_keys, bool normalize, uint32_t dimensions,
                          struct sha256_state *keys)
{
    *keys = *model_keys;
    add_u8(keys, normalize);
    add_u32(keys, dimensions);
}

void cache_key_of_text(const struct sha256_state *keys, struct span prompt, bool skips_prompt, struct span text,
                       struct cache_key *out)
{
    struct sha256_state s = *keys;
    add_u8(&s, prompt.len == 0 ? KIND_TEXT : skips_prompt ? KIND_PROMPT_SKIPPED : KIND_PROMPTED);
    if (prompt.len > 0) {
        add_u32(&s, (uint32_t)prompt.len);
        sha256_update(&s, prompt);
    }
    sha256_update(&s, text);
    sha256_end(&s, out->bytes);
}

void cache_key_of_tokens(const struct sha256_state *keys, const int32_t *ids, size_t count, struct cache_key *out)
{
    struct sha256_state s = *keys;
    add_u8(&s, KIND_TOKENS);
    for (size_t i = 0; i < count; i++)
        add_u32(&s, (uint32_t)ids[i]);
    sha256_end(&s, out->bytes);
}

void cache_key_name(const struct cache_key *key, char out[CACHE_KEY_NAME_MAX])
{
    static const char prefix[] = "dipper:vector:";
    _Static_assert(sizeof prefix + 2 * sizeof key->bytes <= CACHE_KEY_NAME_MAX, "a name fits");
    memcpy(out, prefix, sizeof prefix - 1);
    hex_encode(span_of(key->bytes, sizeof key->bytes), out + sizeof prefix - 1);
}
