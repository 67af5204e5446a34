/* s3/profile.c: finds profiles in the files of AWS tools (see s3/profile.h). */
#include "store/s3/profile.h"

#include <stddef.h>

#include "store/s3/shell_words.h"

enum { HEADER_MAX_BYTES = 4 << 10 };

static const struct {
    const char *key;
    size_t offset;
} KEYS[] = {
    {"aws_secret_access_key", offsetof(struct aws_profile, secret_access_key)},
    {"region", offsetof(struct aws_profile, region)},
    {"endpoint_url", offsetof(struct aws_profile, endpoint_url)},
    {"ignore_configured_endpoint_urls", offsetof(struct aws_profile, ignore_endpoint_urls)},
    {"ca_bundle", offsetof(struct aws_profile, ca_bundle)},
    {"services", offsetof(struct aws_profile, services)},
    {"s3", offsetof(struct aws_profile, s3)},
    {"role_arn", offsetof(struct aws_profile, role_arn)},
    {"role_session_name", offsetof(struct aws_profile, role_session_name)},
    {"external_id", offsetof(struct aws_profile, external_id)},
    {"mfa_serial", offsetof(struct aws_profile, mfa_serial)},
    {"duration_seconds", offsetof(struct aws_profile, duration_seconds)},
    {"source_profile", offsetof(struct aws_profile, source_profile)},
    {"credential_source", offsetof(struct aws_profile, credential_source)},
    {"web_identity_token_file", offsetof(struct aws_profile, web_identity_token_file)},
    {"login_session", offsetof(struct aws_profile, login_session)},
    {"sso_session", offsetof(struct aws_profile, sso_session)},
    {"sso_start_url", offsetof(struct aws_profile, sso_start_url)},
    {"sso_region", offsetof(struct aws_profile, sso_region)},
    {"sso_account_id", offsetof(struct aws_profile, sso_account_id)},
    {"sso_role_name", offsetof(struct aws_profile, sso_role_name)},
};

/* ---- sections --------------------------------------------------------------------------------------- */

/* Returns whether a header of the config file is "kind name", where quotes may surround the name. boto3 compares
 * just the beginning with the kind. */
static bool is_header_of(struct span header, const char *kind, struct span name)
{
    struct shell_words split;
    struct dp_error ignored;
    struct arena arena;
    if (!span_starts_with(header, span_str(kind)) || header.len > HEADER_MAX_BYTES)
        return false;
    arena_init(&arena, 64 << 10);
    bool is = shell_words_split(header, &arena, &split, &ignored) == DP_OK && split.count == 2 &&
              span_equal(split.words[1], name);
    arena_deinit(&arena);
    return is;
}

/* Returns the header of the last section "kind name" in the config file; .data is NULL if there is none. */
static struct span config_section(const struct ini_file *config, const char *kind, struct span name)
{
    struct span found = {0};
    bool may_be_default = strcmp(kind, "profile") == 0 && span_equal_str(name, "default");
    for (size_t i = 0; i < config->count; i++) {
        const struct ini_line *line = &config->lines[i];
        if (line->key.len)
            continue;
        if ((may_be_default && span_equal_str(line->section, "default")) ||
            is_header_of(line->section, kind, name))
            found = line->section;
    }
    return found;
}

/* ---- values ----------------------------------------------------------------------------------------- */

/* Returns the value without its comment. A comment begins with '#' or ';' after a blank. */
static struct span without_comment(struct span value)
{
    for (size_t i = 1; i < value.len; i++)
        if ((value.data[i] == '#' || value.data[i] == ';') &&
            (value.data[i - 1] == ' ' || value.data[i - 1] == '\t'))
            return ini_trim(span_of(value.data, i));
    return value;
}

static struct span value_of(const struct ini_file *file, struct span section, const char *key)
{
    return section.data ? without_comment(ini_value(file, section, key)) : (struct span){0};
}

static struct aws_file_keys keys_of(const struct ini_file *file, struct span section)
{
    struct span token = value_of(file, section, "aws_security_token");
    return (struct aws_file_keys){
        .id = value_of(file, section, "aws_access_key_id"),
        .secret = value_of(file, section, "aws_secret_access_key"),
        .token = token.data ? token : value_of(file, section, "aws_session_token"),
    };
}

