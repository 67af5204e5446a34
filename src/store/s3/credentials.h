/* store/s3/credentials.h: finds, shares and renews the keys that sign S3 requests.
 *
 * Keys come from the first source that has some: given keys; a web identity token that STS exchanges; the profile
 * files; the container's endpoint; the instance's metadata service (version 2). Keys that expire are renewed before
 * that, by one caller for all: the others use the old ones while these are valid, and otherwise wait for that
 * caller. A failed renewal does no harm while the old keys are valid.
 *
 * Thread-safe. The lock is a leaf and never held across I/O.
 */
#ifndef STORE_CREDENTIALS_H
#define STORE_CREDENTIALS_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

struct credentials;

/* `wall_ms` returns the time; NULL: os_wall_ms. `region` is for STS. Copies the settings' texts. */
enum dp_status credentials_new(const struct s3_settings *settings, const char *region, int64_t (*wall_ms)(void),
                               struct credentials **out, struct dp_error *error);
void credentials_free(struct credentials *c); /* NULL is fine */

/* Returns keys that are valid now; the caller releases them. *out is NULL when requests need no signature. Without
 * any keys fails with DP_DENIED and says what to set; else with the source's failure. Blocks while keys are
 * fetched. */
enum dp_status credentials_get(struct call *call, struct credentials *c, struct aws_keys **out);
/* Reports that the store refused the keys of this serial as expired. The next get fetches others, unless newer
 * ones are here. */
void credentials_refused(struct credentials *c, uint64_t serial);

/* Reports that the store refused the keys without a reason, as the answer to a HEAD has none. They stay in use,
 * and others are fetched meanwhile, unless the last fetch was less than ten seconds ago. Returns whether there may
 * be others now. */
bool credentials_doubted(struct credentials *c, uint64_t serial);

#endif
