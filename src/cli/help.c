/* help.c: `dipper NAME --help`, `dipper NAME VERB --help` and `dipper NAME --help-all`. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

static void print_verbs(const struct cli_command *command)
{
    for (size_t i = 0; i < command->verb_count; i++) {
        const struct cli_verb *verb = &command->verbs[i];
        printf("%s  dipper %s %s %s\n      %s\n", i == 0 ? "\n" : "", command->name, verb->name, verb->usage,
               verb->summary);
    }
}

/* Prints one option; `names_verbs`: with the verbs that take it. */
static void print_option(const struct cli_option *option, bool names_verbs)
{
    char typed[64], text[256];
    snprintf(typed, sizeof typed, "%s%c%s--%s%s%s", option->letter ? "-" : "",
             option->letter ? option->letter : ' ', option->letter ? ", " : "   ", option->name,
             option->value ? " " : "", option->value ? option->value : "");
    snprintf(text, sizeof text, "%s%s%s", names_verbs && option->verbs ? option->verbs : "",
             names_verbs && option->verbs ? ": " : "", option->help);
    config_print_entry(stdout, typed, text);
}

/* Prints the options that the verb takes; NULL: those of all verbs. */
static void print_options(const struct cli_command *command, const struct cli_verb *verb)
{
    bool any = false;
    for (size_t i = 0; i < command->option_count; i++) {
        if (!cli_takes_option(verb, &command->options[i]))
            continue;
        if (!any)
            printf("\nOptions:\n");
        any = true;
        print_option(&command->options[i], !verb);
    }
}

static void print_example(const struct cli_command *command)
{
    if (command->example)
        printf("\nExample:\n%s", command->example);
}

void help_print(const struct cli_command *command, const struct cli_verb *verb)
{
    const bool is_whole = command->verb_count > 0 && !verb;
    if (verb)
        printf("dipper %s %s %s\n\n%s.\n", command->name, verb->name, verb->usage, verb->summary);
    else
        printf("dipper %s %s\n\n%s.\n", command->name, command->usage ? command->usage : "VERB … [OPTIONS]",
               command->summary);
    if (is_whole)
        print_verbs(command);
    else
        print_options(command, verb);
    if (command->main_settings && !is_whole) {
        printf("\nMain settings:\n");
        config_print_some(stdout, command->main_settings);
    }
    if (!verb)
        print_example(command);
    if (command->details && !verb)
        printf("\n%s", command->details);
    if (is_whole)
        printf("\n`dipper %s VERB --help` lists the options of a verb.\n", command->name);
    else
        printf("\n`dipper %s --help-all` lists all options and settings%s.\n", command->name,
               command->details && verb ? ", and says more" : "");
}

void help_print_all(const struct cli_command *command)
{
    printf("dipper %s %s\n\n%s.\n", command->name, command->usage ? command->usage : "VERB … [OPTIONS]",
           command->summary);
    print_verbs(command);
    if (command->details)
        printf("\n%s", command->details);
    print_example(command);
    print_options(command, NULL);
    if (command->settings) {
        printf("\nSettings (as flags, in the environment or in dipper.toml; docs/configuration.md has all):\n");
        config_print_help(stdout, command->settings);
    }
}
