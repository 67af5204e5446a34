/* store/auth/secret_cache.h: shares one secret among many threads, and renews it before it expires.
 *
 * Before the secret expires, one caller fetches a new one for all. The other callers use the old secret while it is
 * valid. Once it has expired, they wait for that caller. A failed renewal does no harm while the old secret is valid.
 *
 * Thread-safe. The lock is a leaf and never held across I/O.
 */
#ifndef STORE_AUTH_SECRET_CACHE_H
#define STORE_AUTH_SECRET_CACHE_H

#include "os/call.h"
#include "store/auth/secret.h"

/* Fetches a secret from its source. One thread at a time calls it, without a lock. */
typedef enum dp_status secret_fetch_fn(struct call *call, void *ctx, struct secret **out);

struct secret_source {
    const char *what; /* for messages: "the keys for S3" */
    secret_fetch_fn *fetch;
    void *ctx;
    int64_t (*wall_ms)(void); /* the clock; NULL: os_wall_ms */
};

struct secret_cache;

/* Makes an empty cache; fetches nothing yet. Copies *source. */
enum dp_status secret_cache_new(const struct secret_source *source, struct secret_cache **out,
                                struct dp_error *error);
void secret_cache_free(struct secret_cache *cache); /* NULL is fine */

/* Sets *out to a secret that is valid now, which the caller releases. Fails as the source does. Blocks while it
 * fetches the first secret, or one after the old one has expired. */
enum dp_status secret_cache_get(struct call *call, struct secret_cache *cache, struct secret **out);
/* Reports that the store refused the secret of this serial as expired. The next secret_cache_get fetches a new one,
 * or waits for the running fetch, unless a newer one is here already. */
void secret_cache_refused(struct secret_cache *cache, uint64_t serial);
/* Reports that the store refused the secret without a reason; answers to HEAD have none. The next secret_cache_get
 * fetches a new one if the last fetch was at least ten seconds ago. Until it arrives, the old one stays in use.
 * Returns whether secret_cache_get may now give another secret. */
bool secret_cache_doubted(struct secret_cache *cache, uint64_t serial);

#endif
