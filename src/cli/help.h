/* cli/help.h: prints the help of a command. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/args.h"

/* Prints what a user needs first: usage, own options, the main settings, an example, in at most 40 lines. `verb`: only
 * what concerns this verb; NULL: the command as a whole. */
void help_print(const struct cli_command *command, const struct cli_verb *verb);
/* Prints everything about a command: all options of all verbs, and all settings. */
void help_print_all(const struct cli_command *command);

#endif
