/* args.c: splits a command line into the command's own options, settings and positions. */
#include "cli/args.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/masked_url.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "os/log.h"

extern char **environ;

int cli_fail(const struct cli_command *command, const struct dp_error *error)
{
    bool is_signal = error->status == DP_CANCELLED && interrupt_came();

    if (output_reader_left())
        return CLI_FAILED;
    fprintf(stderr, "dipper %s: %s%s\n", command->name, is_signal ? "interrupted: " : "", error->message);
    return CLI_FAILED;
}

int cli_usage(const struct cli_command *command, const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "dipper %s: ", command->name);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\nusage: dipper %s %s\n`dipper %s --help` tells more.\n", command->name, command->usage,
            command->name);
    return CLI_USAGE;
}

int cli_fail_options(const struct cli_command *command, const struct dp_error *error)
{
    return error->status == DP_INVALID ? cli_usage(command, "%s", error->message) : cli_fail(command, error);
}

int cli_unexpected(const struct cli_command *command, const char *argument)
{
    char shown[MASKED_URL_MAX];
    return cli_usage(command, "'%s' was not expected", masked_url(span_str(argument), shown));
}

static void print_help(const struct cli_command *command, const struct cli_option *options, size_t count)
{
    printf("dipper %s %s\n\n%s.\n", command->name, command->usage, command->summary);
    if (command->details)
        printf("\n%s", command->details);
    if (count > 0)
        printf("\nOptions:\n");
    for (size_t i = 0; i < count; i++) {
        char left[64];
        snprintf(left, sizeof(left), "%s%c%s--%s%s%s", options[i].letter ? "-" : "",
                 options[i].letter ? options[i].letter : ' ', options[i].letter ? ", " : "   ", options[i].name,
                 options[i].value ? " " : "", options[i].value ? options[i].value : "");
        printf("  %-26s %s\n", left, options[i].help);
    }
    if (command->settings) {
        printf("\nSettings (flag, environment or dipper.toml; docs/configuration.md):\n");
        config_print_help(stdout, command->settings);
    }
}

static const struct cli_option *find_option(const struct cli_option *options, size_t count, const char *name,
                                            size_t len, char letter)
{
    for (size_t i = 0; i < count; i++)
        if (letter ? options[i].letter == letter
                   : strlen(options[i].name) == len && memcmp(options[i].name, name, len) == 0)
            return &options[i];
    return NULL;
}

/* Puts `value` where the option wants it; false when it is no number in range. */
static bool take_value(const struct cli_option *option, const char *value)
{
    char *end;
    unsigned long long number;

    if (option->kind == CLI_TEXT) {
        *(const char **)option->target = value;
        return true;
    }
    errno = 0;
    number = strtoull(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || number < option->min || number > option->max)
        return false;
    *(uint64_t *)option->target = number;
    return true;
}

/* The parser's place on the command line. */
struct walk {
    const struct cli_command *command;
    int argc, at;
    char **argv;
    char **settings; /* what is left for the settings' parser */
    int setting_count;
};

/* An own option, at walk->at. CLI_OK when it was one and is consumed; -2 when it is none. */
enum { NOT_MINE = -2 };
static int take_own(struct walk *walk, const struct cli_option *options, size_t count)
{
    const char *arg = walk->argv[walk->at];
    bool is_long = arg[1] == '-';
    const char *equals = is_long ? strchr(arg, '=') : NULL;
    size_t len = is_long ? (equals ? (size_t)(equals - arg) - 2 : strlen(arg) - 2) : 1;
    const struct cli_option *option =
        is_long ? find_option(options, count, arg + 2, len, '\0') : find_option(options, count, NULL, 0, arg[1]);
    const char *value = equals ? equals + 1 : !is_long && arg[2] ? arg + 2 : NULL;

    if (!option)
        return NOT_MINE;
    if (option->kind == CLI_FLAG) {
        if (value)
            return cli_usage(walk->command, "%s takes no value", arg);
        *(bool *)option->target = true;
        return CLI_OK;
    }
    if (!value) {
        if (walk->at + 1 >= walk->argc)
            return cli_usage(walk->command, "%s needs a value (%s)", arg, option->value);
        value = walk->argv[++walk->at];
    }
    if (!take_value(option, value))
        return cli_usage(walk->command, "--%s is '%s', but must be a whole number from %llu to %llu", option->name,
                         value, (unsigned long long)option->min, (unsigned long long)option->max);
    return CLI_OK;
}

/* A setting: it and its value move to the settings' list. */
static void take_setting(struct walk *walk)
{
    char *arg = walk->argv[walk->at];

    walk->settings[walk->setting_count++] = arg;
    if (!strchr(arg, '=') && config_flag_takes_value(arg) && walk->at + 1 < walk->argc)
        walk->settings[walk->setting_count++] = walk->argv[++walk->at];
}

static void warn(const char *text)
{
    log_write(LOG_WARN, "%s", text);
}

static void set_up_log(const struct config *config)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    enum log_level level = LOG_INFO;

    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        if (strcmp(config->log_level, names[i]) == 0)
            level = (enum log_level)i;
    log_setup(level, strcmp(config->log_format, "json") == 0);
}

static void begin_log(const struct config *config)
{
    set_up_log(config);
    config_each_warning(config, warn);
}

int cli_parse(const struct cli_command *command, int argc, char **argv, const struct cli_option *options,
              size_t option_count, struct cli_args *args)
{
    struct walk walk = {.command = command, .argc = argc, .at = 1, .argv = argv};
    struct dp_error error = {0};
    bool only_positions = false;
    int status = CLI_OK;

    memset(args, 0, sizeof(*args));
    walk.settings = mem_calloc((size_t)argc + 1, sizeof(*walk.settings));
    if (!walk.settings) {
        dp_fail_nomem(&error, "the command line");
        return cli_fail(command, &error);
    }
    for (; walk.at < argc && status == CLI_OK; walk.at++) {
        char *arg = argv[walk.at];
        if (!only_positions && strcmp(arg, "--") == 0) {
            only_positions = true;
        } else if (only_positions || arg[0] != '-' || arg[1] == '\0') {
            if (args->position_count == CLI_POSITIONS_MAX)
                status = cli_unexpected(command, arg);
            else
                args->positions[args->position_count++] = arg;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(command, options, option_count);
            status = CLI_HELPED;
        } else {
            status = take_own(&walk, options, option_count);
            if (status == NOT_MINE) {
                take_setting(&walk);
                status = CLI_OK;
            }
        }
    }
    if (status == CLI_OK) {
        const struct config_sources sources = {
            .argc = walk.setting_count, .argv = walk.settings, .environ = environ, .groups = command->settings};
        if (config_load(&sources, &args->config, &error) != DP_OK)
            status = cli_usage(command, "%s", error.message);
        else
            begin_log(&args->config);
    }
    if (status != CLI_OK)
        cli_args_deinit(args);
    mem_free(walk.settings);
    return status;
}

void cli_args_deinit(struct cli_args *args)
{
    config_deinit(&args->config);
}
