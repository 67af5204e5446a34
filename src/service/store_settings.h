/* service/store_settings.h: translates settings into the options of stores. */
#ifndef SERVICE_STORE_SETTINGS_H
#define SERVICE_STORE_SETTINGS_H

#include "config/config.h"
#include "store/azure_settings.h"
#include "store/gcs_settings.h"
#include "store/s3_settings.h"
#include "store/store.h"

/* The settings of each scheme that has some. A new kind of store adds a field for its settings. */
struct scheme_settings {
    struct s3_settings s3;
    struct gcs_settings gcs;
    struct azure_settings azure;
};
/* Returns the settings of schemes. Their texts belong to `config`. */
struct scheme_settings scheme_settings_of(const struct config *config);
/* Makes the options point to the settings, which must outlive them. */
void scheme_settings_use(const struct scheme_settings *settings, struct store_options *options);
struct trust_settings trust_settings_of(const struct config *config);

/* Settings of stores that the library reads from the environment, as far as a URL needs them: s3://, gs:// and az://
 * need all, https:// those about certificates, other URLs none. */
struct environment_settings {
    struct config config;
    struct scheme_settings schemes;
    struct store_options store; /* only the settings of `schemes` and `trust` are set */
};
/* Reads the settings that `url` needs. Call environment_settings_deinit even after a failure. The struct must
 * not move. */
enum dp_status environment_settings_load(struct environment_settings *out, struct span url,
                                         struct dp_error *error);
void environment_settings_deinit(struct environment_settings *e);

/* Opens a store with the settings of the environment. cache_bytes: those of struct store_options. Fails as
 * environment_settings_load and store_open do. */
enum dp_status store_open_by_environment(struct call *call, struct span url, bool create, uint64_t cache_bytes,
                                         struct store **out);

#endif
