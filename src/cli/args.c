/* args.c: splits a command line into the command's own options, settings and positions, and runs the command. */
#include "cli/args.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/masked_url.h"
#include "base/likely_name.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "os/log.h"

enum { CLI_OPTIONS_MAX = 32 };

extern char **environ;

/* ---- endings and complaints ------------------------------------------------------------------------------ */

int cli_end(const struct cli_args *args, const struct dp_error *error)
{
    const bool is_signal = error->status == DP_CANCELLED && interrupt_came();
    if (error->status == DP_OK)
        return CLI_OK;
    if (!output_reader_left())
        fprintf(stderr, "dipper %s: %s%s\n", args->command->name, is_signal ? "interrupted: " : "",
                error->message);
    return CLI_FAILED;
}

int cli_end_options(const struct cli_args *args, const struct dp_error *error)
{
    return error->status == DP_INVALID ? cli_usage(args, "%s", error->message) : cli_end(args, error);
}

int cli_usage(const struct cli_args *args, const char *format, ...)
{
    const struct cli_command *command = args->command;
    va_list ap;
    fprintf(stderr, "dipper %s: ", command->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputs("\n", stderr);
    if (command->usage)
        fprintf(stderr, "usage: dipper %s %s\n", command->name, command->usage);
    for (size_t i = 0; i < command->verb_count; i++)
        fprintf(stderr, "%s dipper %s %s %s\n", i == 0 ? "usage:" : "      ", command->name,
                command->verbs[i].name, command->verbs[i].usage);
    fprintf(stderr, "Run `dipper %s --help` for more.\n", command->name);
    return CLI_USAGE;
}

int cli_unexpected(const struct cli_args *args, const char *argument)
{
    char shown[MASKED_URL_MAX];
    return cli_usage(args, "unexpected argument '%s'", masked_url(span_str(argument), shown));
}

/* ---- verbs ----------------------------------------------------------------------------------------------- */

const struct cli_verb *cli_find_verb(const struct cli_command *command, const char *name)
{
    for (size_t i = 0; i < command->verb_count; i++)
        if (strcmp(command->verbs[i].name, name) == 0)
            return &command->verbs[i];
    return NULL;
}

bool cli_takes_option(const struct cli_verb *verb, const struct cli_option *option)
{
    if (!verb || !option->verbs)
        return true;
    const size_t len = strlen(verb->name);
    for (const char *at = option->verbs; (at = strstr(at, verb->name)); at += len)
        if ((at == option->verbs || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* ---- reading the command line ---------------------------------------------------------------------------- */

/* The state of reading one command line. */
struct cli_walk {
    struct cli_args *args;
    int argc, at;
    char **argv;
    char **settings; /* arguments that config_load reads */
    int setting_count;
    const struct cli_option **given; /* [given_count]: options of the command that came */
    size_t given_count;
    bool only_positions; /* "--" came */
    bool help, help_all; /* --help came, or --help-all */
};

static const struct cli_option *find_option(const struct cli_command *command, const char *name, size_t len,
                                            char letter)
{
    for (size_t i = 0; i < command->option_count; i++) {
        const struct cli_option *option = &command->options[i];
        if (letter ? option->letter == letter
                   : strlen(option->name) == len && memcmp(option->name, name, len) == 0)
            return option;
    }
    return NULL;
}

/* Stores the value of an option. Returns false if a number is malformed or out of range. */
static bool set_option(const struct cli_option *option, void *options, const char *value)
{
    char *end;
    void *target = (char *)options + option->target;
    if (option->kind == CLI_TEXT) {
        *(const char **)target = value;
        return true;
    }
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || number < option->min || number > option->max)
        return false;
    *(uint64_t *)target = number;
    return true;
}

enum { NOT_AN_OPTION = -1 };

/* Takes the argument at walk->at, and its value, if it is an option of the command. Returns CLI_OK, CLI_USAGE
 * or NOT_AN_OPTION. */
static int take_option(struct cli_walk *walk)
{
    struct cli_args *args = walk->args;
    const char *arg = walk->argv[walk->at];
    const bool is_long = arg[1] == '-';
    const char *equals = is_long ? strchr(arg, '=') : NULL;
    size_t len = is_long ? (equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2) : 1;
    const struct cli_option *option =
        is_long ? find_option(args->command, arg + 2, len, '\0') : find_option(args->command, NULL, 0, arg[1]);
    const char *value = equals ? equals + 1 : !is_long && arg[2] ? arg + 2 : NULL;

    if (!option)
        return NOT_AN_OPTION;
    walk->given[walk->given_count++] = option;
    if (option->kind == CLI_FLAG) {
        if (value)
            return cli_usage(args, "%s takes no value", arg);
        *(bool *)((char *)args->options + option->target) = true;
        return CLI_OK;
    }
    if (!value) {
        if (walk->at + 1 >= walk->argc)
            return cli_usage(args, "%s needs a value (%s)", arg, option->value);
        value = walk->argv[++walk->at];
    }
    if (!set_option(option, args->options, value))
        return cli_usage(args, "--%s is '%s', but must be a whole number from %" PRIu64 " to %" PRIu64,
                         option->name, value, option->min, option->max);
    return CLI_OK;
}

/* Complains of a flag that nothing has, and names the one that it may mean. */
static int refuse_option(const struct cli_walk *walk, const char *arg, int len, struct likely_name *likely)
{
    const struct cli_command *command = walk->args->command;
    char names[CLI_OPTIONS_MAX][LIKELY_NAME_MAX];
    for (size_t i = 0; i < command->option_count && i < CLI_OPTIONS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "--%s", command->options[i].name);
        likely_name_offer(likely, names[i]);
    }
    likely_name_offer(likely, "--help");
    likely_name_offer(likely, "--help-all");
    if (likely->name)
        return cli_usage(walk->args, "there is no option %.*s; did you mean %s?", len, arg, likely->name);
    return cli_usage(walk->args, "there is no option %.*s", len, arg);
}

/* Keeps the flag of a setting, and its value, for config_load. */
static int take_setting(struct cli_walk *walk)
{
    char *arg = walk->argv[walk->at];
    const size_t len = strcspn(arg, "=");
    struct likely_name likely = likely_name_of(span_of(arg, len));
    if (!config_has_flag(arg, &likely))
        return refuse_option(walk, arg, (int)len, &likely);
    walk->settings[walk->setting_count++] = arg;
    if (!arg[len] && config_flag_takes_value(arg) && walk->at + 1 < walk->argc)
        walk->settings[walk->setting_count++] = walk->argv[++walk->at];
    return CLI_OK;
}

static int take_argument(struct cli_walk *walk)
{
    struct cli_args *args = walk->args;
    const char *arg = walk->argv[walk->at];
    if (!walk->only_positions && strcmp(arg, "--") == 0) {
        walk->only_positions = true;
        return CLI_OK;
    }
    if (walk->only_positions || arg[0] != '-' || arg[1] == '\0') {
        if (args->position_count == CLI_POSITIONS_MAX)
            return cli_unexpected(args, arg);
        args->positions[args->position_count++] = arg;
        return CLI_OK;
    }
    walk->help_all = strcmp(arg, "--help-all") == 0;
    walk->help = walk->help_all || strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
    if (walk->help)
        return CLI_OK;
    int status = take_option(walk);
    return status == NOT_AN_OPTION ? take_setting(walk) : status;
}

/* ---- running --------------------------------------------------------------------------------------------- */

static void warn(const char *text)
{
    log_write(LOG_WARN, "%s", text);
}

static void begin_log(const struct config *config)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    enum log_level level = LOG_INFO;
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (strcmp(config->log_level, names[i]) == 0)
            level = (enum log_level)i;
    log_setup(level, strcmp(config->log_format, "json") == 0);
    config_each_warning(config, warn);
}

/* Complains of a verb that the command does not have, or of none. */
static int refuse_verb(const struct cli_args *args, const char *name)
{
    struct likely_name likely = likely_name_of(span_str(name));
    for (size_t i = 0; i < args->command->verb_count; i++)
        likely_name_offer(&likely, args->command->verbs[i].name);
    if (likely.name)
        return cli_usage(args, "there is no \"%s\"; did you mean \"%s\"?", name, likely.name);
    return *name ? cli_usage(args, "there is no \"%s\"", name) : cli_usage(args, "say what to do");
}

static int run_verb(struct cli_walk *walk)
{
    struct cli_args *args = walk->args;
    const char *name = args->position_count > 0 ? args->positions[0] : "";
    const struct cli_verb *verb = cli_find_verb(args->command, name);
    if (!verb)
        return refuse_verb(args, name);
    for (size_t i = 0; i < walk->given_count; i++)
        if (!cli_takes_option(verb, walk->given[i]))
            return cli_usage(args, "--%s belongs to \"%s\", not to \"%s\"", walk->given[i]->name,
                             walk->given[i]->verbs, name);
    args->position_count--;
    memmove(args->positions, args->positions + 1, args->position_count * sizeof *args->positions);
    if (args->position_count < verb->least || args->position_count > verb->most)
        return cli_usage(args, "\"%s\" takes %s", name, verb->usage);
    return verb->run(args);
}

/* Loads the settings and runs the command. */
static int run_loaded(struct cli_walk *walk)
{
    struct cli_args *args = walk->args;
    const struct cli_command *command = args->command;
    const struct config_sources sources = {
        .argc = walk->setting_count, .argv = walk->settings, .environ = environ, .groups = command->settings};
    struct dp_error error = {0};
    int status;
    if (config_load(&sources, &args->config, &error) == DP_OK) {
        begin_log(&args->config);
        status = command->run ? command->run(args) : run_verb(walk);
    } else {
        status = cli_usage(args, "%s", error.message);
    }
    config_deinit(&args->config);
    return status;
}

int cli_run(const struct cli_command *command, int argc, char **argv)
{
    struct cli_args args = {.command = command};
    struct cli_walk walk = {.args = &args, .argc = argc, .at = 1, .argv = argv};
    struct dp_error error = {0};
    int status = CLI_OK;

    walk.settings = mem_calloc((size_t)argc + 1, sizeof *walk.settings);
    walk.given = mem_calloc((size_t)argc + 1, sizeof(const struct cli_option *));
    args.options = mem_alloc(command->options_size + 1);
    if (walk.settings && walk.given && args.options) {
        if (command->options_size > 0)
            memcpy(args.options, command->defaults, command->options_size);
        for (; walk.at < argc && status == CLI_OK && !walk.help; walk.at++)
            status = take_argument(&walk);
        if (status == CLI_OK && walk.help_all)
            help_print_all(command);
        else if (status == CLI_OK && walk.help)
            help_print(command, args.position_count ? cli_find_verb(command, args.positions[0]) : NULL);
        else if (status == CLI_OK)
            status = run_loaded(&walk);
    } else {
        dp_fail_nomem(&error, "the command line");
        status = cli_end(&args, &error);
    }
    mem_free(args.options);
    mem_free(walk.given);
    mem_free(walk.settings);
    return status;
}
