/* store/gcs/credentials_fetch.h: fetches tokens from Google's token endpoints and the metadata server. */
#ifndef STORE_GCS_CREDENTIALS_FETCH_H
#define STORE_GCS_CREDENTIALS_FETCH_H

#include "os/call.h"
#include "store/auth/secret.h"
#include "store/gcs_settings.h"

/* What a fetch needs to know. */
struct google_fetch {
    const struct gcs_settings *settings;
    int64_t (*wall_ms)(void);
};

/* Fetches a token with the credentials in `text`, the content of a file; `from` names the file in messages. */
enum dp_status google_token_of_file(struct call *call, const struct google_fetch *f, const char *from,
                                    struct span text, struct bearer_token **out);
/* Fetches the token of the machine's service account. DP_UNAVAILABLE if no metadata server answers. */
enum dp_status google_token_of_machine(struct call *call, const struct google_fetch *f, struct bearer_token **out);

#endif
