/* cli/args.h: a command's own options, beside the settings that every command understands.
 *
 * Options are `--name value`, `--name=value`, `-k value` or a bare `--flag`; `--` ends them. What is not one
 * of the command's own options must be a setting (config/config.h).
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include "base/error.h"
#include "config/config.h"

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_NUMBER };

struct cli_option {
    const char *name; /* without the dashes */
    char letter;      /* '\0': none */
    enum cli_kind kind;
    void *target;      /* bool *, const char **, uint64_t * */
    uint64_t min, max; /* CLI_NUMBER */
    const char *value; /* how the help calls the value: "DIR" */
    const char *help;
};

enum { CLI_POSITIONS_MAX = 8 };

struct cli_command {
    const char *name;
    const char *usage;                 /* "NAMESPACE FILE.jsonl" */
    const char *summary;               /* one line, for `dipper help` */
    const char *details;               /* more lines for `dipper NAME --help`, or NULL */
    unsigned settings;                 /* groups of settings that the help lists: CONFIG_GROUP_* */
    int (*run)(int argc, char **argv); /* argv[0] is the command; answers the exit status */
};

struct cli_args {
    const char *positions[CLI_POSITIONS_MAX];
    size_t position_count;
    struct config config;
};

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_HELPED = -1 };

/* Parses argv[1..] and loads the settings and sets up the log. CLI_OK: `args` is filled, to be freed by cli_args_deinit.
 * CLI_HELPED: --help was asked for and printed. CLI_USAGE: a complaint was printed. */
int cli_parse(const struct cli_command *command, int argc, char **argv, const struct cli_option *options,
              size_t option_count, struct cli_args *args);
void cli_args_deinit(struct cli_args *args);

/* cli_usage for an argument that has no place; secrets in it are not shown. */
int cli_unexpected(const struct cli_command *command, const char *argument);
/* Prints "dipper NAME: message" to stderr and answers CLI_FAILED. */
int cli_fail(const struct cli_command *command, const struct dp_error *error);
/* For commands that fail with DP_INVALID because of their options or settings alone: cli_usage then, or else cli_fail. */
int cli_fail_options(const struct cli_command *command, const struct dp_error *error);
/* Prints the complaint, the usage and where more is told, and answers CLI_USAGE. */
int cli_usage(const struct cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
