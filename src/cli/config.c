/* config.c: `dipper config`: the settings in effect, each with where it came from; secrets are masked. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/commands.h"

static int run_config(int argc, char **argv)
{
    struct cli_args args;
    struct dp_error error = {0};
    bool json = false;
    const struct cli_option options[] = {
        {"json", '\0', CLI_FLAG, &json, 0, 0, NULL, "print a JSON array, with what each setting may be"}};
    int status = cli_parse(&cli_config_command, argc, argv, options, 1, &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    if (args.position_count > 0)
        status = cli_unexpected(&cli_config_command, args.positions[0]);
    else if (json && config_print_json(stdout, &args.config, &error) != DP_OK)
        status = cli_fail(&cli_config_command, &error);
    else if (!json)
        config_print_effective(stdout, &args.config);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_config_command = {
    "config", "[--json] [SETTINGS]", "print the settings in effect and where each came from",
    NULL,     CONFIG_GROUP_ALL,      run_config};
