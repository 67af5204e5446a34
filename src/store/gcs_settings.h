/* store/gcs_settings.h: the settings of Google Cloud Storage, as plain values. The program fills them from the table of
 * settings (src/config); each comment names the environment variable, where Google's own tools have one.
 */
#ifndef STORE_GCS_SETTINGS_H
#define STORE_GCS_SETTINGS_H

#include <stdbool.h>

#include "store/trust.h"

/* NULL and "" mean not set. The texts must live until the store is open. */
struct gcs_settings {
    const char *endpoint_url;  /* DIPPER_GCS_ENDPOINT_URL; else https://storage.googleapis.com */
    const char *emulator_host; /* STORAGE_EMULATOR_HOST: host:port or a URL; requests to it carry no token */
    bool anonymous;            /* for public buckets: requests carry no token */
    const char *user_project;  /* GOOGLE_CLOUD_QUOTA_PROJECT: pays for requests to a "requester pays" bucket */

    /* Sources of tokens: the first that is there. */
    const char *credentials_file; /* GOOGLE_APPLICATION_CREDENTIALS */
    const char *config_folder;    /* CLOUDSDK_CONFIG; else ~/.config/gcloud */
    const char *metadata_host;    /* GCE_METADATA_HOST; else 169.254.169.254 */
    bool metadata_disabled;       /* NO_GCE_CHECK */
    const char *home;             /* HOME */

    struct trust_settings trust; /* set by the store, from its options */
};

#endif
