/* store/s3/credentials.h: finds, shares and renews the keys that sign S3 requests.
 *
 * Keys come from the first source that has some: given keys; a web identity token that STS exchanges; the profile
 * files; the container's endpoint; the instance's metadata service (version 2). Threads share them, and one caller
 * renews them for all, as store/auth/secret_cache.h says. Thread-safe.
 */
#ifndef STORE_CREDENTIALS_H
#define STORE_CREDENTIALS_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

struct credentials;

/* Makes credentials; fetches no keys yet. `wall_ms` returns the time; NULL: os_wall_ms. `region` is for STS.
 * Copies the settings' texts. */
enum dp_status credentials_new(const struct s3_settings *settings, const char *region, int64_t (*wall_ms)(void),
                               struct credentials **out, struct dp_error *error);
void credentials_free(struct credentials *c); /* NULL is fine */

/* Sets *out to keys that are valid now, which the caller releases, or to NULL when requests need no signature.
 * Fails with DP_DENIED when no source has keys, and says what to set; else with the source's failure. Blocks while
 * it fetches keys. */
enum dp_status credentials_get(struct call *call, struct credentials *c, struct aws_keys **out);
/* Reports that the store refused the keys of this serial as expired. The next credentials_get fetches new keys,
 * unless newer keys than these are here already. */
void credentials_refused(struct credentials *c, uint64_t serial);

/* Reports that the store refused the keys without a reason; answers to HEAD have none. The next credentials_get
 * fetches new keys if the last fetch was at least ten seconds ago. Until they arrive, these keys stay in use.
 * Returns whether credentials_get may now give other keys. */
bool credentials_doubted(struct credentials *c, uint64_t serial);

#endif
