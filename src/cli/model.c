/* model.c: `dipper model info|list|check|pack`: tells of models, and makes the packed form that the program carries. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/linked_model.h"
#include "cli/model.h"
#include "os/file.h"

enum { PACKED_MAX = 2047 << 20, OUTPUT_MAX = 1 << 16 };

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

static const char *const PROMPT_NAMES[TEXT_KINDS] = {
    [TEXT_PLAIN] = "default", [TEXT_QUERY] = "query", [TEXT_DOCUMENT] = "document"};

static enum dp_status print_info_json(const struct model_info *info, const struct prompts *prompts,
                                      struct dp_error *error)
{
    struct buffer out;
    struct json_writer w;
    const struct {
        const char *key, *value;
    } texts[] = {{"name", info->name},
                 {"engine", info->engine},
                 {"pooling", model_pooling_name(info->pooling)},
                 {"fingerprint", info->fingerprint}};

    buffer_init(&out, OUTPUT_MAX);
    json_writer_init(&w, &out);
    json_begin_object(&w);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        json_key(&w, texts[i].key);
        json_string_str(&w, texts[i].value);
    }
    json_key(&w, "normalized");
    json_bool(&w, info->normalized);
    json_key(&w, "dimensions");
    json_u64(&w, info->dim);
    json_key(&w, "max_tokens");
    json_u64(&w, info->max_tokens);
    json_key(&w, "prompts");
    json_begin_object(&w);
    for (size_t i = 0; i < TEXT_KINDS; i++) {
        json_key(&w, PROMPT_NAMES[i]);
        json_string(&w, prompts->of[i]);
    }
    json_end_object(&w);
    json_end_object(&w);
    if (buffer_check(&out, "the output", error) == DP_OK)
        printf("%.*s\n", (int)out.len, (const char *)out.data);
    buffer_deinit(&out);
    return error->status;
}

/* Those that there are, as they are: a blank at the end counts, hence the quotes. */
static void print_prompts(const struct prompts *prompts)
{
    for (size_t i = 0; i < TEXT_KINDS; i++)
        if (prompts->of[i].len > 0)
            printf("prompt       \"%.*s\" (%s)\n", SPAN_FMT(prompts->of[i]), PROMPT_NAMES[i]);
}

static enum dp_status print_info(const struct config *config, bool json, struct dp_error *error)
{
    struct model *model = NULL;
    const struct model_info *info;
    enum dp_status status = DP_OK;

    if (open_model(program_inputs(config), MODEL_INT8, &model, error) != DP_OK)
        return error->status;
    info = model_info(model);
    if (json)
        status = print_info_json(info, model_prompts(model), error);
    else
        printf("name         %s\ndimensions   %zu\nmax tokens   %zu\nengine       %s\npooling      %s%s\n"
               "fingerprint  %s\n",
               info->name, info->dim, info->max_tokens, info->engine, model_pooling_name(info->pooling),
               info->normalized ? ", normalised" : "", info->fingerprint);
    if (!json)
        print_prompts(model_prompts(model));
    model_free(model);
    return status;
}

/* A cosine; false when the text is none. */
static bool read_cosine(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *out >= -1 && *out <= 1;
}

static enum dp_status check(const struct config *config, const struct model_check_options *options,
                            struct dp_error *error)
{
    bool passed = true;
    enum dp_status status = model_check(config, options, &passed, error);

    if (status == DP_OK && !passed)
        status = dp_fail(error, DP_INVALID, "a text's cosine is below %g", options->least);
    return status;
}

static int run_model(int argc, char **argv)
{
    bool json = false;
    const char *least = "-1";
    struct model_check_options options = {.least = -1};
    const struct cli_option own[] = {
        {"json", 0, CLI_FLAG, &json, 0, 0, NULL, "info, list, check: one JSON object"},
        {"against", 0, CLI_TEXT, &options.against, 0, 0, "DIR",
         "check: the folder whose fp32 weights are compared with (default: --model's)"},
        {"least", 0, CLI_TEXT, &least, 0, 0, "COSINE", "check: fail unless every text reaches it"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_model_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);
    const char *verb;
    size_t more;

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    verb = args.position_count > 0 ? args.positions[0] : "";
    more = args.position_count > 0 ? args.position_count - 1 : 0;
    options.file = more > 0 ? args.positions[1] : NULL;
    options.json = json;
    if (!read_cosine(least, &options.least))
        status = cli_usage(&cli_model_command, "--least is '%s', but must be a number from -1 to 1", least);
    else if (strcmp(verb, "pack") == 0 && more == 2)
        pack(args.positions[1], args.positions[2], &error);
    else if (strcmp(verb, "info") == 0 && more == 0)
        print_info(&args.config, json, &error);
    else if (strcmp(verb, "list") == 0 && more <= 1)
        model_list(&args.config, more == 1 ? args.positions[1] : NULL, json, &error);
    else if (strcmp(verb, "check") == 0 && more == 1)
        check(&args.config, &options, &error);
    else
        status = cli_usage(
            &cli_model_command,
            "say what to do: `model info`, `model list [DIR]`, `model check FILE` or `model pack DIR OUT`");
    if (error.status != DP_OK)
        status = cli_fail(&cli_model_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_model_command = {
    "model",
    "info | list [DIR] | check FILE | pack DIR OUT",
    "tell of models, compare an engine with fp32, or pack a model folder into one file",
    "`info` tells of the model in use. `list` names the models in the program, in the folders of DIR (./models) "
    "and in\n"
    "the offline hub cache, and the engines that they run under. `check` embeds the texts of FILE (one a line; "
    "\"-\":\n"
    "standard input) with the model and engine in use and with the native one in fp32, and prints how their "
    "cosines\n"
    "are distributed. `pack` quantises a Hugging Face / sentence-transformers folder to int8, the form that the\n"
    "program carries and that --model also takes.\n",
    CONFIG_GROUP_MODEL,
    run_model};
