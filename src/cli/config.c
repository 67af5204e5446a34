/* config.c: `dipper config`: prints the settings in effect, each with its origin. Masks secrets. */
#include <stdio.h>

#include "cli/args.h"
#include "cli/commands.h"

struct config_options {
    bool json;
};

static int run_config(const struct cli_args *args)
{
    const struct config_options *options = args->options;
    struct dp_error error = {0};
    if (args->position_count > 0)
        return cli_unexpected(args, args->positions[0]);
    if (options->json)
        config_print_json(stdout, &args->config, &error);
    else
        config_print_effective(stdout, &args->config);
    return cli_end(args, &error);
}

static const struct cli_option options[] = {
    {"json", CLI_FLAG, offsetof(struct config_options, json),
     .help = "a JSON array, with the values that each setting takes"},
};
static const struct config_options defaults;

const struct cli_command cli_config_command = {
    .name = "config",
    .usage = "[--json] [SETTINGS]",
    .summary = "print the settings in effect and where each came from",
    .example = "  dipper config --json\n",
    .main_settings = "--config",
    .settings = CONFIG_GROUP_ALL,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_config,
};
