/* store/s3/credentials.h: the keys that S3 requests are signed with: found, shared and renewed.
 *
 * They come from the first of these sources that is there: given keys; a web identity token that is exchanged at
 * STS; the profile files; the container's endpoint; the instance's metadata service (version 2). Keys that expire
 * are renewed before they do, by one caller for all: the others go on with the old ones while these last, and else
 * wait for the one. A failed renewal does not hurt while the old keys last.
 *
 * Thread-safe. The lock is a leaf and never held across I/O.
 */
#ifndef STORE_CREDENTIALS_H
#define STORE_CREDENTIALS_H

#include "os/call.h"
#include "store/s3/keys.h"
#include "store/s3_settings.h"

struct credentials;

/* `wall_ms` tells the time as os_wall_ms, and is that when NULL. `region` is for STS. Copies the settings' texts. */
enum dp_status credentials_new(const struct s3_settings *settings, const char *region, int64_t (*wall_ms)(void),
                               struct credentials **out, struct dp_error *error);
void credentials_free(struct credentials *c); /* NULL is fine */

/* Keys that are good now; the caller releases them. NULL in *out when requests are not to be signed. DP_DENIED when
 * there are none, with what to set; else the source's failure. Blocks while keys are fetched. */
enum dp_status credentials_get(struct call *call, struct credentials *c, struct aws_keys **out);
/* The store refused the keys of this serial as expired: the next get fetches others, unless it has others already. */
void credentials_refused(struct credentials *c, uint64_t serial);

/* The store refused them without saying why, as the answer to a HEAD cannot. They stay in use; others are fetched beside
 * them, unless the last fetch was less than ten seconds ago. Whether there may be others now. */
bool credentials_doubted(struct credentials *c, uint64_t serial);

#endif
