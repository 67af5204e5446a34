/* api/store_settings.h: the settings of stores, from the program's table to what the store takes. */
#ifndef API_STORE_SETTINGS_H
#define API_STORE_SETTINGS_H

#include "config/config.h"
#include "store/s3_settings.h"
#include "store/store.h"

/* The texts stay the config's. */
struct s3_settings s3_settings_of(const struct config *config);

/* store_open with the settings that the environment has, for the library. */
enum dp_status store_open_by_environment(struct call *call, struct span url, bool create, struct store **out);

/* The environment's settings of stores: s3_settings_of(config). To be freed by config_deinit, also after a failure. */
enum dp_status store_settings_load(struct config *config, struct dp_error *error);

#endif
