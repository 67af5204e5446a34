/* store/gcs/credentials.h: finds, shares and renews the tokens that open Google Cloud Storage.
 *
 * The order is that of "application default credentials": the file that GOOGLE_APPLICATION_CREDENTIALS names; the
 * file that `gcloud auth application-default login` writes; the metadata server of the machine. Threads share the
 * token, and one caller renews it for all, as store/auth/secret_cache.h says. Thread-safe.
 */
#ifndef STORE_GCS_CREDENTIALS_H
#define STORE_GCS_CREDENTIALS_H

#include "os/call.h"
#include "store/auth/secret.h"
#include "store/gcs_settings.h"

struct gcs_credentials;

/* Makes credentials; fetches no token yet. `wall_ms` returns the time; NULL: os_wall_ms. Copies the settings'
 * texts. */
enum dp_status gcs_credentials_new(const struct gcs_settings *settings, int64_t (*wall_ms)(void),
                                   struct gcs_credentials **out, struct dp_error *error);
void gcs_credentials_free(struct gcs_credentials *c); /* NULL is fine */

/* Sets *out to a token that is valid now, which the caller releases, or to NULL when requests need none. Fails with
 * DP_DENIED when there is no source, and says what to set; else with the source's failure. Blocks while it fetches a
 * token. */
enum dp_status gcs_credentials_get(struct call *call, struct gcs_credentials *c, struct bearer_token **out);
/* Reports that the store refused the token of this serial. */
void gcs_credentials_refused(struct gcs_credentials *c, uint64_t serial);

#endif
