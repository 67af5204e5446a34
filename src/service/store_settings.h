/* service/store_settings.h: translates settings into what stores take. */
#ifndef SERVICE_STORE_SETTINGS_H
#define SERVICE_STORE_SETTINGS_H

#include "config/config.h"
#include "store/s3_settings.h"
#include "store/store.h"

/* The settings of each scheme that has some. A new store with settings is a field here. */
struct scheme_settings {
    struct s3_settings s3;
};
/* Their texts belong to the config. */
struct scheme_settings scheme_settings_of(const struct config *config);
/* Points the options to the settings, which must outlive them. */
void scheme_settings_use(const struct scheme_settings *settings, struct store_options *options);
struct trust_settings trust_settings_of(const struct config *config);

/* The environment's settings of stores, for the library, as far as the URL needs them: s3:// all, https:// those about
 * certificates, others none. */
struct environment_settings {
    struct config config;
    struct scheme_settings schemes;
    struct store_options store; /* only the settings of `schemes` and `trust` are set */
};
/* Call environment_settings_deinit even after a failure. The struct must not move. */
enum dp_status environment_settings_load(struct environment_settings *out, struct span url,
                                         struct dp_error *error);
void environment_settings_deinit(struct environment_settings *e);

/* store_open with these settings. */
enum dp_status store_open_by_environment(struct call *call, struct span url, bool create, struct store **out);

#endif
