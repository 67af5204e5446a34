/* store_settings.c: translates the program's settings into the options of stores. */
#include "service/store_settings.h"

#include <string.h>
#include <unistd.h>

#include "base/url.h"

/* Returns an endpoint's URL, or NULL if it comes from a variable of AWS's tools that is to be ignored. */
static const char *aws_endpoint_of(const struct config *config, const char *setting, const char *url)
{
    bool from_aws = strstr(config_origin(config, setting), "AWS_ENDPOINT_URL");
    return config->s3_ignore_endpoint_urls && from_aws ? NULL : url;
}

/* Returns the endpoint of STS: its own, else the one that AWS's tools use for all services. */
static const char *sts_endpoint_of(const struct config *config)
{
    bool for_all = strcmp(config_origin(config, "s3.endpoint_url"), "environment AWS_ENDPOINT_URL") == 0;
    bool own = setting_is_set(config->s3_sts_endpoint_url);
    return own || !for_all ? aws_endpoint_of(config, "s3.sts_endpoint_url", config->s3_sts_endpoint_url)
                           : aws_endpoint_of(config, "s3.endpoint_url", config->s3_endpoint_url);
}

static struct s3_settings s3_settings_of(const struct config *config)
{
    return (struct s3_settings){
        .region = config->s3_region,
        .endpoint_url = aws_endpoint_of(config, "s3.endpoint_url", config->s3_endpoint_url),
        .ignore_endpoint_urls = config->s3_ignore_endpoint_urls,
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
        .sts_endpoint_url = sts_endpoint_of(config),
        .metadata_endpoint = config->s3_metadata_endpoint,
        .home = config->s3_home,
    };
}

static struct gcs_settings gcs_settings_of(const struct config *config)
{
    return (struct gcs_settings){
        .endpoint_url = config->gcs_endpoint_url,
        .emulator_host = config->gcs_emulator_host,
        .anonymous = config->gcs_anonymous,
        .user_project = config->gcs_user_project,
        .credentials_file = config->gcs_credentials_file,
        .config_folder = config->gcs_config_folder,
        .metadata_host = config->gcs_metadata_host,
        .metadata_disabled = config->gcs_metadata_disabled,
        .home = config->s3_home,
    };
}

static struct azure_settings azure_settings_of(const struct config *config)
{
    return (struct azure_settings){
        .connection_string = config->azure_connection_string,
        .account = config->azure_account,
        .account_key = config->azure_account_key,
        .sas_token = config->azure_sas_token,
        .endpoint = config->azure_endpoint,
        .anonymous = config->azure_anonymous,
        .client_id = config->azure_client_id,
        .client_secret = config->azure_client_secret,
        .tenant_id = config->azure_tenant_id,
        .federated_token_file = config->azure_federated_token_file,
        .authority = config->azure_authority,
        .identity_endpoint = config->azure_identity_endpoint,
        .identity_header = config->azure_identity_header,
        .metadata_endpoint = config->azure_metadata_endpoint,
    };
}

struct scheme_settings scheme_settings_of(const struct config *config)
{
    return (struct scheme_settings){
        .s3 = s3_settings_of(config), .gcs = gcs_settings_of(config), .azure = azure_settings_of(config)};
}

void scheme_settings_use(const struct scheme_settings *settings, struct store_options *options)
{
    const struct store_settings all[STORE_SETTINGS_MAX] = {
        {"s3", &settings->s3}, {"gs", &settings->gcs}, {"az", &settings->azure}};
    memcpy(options->settings, all, sizeof all);
}

struct trust_settings trust_settings_of(const struct config *config)
{
    return (struct trust_settings){
        .file = config->http_ca_file,
        .file_from = config_origin(config, "http.ca_file"),
        .other_file = config->http_ssl_cert_file,
        .other_from = config_origin(config, "http.ssl_cert_file"),
        .folders = config->http_ssl_cert_dir,
        .folders_from = config_origin(config, "http.ssl_cert_dir"),
    };
}

enum dp_status environment_settings_load(struct environment_settings *e, struct span url, struct dp_error *error)
{
    static const char *const WITH_SETTINGS[] = {"s3", "gs", "az", "abfss", "abfs"};
    const struct span scheme = span_of(url.data, url_scheme_len(url));
    bool all = span_one_of(scheme, WITH_SETTINGS, sizeof WITH_SETTINGS / sizeof *WITH_SETTINGS);
    *e = (struct environment_settings){0};
    if (!all && !span_equal_str(scheme, "https"))
        return DP_OK;
    /* The library does not read the program's settings file. */
    const struct config_sources sources = {
        .environ = environ, .toml_path = "/dev/null", .groups = all ? CONFIG_GROUP_STORE : CONFIG_GROUP_HTTP};
    enum dp_status status = config_load(&sources, &e->config, error);
    if (status == DP_OK) {
        e->schemes = scheme_settings_of(&e->config);
        e->store = (struct store_options){.trust = trust_settings_of(&e->config)};
        scheme_settings_use(&e->schemes, &e->store);
    }
    return status;
}

void environment_settings_deinit(struct environment_settings *e)
{
    config_deinit(&e->config);
}

enum dp_status store_open_by_environment(struct call *call, struct span url, bool create, uint64_t cache_bytes,
                                         struct store **out)
{
    struct environment_settings e;
    *out = NULL;
    enum dp_status status = environment_settings_load(&e, url, &call->error);
    if (status == DP_OK) {
        e.store.create = create;
        e.store.cache_bytes = cache_bytes;
        status = store_open_with(call, url, &e.store, out);
    }
    environment_settings_deinit(&e);
    return status;
}
