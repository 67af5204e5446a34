/* cli/args.h: describes a command of the program, and reads its command line.
 *
 * A command has a name, texts for its help, a table of options, and either one function or a table of verbs,
 * each with a function. Options are `--name value`, `--name=value`, `-k value` or a bare `--flag`; `--` ends
 * them. An option that the command does not have must be a setting (config/config.h).
 */
#ifndef CLI_ARGS_H
#define CLI_ARGS_H

#include <stddef.h>

#include "base/error.h"
#include "config/config.h"

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_NUMBER };

struct cli_option {
    const char *name; /* without the dashes */
    enum cli_kind kind;
    size_t target;     /* offset of a bool, const char * or uint64_t in the command's struct of options */
    const char *value; /* the value's name in the help: "DIR"; flags: NULL */
    const char *help;
    const char *verbs; /* the verbs that take it, with blanks between them; NULL: all, or the command has none */
    uint64_t min, max; /* CLI_NUMBER: least and greatest value */
    char letter;       /* '\0': none */
};

enum { CLI_POSITIONS_MAX = 8 };

/* A command line, as cli_run has read it. */
struct cli_args {
    const struct cli_command *command;
    const char *positions[CLI_POSITIONS_MAX]; /* arguments that are no options, without the verb */
    size_t position_count;
    void *options; /* the command's struct of options: its defaults, changed by the command line */
    struct config config;
};

/* Runs a command or a verb. Returns the exit status. */
typedef int cli_function(const struct cli_args *args);

/* One verb of a command: "build" of `dipper faiss build`. */
struct cli_verb {
    const char *name;
    const char *usage;   /* the usage line behind the verb: "URL --vectors FILE" */
    const char *summary; /* one line for the help */
    size_t least, most;  /* least and greatest number of positions */
    cli_function *run;
};

struct cli_command {
    const char *name;
    const char *alias;         /* a shorter name, or NULL */
    const char *usage;         /* "NAMESPACE FILE.jsonl"; NULL: each verb has its own */
    const char *summary;       /* one line, for `dipper help` */
    const char *example;       /* lines for `dipper NAME --help`, indented by two blanks */
    const char *details;       /* more lines for `dipper NAME --help`, or NULL */
    const char *main_settings; /* flags of the settings that --help shows, with blanks between them; or NULL */
    unsigned settings;         /* groups of settings that --help-all lists: CONFIG_GROUP_* */
    const struct cli_option *options;
    size_t option_count;
    const void *defaults; /* a struct of options_size bytes; NULL, 0: the command has no options */
    size_t options_size;
    cli_function *run; /* NULL: the command has verbs */
    const struct cli_verb *verbs;
    size_t verb_count;
};

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* Returns the verb with this name; NULL: the command has none. */
const struct cli_verb *cli_find_verb(const struct cli_command *command, const char *name);
/* Returns whether the verb takes the option. `verb` NULL: whether any does. */
bool cli_takes_option(const struct cli_verb *verb, const struct cli_option *option);

/* Reads argv[1..], loads the settings, sets up the log, and runs the command. argv[0] is the command's name.
 * Prints help to stdout and complaints to stderr. Returns the exit status. */
int cli_run(const struct cli_command *command, int argc, char **argv);

/* Ends a command. Returns CLI_OK, or prints "dipper NAME: message" to stderr and returns CLI_FAILED. */
int cli_end(const struct cli_args *args, const struct dp_error *error);
/* Ends a command whose DP_INVALID can only mean a wrong option or setting. Calls cli_usage for that status, and
 * cli_end for others. */
int cli_end_options(const struct cli_args *args, const struct dp_error *error);
/* Prints the complaint, the usage and a pointer to --help, and returns CLI_USAGE. */
int cli_usage(const struct cli_args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints that the argument is unexpected, with its secrets masked, and returns as cli_usage does. */
int cli_unexpected(const struct cli_args *args, const char *argument);

#endif
