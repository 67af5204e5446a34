/* config/config.h: the settings of the program.
 *
 * Each setting is defined once, in the table of config_table.c: its name, type, range, default, flag,
 * environment variables, place in dipper.toml and help. From it come the parser, `--help`, the reference page
 * docs/configuration.md and .env.example. A flag wins over the environment, that over dipper.toml, that over
 * the default. A value that is not allowed, and that no other takes the place of, stops the start, with its name and what
 * is allowed; in a variable that other programs use too (PORT, DATABASE_URL) it is passed over, with a warning. Other
 * rooms receive the plain values.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Which commands a setting matters to. */
enum {
    CONFIG_GROUP_MODEL = 1,
    CONFIG_GROUP_STORE = 2,
    CONFIG_GROUP_SERVER = 4,
    CONFIG_GROUP_LOG = 8,
    CONFIG_GROUP_ACCOUNTS = 16,
    CONFIG_GROUP_HTTP = 32, /* of the store's: what matters to any https URL */
    CONFIG_GROUP_ALL = 63
};

/* Texts are never NULL; "" where nothing is set. */
struct config {
    const char *config_file; /* the settings file that was asked for */
    /* model */
    const char *model_path;                                      /* "": the model linked into the program */
    const char *model_name;                                      /* one more name that the model answers to */
    unsigned max_tokens;                                         /* of one text; 0: the model's own limit */
    unsigned threads;                                            /* of the compute team; 0: one a processor */
    const char *engine;                                          /* "native", "onnx" */
    const char *onnx_file;                                       /* of the model's directory; "": the usual one */
    const char *onnxruntime_library;                             /* "": the usual places */
    unsigned onnx_batch;                                         /* texts of one run */
    unsigned onnx_threads;                                       /* of one text; 0: half of the team */
    const char *model_aliases;                                   /* still more names, with commas between */
    const char *default_prompt, *query_prompt, *document_prompt; /* "": the model's own; "none": none */
    bool allow_token_input;                                      /* clients may send token ids in place of texts */
    /* embedding cache */
    unsigned l1_cache_size; /* vectors in memory; 0: none */
    const char *redis_url;  /* redis://…, with commas between; "": no second tier */
    uint64_t l2_cache_ttl_ms, redis_connect_timeout_ms, redis_timeout_ms;
    uint64_t l1_cache_bytes; /* bytes that they may take */
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
    bool s3_metadata_disabled;
    /* http; see store/trust.h */
    const char *http_ca_file, *http_ssl_cert_file, *http_ssl_cert_dir;
    uint64_t merge_gap, split_at; /* bytes, of ranges of remote objects; UINT64_MAX: none */
    uint64_t cache_bytes;         /* of what was read from remote objects; 0 or UINT64_MAX: none */
    /* FAISS files that clients have opened */
    const char *allow_index_url; /* rules (service/url_rules.h); "": none */
    unsigned max_indexes;        /* open at a time */
    uint64_t index_memory;       /* bytes of their heads together */
    /* server */
    const char *host;
    uint16_t port;            /* 0: any free one */
    bool insecure;            /* a bind beyond loopback without keys */
    unsigned request_threads; /* that may block */
    unsigned queue_max;       /* requests that may wait for one */
    unsigned max_connections;
    unsigned max_batch_size; /* texts in one request */
    uint64_t max_body_bytes;
    uint64_t head_timeout_ms, body_timeout_ms, request_timeout_ms, send_timeout_ms, idle_timeout_ms;
    uint64_t drain_timeout_ms;
    const char *cors_origin;
    /* accounts */
    bool auth; /* whoever asks needs a key */
    bool protect_metrics;
    const char *database_url;    /* "": a file in the state folder */
    const char *database_schema; /* of PostgreSQL, for the tables */
    const char *state_home;      /* "": ~/.local/state */
    const char *key_prefix;
    uint64_t free_limit, pro_limit, scale_limit;          /* embeddings a month */
    uint32_t free_requests, pro_requests, scale_requests; /* a minute; 0: any number */
    unsigned quota_batch;
    bool accounts_fail_open;
    unsigned database_pool_min, database_pool_max;
    uint64_t database_timeout_ms;
    /* log */
    const char *log_level;      /* "debug", "info", "warn", "error" */
    const char *log_format;     /* "text", "json", "off" */
    struct config_state *state; /* values' memory and origins; owned */
};

struct config_sources {
    int argc; /* flags only: `--name value`, `--name=value`, `--flag` or `--no-flag`; no program name */
    char **argv;
    char **environ; /* NULL-terminated "NAME=value"; NULL: none */
    const char
        *toml_path;  /* NULL: the file that --config or DIPPER_CONFIG names, else ./dipper.toml if there is one */
    unsigned groups; /* whose environment variables are read; 0: all. Flags and the file are always read whole */
};

/* DP_INVALID names the setting, where its value came from, the value (secrets masked) and the allowed range.
 * `out` may be freed after a failure too. */
enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error);
void config_deinit(struct config *config); /* a zeroed config is fine */

/* What named the value of a setting: an environment variable, a flag, a file; "" for a default. Lives as long as the
 * config. */
const char *config_origin(const struct config *config, const char *setting);
/* Calls `tell` for each value that was passed over: variables that other programs have set. */
void config_each_warning(const struct config *config, void (*tell)(const char *text));

/* Whether `flag` ("--root", "--root=x", or no setting at all) is a setting that needs a value behind it. */
bool config_flag_takes_value(const char *flag);

/* The settings of some groups as lines of --help. */
void config_print_help(FILE *out, unsigned groups);
/* Every setting with its value and origin: "server.port = 8000 (environment PORT)". Secrets are masked. */
void config_print_effective(FILE *out, const struct config *config);
/* The same as one JSON array, with all that the table says of each: its flag, environment variables, type, range, choices
 * and default. DP_NOMEM. */
enum dp_status config_print_json(FILE *out, const struct config *config, struct dp_error *error);
/* docs/configuration.md and .env.example, as made from the table. */
void config_print_reference(FILE *out);
void config_print_env_example(FILE *out);

#endif
