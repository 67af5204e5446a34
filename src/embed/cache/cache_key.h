/* embed/cache/cache_key.h: computes the keys under which the cache keeps vectors.
 *
 * A cache key is the SHA-256 of everything that a vector depends on: the model's fingerprint, the engine, the
 * maximum length of a text, the form of the vector (normalised, dimensions), and the text or the tokens. Each part
 * has a fixed length or begins with its length, and the text comes last, so different inputs never give the same
 * bytes. docs/internals/embedding-cache.md lists the parts.
 */
#ifndef EMBED_CACHE_KEY_H
#define EMBED_CACHE_KEY_H

#include "base/checksum.h"
#include "embed/model.h"

struct cache_key {
    uint8_t bytes[32];
};

/* Hashes the common beginning of all keys of a model whose texts have at most `max_tokens`. */
void cache_keys_begin(struct sha256_state *model_keys, const struct model_info *info, uint32_t max_tokens);
/* Hashes the common beginning of all keys for one form of the vectors. */
void cache_keys_of_output(const struct sha256_state *model_keys, bool normalize, uint32_t dimensions,
                          struct sha256_state *keys);

/* Computes the key of a text with `prompt` before it. The prompt may be empty. skips_prompt: pooling skips the
 * prompt's tokens. */
void cache_key_of_text(const struct sha256_state *keys, struct span prompt, bool skips_prompt, struct span text,
                       struct cache_key *out);
void cache_key_of_tokens(const struct sha256_state *keys, const int32_t *ids, size_t count, struct cache_key *out);

/* Prints the key's name in Redis: "dipper:vector:" and 64 hexadecimal digits. */
enum { CACHE_KEY_NAME_MAX = 80 };
void cache_key_name(const struct cache_key *key, char out[CACHE_KEY_NAME_MAX]);

#endif