void aws_profile_find(const struct aws_files *files, struct span name, struct aws_profile *out)
{
    struct span config = config_section(&files->config, "profile", name);
    struct span credentials = ini_has_section(&files->credentials, name) ? name : (struct span){0};
    *out = (struct aws_profile){.found = config.data || credentials.data,
                                .credentials_keys = keys_of(&files->credentials, credentials),
                                .config_keys = keys_of(&files->config, config)};
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
        struct span *to = (struct span *)(void *)((char *)out + KEYS[i].offset);
        *to = value_of(&files->credentials, credentials, KEYS[i].key);
        if (!to->data)
            *to = value_of(&files->config, config, KEYS[i].key);
    }
    /* '#' may be a part of a command. */
    if (credentials.data)
        out->credential_process = ini_value(&files->credentials, credentials, "credential_process");
    if (config.data && !out->credential_process.data)
        out->credential_process = ini_value(&files->config, config, "credential_process");
}

bool aws_profile_has_keys(const struct aws_profile *p)
{
    return p->credentials_keys.id.data || p->config_keys.id.data || p->secret_access_key.data;
}

enum aws_profile_source aws_profile_source_but_role(const struct aws_profile *p)
{
    return p->web_identity_token_file.len                    ? AWS_PROFILE_WEB_IDENTITY
           : p->sso_account_id.data || p->sso_role_name.data ? AWS_PROFILE_SSO
           : p->credentials_keys.id.data                     ? AWS_PROFILE_CREDENTIALS_KEYS
           : p->login_session.data                           ? AWS_PROFILE_LOGIN
           : p->credential_process.data                      ? AWS_PROFILE_PROCESS
           : p->config_keys.id.data                          ? AWS_PROFILE_CONFIG_KEYS
                                                             : AWS_PROFILE_NOTHING;
}

enum aws_profile_source aws_profile_source(const struct aws_profile *p)
{
    return p->role_arn.data && !p->web_identity_token_file.data ? AWS_PROFILE_ROLE
                                                                : aws_profile_source_but_role(p);
}

enum dp_status aws_profile_endpoint(const struct aws_files *files, const struct aws_profile *p,
                                    const char *service, struct span *url, struct dp_error *error)
{
    *url = (struct span){0};
    if (span_equal_ignoring_case(p->ignore_endpoint_urls, span_str("true")))
        return DP_OK;
    if (p->services.data) {
        struct span section = config_section(&files->config, "services", p->services);
        if (!section.data)
            return dp_fail(error, DP_INVALID,
                           "the AWS profile names the services \"%.*s\", but the config file has no section "
                           "[services %.*s]",
                           SPAN_FMT(p->services), SPAN_FMT(p->services));
        *url = without_comment(ini_nested(ini_value(&files->config, section, service), "endpoint_url"));
    }
    if (!url->len)
        *url = p->endpoint_url;
    return DP_OK;
}

/* ---- SSO -------------------------------------------------------------------------------------------- */

/* Sets *value to that of the sso-session unless the profile has another one. */
static enum dp_status join_session(const struct ini_file *config, struct span section, const char *key,
                                   struct span *value, struct dp_error *error)
{
    struct span shared = value_of(config, section, key);
    if (shared.data && value->data && !span_equal(shared, *value))
        return dp_fail(error, DP_INVALID, "it and its sso-session have different values of %s", key);
    if (shared.data)
        *value = shared;
    return DP_OK;
}

enum dp_status aws_profile_sso(const struct aws_files *files, const struct aws_profile *p, struct span name,
                               struct aws_sso *out, struct dp_error *error)
{
    struct aws_sso sso = {.session = p->sso_session,
                          .start_url = p->sso_start_url,
                          .region = p->sso_region,
                          .account_id = p->sso_account_id,
                          .role_name = p->sso_role_name};
    const struct {
        const char *key;
        struct span *value;
    } needed[] = {{"sso_start_url", &sso.start_url},
                  {"sso_region", &sso.region},
                  {"sso_account_id", &sso.account_id},
                  {"sso_role_name", &sso.role_name}};
    enum dp_status status = DP_OK;
    struct span section = {0};
    if (sso.session.data) {
        section = config_section(&files->config, "sso-session", sso.session);
        if (!section.data)
            status = dp_fail(error, DP_INVALID, "there is no section [sso-session %.*s]", SPAN_FMT(sso.session));
    }
    for (size_t i = 0; i < sizeof needed / sizeof *needed && status == DP_OK; i++) {
        if (section.data)
            status = join_session(&files->config, section, needed[i].key, needed[i].value, error);
        if (status == DP_OK && !needed[i].value->data)
            status = dp_fail(error, DP_INVALID, "it uses SSO, but has no %s", needed[i].key);
    }
    if (status != DP_OK) {
        dp_error_prefix(error, "the AWS profile \"%.*s\"", SPAN_FMT(name));
        return status;
    }
    *out = sso;
    return DP_OK;
}
