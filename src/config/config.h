/* config/config.h: the settings of the program.
 *
 * Each setting is defined once, in the table of config_table.c: its name, type, range, default, flag,
 * environment variables, place in dipper.toml and help. From it come the parser, `--help`, the reference page
 * docs/configuration.md and .env.example. A flag wins over the environment, that over dipper.toml, that over
 * the default. A value that is not allowed stops the start, with its name and what is allowed. Other rooms
 * receive the plain values.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"

/* Kinds of settings, to be or'ed: a subcommand takes those it uses. */
enum config_group {
    CONFIG_GENERAL = 1, /* --config, logging */
    CONFIG_STORE = 2,
    CONFIG_MODEL = 4,
    CONFIG_COMPUTE = 8,
    CONFIG_SERVER = 16,
    CONFIG_LIMITS = 32, /* of requests to the server */
    CONFIG_ALL = 63
};

enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_FLAG };

/* Where a value came from. */
struct config_origin {
    enum config_source source;
    const char *name; /* "--port", "PORT", the file's path; empty for a default */
    unsigned line;    /* in the file; else 0 */
};

enum { CONFIG_SETTINGS_MAX = 64 };

/* The order of the names of log.level and log.format in the table. */
enum config_log_level { CONFIG_LOG_DEBUG, CONFIG_LOG_INFO, CONFIG_LOG_WARN, CONFIG_LOG_ERROR };
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };

/* Spans have a NUL behind them, and none inside; an unset one is empty. Times are milliseconds. */
struct config {
    struct span config_named; /* the settings file that was asked for, or empty */
    struct span config_file;  /* the one that was read, or empty */
    int64_t log_level;        /* enum config_log_level: the values of os/log.h */
    int64_t log_format;       /* enum config_log_format */

    struct span root; /* path or URL; empty: must be given */

    struct span model_path; /* a model directory; empty: the model inside the program */
    struct span model_name; /* the name that the APIs show; empty: the model's own */
    int64_t max_tokens;     /* of one text; 0: the model's own limit */

    int64_t threads; /* of the compute team; 0: one a usable processor */

    struct span host; /* address or name to listen on */
    int64_t port;     /* 0: any free one */
    bool insecure;    /* listen beyond loopback without authentication */
    int64_t request_threads;
    int64_t queue_max; /* requests that wait for a request thread */
    int64_t max_connections;
    int64_t drain_timeout; /* for open requests to end, when asked to stop */

    int64_t max_batch_size; /* texts in one request */
    int64_t max_body_bytes;
    int64_t head_timeout;    /* for a request's head to arrive whole */
    int64_t body_timeout;    /* for its body */
    int64_t request_timeout; /* for the answer, from the body's end */
    int64_t idle_timeout;    /* of a kept-alive connection between requests */

    struct config_origin origins[CONFIG_SETTINGS_MAX]; /* by place in the table */
    char **rest; /* arguments that are no settings, in order; pointers into argv */
    int rest_count;
    struct arena arena;
};

struct config_sources {
    char *const *argv; /* arguments behind the subcommand's name */
    int argc;
    char *const *variables; /* the environment ("NAME=value", …, NULL), or NULL */
    const char
        *toml_path;  /* a file that must be there; NULL: --config, DIPPER_CONFIG, or ./dipper.toml if there */
    unsigned groups; /* settings whose flags and variables are read; dipper.toml is always read whole */
};

/* Fills `out` (which config_deinit frees, also after a failure). Flags are --name value, --name=value, for
 * booleans also --name and --no-name; what is no setting of `groups`, and everything behind "--", is put into
 * out->rest. DP_INVALID names the setting, the value, where it came from and what is allowed. */
enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error);
void config_deinit(struct config *config);

/* The options of `--help`: flags, what they mean, defaults, variables. */
void config_print_help(FILE *out, unsigned groups);
/* docs/configuration.md and .env.example. */
void config_print_reference(FILE *out);
void config_print_env_example(FILE *out);
/* One line a setting: "server.port = 8000 (environment PORT)"; secrets are masked. */
void config_print_effective(FILE *out, const struct config *config, unsigned groups);
/* The same for the i-th setting, appended without a newline; false past the last one and for other groups. */
size_t config_setting_count(void);
bool config_describe(const struct config *config, size_t i, unsigned groups, struct buffer *out);

#endif
