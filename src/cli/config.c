/* config.c: `dipper config`: the settings in effect, each with where it came from; secrets are masked. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/commands.h"

static int run_config(int argc, char **argv)
{
    struct cli_args args;
    int status = cli_parse(&cli_config_command, argc, argv, NULL, 0, &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    if (args.position_count > 0)
        status = cli_usage(&cli_config_command, "'%s' was not expected", args.positions[0]);
    else
        config_print_effective(stdout, &args.config);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_config_command = {
    "config", "[SETTINGS]",     "print the settings in effect and where each came from",
    NULL,     CONFIG_GROUP_ALL, run_config};
