/* store_settings.c: the settings of stores, from the program's table to what the store takes. */
#include "api/store_settings.h"

#include <string.h>
#include <unistd.h>

struct s3_settings s3_settings_of(const struct config *config)
{
    return (struct s3_settings){
        .region = config->s3_region,
        .endpoint_url = config->s3_endpoint_url,
        .addressing = strcmp(config->s3_addressing, "path") == 0   ? S3_ADDRESSING_PATH
                      : strcmp(config->s3_addressing, "host") == 0 ? S3_ADDRESSING_HOST
                                                                   : S3_ADDRESSING_AUTO,
        .unsigned_requests = config->s3_unsigned,
        .access_key_id = config->s3_access_key_id,
        .secret_access_key = config->s3_secret_access_key,
        .session_token = config->s3_session_token,
        .role_arn = config->s3_role_arn,
        .web_identity_token_file = config->s3_web_identity_token_file,
        .role_session_name = config->s3_role_session_name,
        .profile = config->s3_profile,
        .credentials_file = config->s3_credentials_file,
        .config_file = config->s3_config_file,
        .container_relative_uri = config->s3_container_relative_uri,
        .container_full_uri = config->s3_container_full_uri,
        .container_token = config->s3_container_token,
        .container_token_file = config->s3_container_token_file,
        .metadata_disabled = config->s3_metadata_disabled,
        .sts_endpoint_url = config->s3_sts_endpoint_url,
        .metadata_endpoint = config->s3_metadata_endpoint,
        .home = config->s3_home,
    };
}

enum dp_status store_settings_load(struct config *config, struct dp_error *error)
{
    /* The program's file of settings is not the library's. */
    const struct config_sources sources = {
        .environ = environ, .toml_path = "/dev/null", .groups = CONFIG_GROUP_STORE};
    return config_load(&sources, config, error);
}

enum dp_status store_open_by_environment(struct call *call, struct span url, bool create, struct store **out)
{
    if (!span_starts_with(url, span_str("s3://")))
        return store_open(call, url, create, out);
    struct config config;
    *out = NULL;
    enum dp_status status = store_settings_load(&config, &call->error);
    if (status == DP_OK) {
        const struct s3_settings s3 = s3_settings_of(&config);
        const struct store_options options = {.create = create, .s3 = &s3};
        status = store_open_with(call, url, &options, out);
    }
    config_deinit(&config);
    return status;
}
