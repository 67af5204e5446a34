/* config/config.h: the program's settings, as one plain struct.
 *
 * The table in config_table.c defines each setting once: name, type, range, default, flag, environment variables,
 * name in dipper.toml and help. The parser, `--help`, docs/configuration.md and .env.example all come from this
 * table. A flag overrides the environment, which overrides dipper.toml, which overrides the default. If a value is not
 * allowed, and no other value overrides it, the program stops and prints the setting's name and the allowed
 * values. But a variable that other programs use too (PORT, DATABASE_URL) is ignored with a warning. Other rooms
 * receive plain values.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Groups of settings. A command names the groups that it uses. */
enum {
    CONFIG_GROUP_MODEL = 1,
    CONFIG_GROUP_STORE = 2,
    CONFIG_GROUP_SERVER = 4,
    CONFIG_GROUP_LOG = 8,
    CONFIG_GROUP_ACCOUNTS = 16,
    CONFIG_GROUP_HTTP = 32, /* the settings that any https URL needs */
    CONFIG_GROUP_ALL = 63
};

/* The value of each setting. A text is never NULL; "" means not set. */
struct config {
    const char *config_file; /* the settings file that --config or DIPPER_CONFIG names */
    /* model */
    const char *model_path; /* DIR, or NAME=DIR,… (named_list.h); "": the model linked into the program */
    uint64_t model_memory;  /* maximum bytes of the weights of open models; UINT64_MAX: no limit */
    const char *model_name; /* another name of the model */
    unsigned max_tokens;    /* maximum tokens of one text; 0: the model's limit */
    unsigned threads;       /* compute threads; 0: one for each processor */
    const char *engine;     /* "native", "onnx" */
    const char *onnx_file;  /* name of a file in the model's folder; "": the usual one */
    const char *onnxruntime_library; /* "": the usual places */
    unsigned onnx_batch;             /* texts in one run */
    unsigned onnx_threads;           /* threads that share one text; 0: half of the team */
    const char *model_aliases;       /* more names, separated by commas */
    const char *default_prompt, *query_prompt, *document_prompt; /* "": the model's prompt; "none": no prompt */
    bool allow_token_input;                                      /* clients may send token ids in place of texts */
    /* embedding cache */
    unsigned l1_cache_size; /* vectors in memory; 0: none */
    const char *redis_url;  /* redis://…, separated by commas; "": no second tier */
    uint64_t l2_cache_ttl_ms, redis_connect_timeout_ms, redis_timeout_ms;
    uint64_t l1_cache_bytes; /* maximum bytes of the vectors in memory */
    /* store */
    const char *root;
    /* s3; see store/s3_settings.h */
    const char *s3_endpoint_url, *s3_region, *s3_profile;
    const char *s3_addressing; /* "auto", "path", "host" */
    bool s3_unsigned;
    const char *s3_access_key_id, *s3_secret_access_key, *s3_session_token;
    const char *s3_credentials_file, *s3_config_file, *s3_home;
    const char *s3_role_arn, *s3_role_session_name, *s3_web_identity_token_file, *s3_sts_endpoint_url;
    const char *s3_container_relative_uri, *s3_container_full_uri;
    const char *s3_container_token, *s3_container_token_file;
    const char *s3_metadata_endpoint;
    bool s3_metadata_disabled, s3_ignore_endpoint_urls;
    /* gcs; see store/gcs_settings.h */
    const char *gcs_endpoint_url, *gcs_emulator_host, *gcs_user_project;
    bool gcs_anonymous;
    const char *gcs_credentials_file, *gcs_config_folder, *gcs_metadata_host;
    bool gcs_metadata_disabled;
    /* azure; see store/azure_settings.h */
    const char *azure_account, *azure_endpoint, *azure_connection_string, *azure_account_key, *azure_sas_token;
    const char *azure_client_id, *azure_client_secret, *azure_tenant_id, *azure_federated_token_file;
    const char *azure_authority, *azure_identity_endpoint, *azure_identity_header, *azure_metadata_endpoint;
    bool azure_anonymous;
    /* http; see store/trust.h */
    const char *http_ca_file, *http_ssl_cert_file, *http_ssl_cert_dir;
    uint64_t merge_gap, split_at; /* bytes, for ranges of remote objects; UINT64_MAX: never merge or split */
    uint64_t cache_bytes;         /* maximum bytes kept of remote objects; 0 or UINT64_MAX: none */
    /* FAISS files that clients open */
    const char *allow_index_url; /* rules (service/url_rules.h); "": none */
    unsigned max_indexes;        /* maximum open files */
    uint64_t index_memory;       /* maximum bytes of the heads of all open files */
    /* server */
    const char *host;
    uint16_t port;                  /* 0: any free port */
    const char *unix_socket;        /* path; "": none */
    const char *base_path;          /* "/dipper"; "": none */
    const char *tls_cert, *tls_key; /* files; "": none */
    bool insecure;                  /* allows an address beyond loopback without API keys */
    unsigned request_threads;       /* threads that may block */
    unsigned queue_max;             /* requests that may wait for a thread */
    unsigned max_connections;
    unsigned max_peer_connections; /* of one address; 0: three quarters of max_connections */
    const char *trusted_proxies;   /* addresses and ranges, separated by blanks or commas; "": none */
    unsigned max_batch_size;       /* texts in one request */
    uint64_t max_body_bytes, max_write_body_bytes;
    uint64_t max_spilled_bytes; /* maximum bytes of all requests' bodies in temporary files */
    uint64_t head_timeout_ms, body_timeout_ms, request_timeout_ms, send_timeout_ms, idle_timeout_ms;
    uint64_t drain_timeout_ms;
    const char *cors_origin;   /* origins, separated by blanks; "": none */
    const char *allowed_hosts; /* names, separated by blanks; "": not set */
    /* accounts */
    bool auth; /* every client needs an API key */
    bool protect_metrics;
    const char *database_url;    /* "": a file in the state folder */
    const char *database_schema; /* schema of the tables in PostgreSQL */
    const char *state_home;      /* "": ~/.local/state */
    const char *key_prefix;
    uint64_t free_limit, pro_limit, scale_limit;          /* embeddings a month */
    uint32_t free_requests, pro_requests, scale_requests; /* requests a minute; 0: any number */
    unsigned quota_batch;
    bool accounts_fail_open;
    unsigned database_pool_min, database_pool_max;
    uint64_t database_timeout_ms;
    /* log */
    const char *log_level;      /* "debug", "info", "warn", "error" */
    const char *log_format;     /* "text", "json", "off" */
    struct config_state *state; /* owned: memory and origins of the values */
};

