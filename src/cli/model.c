/* model.c: `dipper model pack|info`: makes the packed form that the program carries, and tells of a model. */
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/open.h"
#include "os/file.h"

enum { PACKED_MAX = 2047 << 20 };

static enum dp_status pack(const char *from, const char *to, struct dp_error *error)
{
    struct buffer packed;
    enum dp_status status;

    buffer_init(&packed, PACKED_MAX);
    status = model_pack(from, &packed, error);
    if (status == DP_OK)
        status = os_write_file(to, buffer_span(&packed), error);
    if (status == DP_OK)
        printf("packed %s into %s (%.1f MB)\n", from, to, (double)packed.len * 1e-6);
    buffer_deinit(&packed);
    return status;
}

static enum dp_status print_info(const struct config *config, struct dp_error *error)
{
    struct model *model = NULL;
    const struct model_info *info;

    if (open_model(config, &model, error) != DP_OK)
        return error->status;
    info = model_info(model);
    printf("name         %s\ndimensions   %zu\nmax tokens   %zu\nengine       %s\nfingerprint  %s\n", info->name,
           info->dim, info->max_tokens, info->engine, info->fingerprint);
    model_free(model);
    return DP_OK;
}

static int run_model(int argc, char **argv)
{
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_model_command, argc, argv, NULL, 0, &args);
    const char *verb;

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    verb = args.position_count > 0 ? args.positions[0] : "";
    if (strcmp(verb, "pack") == 0 && args.position_count == 3)
        status = pack(args.positions[1], args.positions[2], &error) == DP_OK
                     ? CLI_OK
                     : cli_fail(&cli_model_command, &error);
    else if (strcmp(verb, "info") == 0 && args.position_count == 1)
        status = print_info(&args.config, &error) == DP_OK ? CLI_OK : cli_fail(&cli_model_command, &error);
    else
        status = cli_usage(&cli_model_command, "say what to do: `model info`, or `model pack DIR OUT`");
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_model_command = {
    "model",
    "info | pack DIR OUT",
    "tell of the model in use, or pack a model folder into one file",
    "`pack` quantises a Hugging Face / sentence-transformers folder to int8, the form that the program carries\n"
    "and that --model also takes.\n",
    CONFIG_GROUP_MODEL,
    run_model};
