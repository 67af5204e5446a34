/* config/config.h: the settings, from one table (settings.c).
 *
 * Flags override the environment, which overrides dipper.toml, which overrides the defaults. The table makes
 * the parser, `--help`, docs/configuration.md and `.env.example`. Other rooms receive plain structs.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Which commands a setting matters to. */
enum { CONFIG_GROUP_MODEL = 1, CONFIG_GROUP_STORE = 2, CONFIG_GROUP_SERVER = 4, CONFIG_GROUP_LOG = 8, CONFIG_GROUP_ALL = 15 };

struct config {
    /* model */
    const char *model_path; /* "": the model linked into the program */
    unsigned threads;       /* of the compute team; 0: one a processor */
    /* store */
    const char *root;
    /* server */
    const char *host;
    uint16_t port;
    bool insecure;            /* a bind beyond loopback without keys */
    unsigned request_threads; /* that may block */
    unsigned queue_max;       /* requests that may wait for one */
    uint64_t max_body_bytes;
    unsigned max_batch_size;
    uint64_t request_timeout_ms, head_timeout_ms, body_timeout_ms, idle_timeout_ms, drain_timeout_ms;
    unsigned max_connections;
    /* log */
    const char *log_level, *log_format;
    struct config_state *state; /* values' memory and origins; owned */
};

struct config_sources {
    int argc;     /* flags only: `--name value`, `--name=value` or a bare `--flag`; no program name */
    char **argv;
    char **environ;        /* NULL-terminated "NAME=value"; NULL: none */
    const char *toml_path; /* NULL: dipper.toml in the working folder, when there is one */
};

/* DP_INVALID names the setting, where its value came from, the value (secrets masked) and the allowed range. */
enum dp_status config_load(const struct config_sources *sources, struct config *out, struct dp_error *error);
void config_deinit(struct config *config); /* a zeroed config is fine */

/* Whether `flag` ("--root", "--root=x", or no setting at all) is a setting that needs a value behind it. */
bool config_flag_takes_value(const char *flag);

/* The settings of some groups as lines of --help. */
void config_print_help(FILE *out, unsigned groups);
/* Every setting with its value and origin. */
void config_print_effective(FILE *out, const struct config *config);
/* docs/configuration.md and .env.example, as made from the table. */
void config_print_reference(FILE *out);
void config_print_env_example(FILE *out);

#endif