struct config_sources {
    int argc; /* flags only: `--name value`, `--name=value`, `--flag` or `--no-flag`; no program name */
    char **argv;
    char **environ; /* NULL-terminated "NAME=value"; NULL: none */
    /* NULL: the file that --config or DIPPER_CONFIG names, else ./dipper.toml if it exists */
    const char *toml_path;
    /* Groups whose environment variables are read; 0: all. Flags and file are always read whole. */
    unsigned groups;
};

/* Reads all settings. Call config_deinit even after a failure. A DP_INVALID error names the setting, the origin of
 * its value, the value with secrets masked, and the allowed values. */
enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error);
void config_deinit(struct config *config); /* a zeroed config is fine */

/* Returns the origin of a setting's value: an environment variable, a flag or a file; "" for a default. The text
 * lives as long as the config. */
const char *config_origin(const struct config *config, const char *setting);
/* Calls `tell` with a warning for each environment variable that config_load ignored. */
void config_each_warning(const struct config *config, void (*tell)(const char *text));

/* Returns whether an argument is a flag that takes the next argument as its value: true for "--root", false for
 * "--root=x". */
bool config_flag_takes_value(const char *flag);
/* Returns whether a setting has this flag, with or without "=value". If none has, offers all flags to `likely`. */
struct likely_name;
bool config_has_flag(const char *flag, struct likely_name *likely);

/* Prints the settings of some groups for --help. */
void config_print_help(FILE *out, unsigned groups);
/* Prints the settings whose flags `flags` has, with blanks between them, in that order. */
void config_print_some(FILE *out, const char *flags);
/* Prints an entry of a help: what is typed, indented, and the words that explain it, wrapped in a column. */
void config_print_entry(FILE *out, const char *typed, const char *text);
/* Prints each setting with value and origin: "server.port = 8000 (environment PORT)". Secrets are masked. */
void config_print_effective(FILE *out, const struct config *config);
/* Prints the settings as one JSON array, each with value and origin, and with flag, environment variables, type,
 * range, choices and default. Errors: DP_NOMEM. */
enum dp_status config_print_json(FILE *out, const struct config *config, struct dp_error *error);
/* Print docs/configuration.md and .env.example. */
void config_print_reference(FILE *out);
void config_print_env_example(FILE *out);

#endif
