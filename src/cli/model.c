/* model.c: `dipper model info|list|check|pack`: shows and checks models, and makes packed models. */
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

struct model_options {
    const char *against, *least;
    bool json;
};

enum { PACKED_MAX = 2047 << 20, OUTPUT_MAX = 1 << 16 };

static enum dp_status pack_model(const char *from, const char *to, struct dp_error *error)
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
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        json_field_str(&w, texts[i].key, texts[i].value);
    json_field_bool(&w, "normalized", info->normalized);
    json_field_u64(&w, "dimensions", info->dim);
    json_field_u64(&w, "max_tokens", info->max_tokens);
    json_field_object(&w, "prompts");
    for (size_t i = 0; i < TEXT_KINDS; i++)
        json_field_span(&w, PROMPT_NAMES[i], prompts->of[i]);
    json_end_object(&w);
    json_end_object(&w);
    if (buffer_check(&out, "the output", error) == DP_OK)
        printf("%.*s\n", (int)out.len, (const char *)out.data);
    buffer_deinit(&out);
    return error->status;
}

/* Prints the prompts in quotes, since a blank at the end matters. */
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

/* ---- the command ----------------------------------------------------------------------------------------- */

static int run_model_info(const struct cli_args *args)
{
    const struct model_options *given = args->options;
    struct dp_error error = {0};
    print_info(&args->config, given->json, &error);
    return cli_end(args, &error);
}

static int run_model_list(const struct cli_args *args)
{
    const struct model_options *given = args->options;
    struct dp_error error = {0};
    model_list(&args->config, args->position_count > 0 ? args->positions[0] : NULL, given->json, &error);
    return cli_end(args, &error);
}

/* Reads a cosine. Returns false if the text is not a number from -1 to 1. */
static bool read_cosine(const char *text, double *out)
{
    char *end;
    errno = 0;
    *out = strtod(text, &end);
    return end != text && *end == '\0' && errno == 0 && *out >= -1 && *out <= 1;
}

static int run_model_check(const struct cli_args *args)
{
    const struct model_options *given = args->options;
    struct model_check_options options = {
        .file = args->positions[0], .against = given->against, .json = given->json};
    struct dp_error error = {0};
    bool passed = true;
    if (!read_cosine(given->least, &options.least))
        return cli_usage(args, "--least is '%s', but must be a number from -1 to 1", given->least);
    if (model_check(&args->config, &options, &passed, &error) == DP_OK && !passed)
        dp_fail(&error, DP_INVALID, "the cosine of a text is below %g", options.least);
    return cli_end(args, &error);
}

static int run_model_pack(const struct cli_args *args)
{
    struct dp_error error = {0};
    pack_model(args->positions[0], args->positions[1], &error);
    return cli_end(args, &error);
}

static const struct cli_option options[] = {
    {"json", CLI_FLAG, offsetof(struct model_options, json), .verbs = "info list check",
     .help = "one JSON object"},
    {"against", CLI_TEXT, offsetof(struct model_options, against), "DIR", .verbs = "check",
     .help = "the model folder with the fp32 weights (default: --model's)"},
    {"least", CLI_TEXT, offsetof(struct model_options, least), "COSINE", .verbs = "check",
     .help = "fail when the cosine of any text is below this"},
};
static const struct model_options defaults = {.least = "-1"};

static const struct cli_verb verbs[] = {
    {"info", "[--json]", "print what the model in use is", 0, 0, run_model_info},
    {"list", "[DIR] [--json]",
     "list the models in the program, in the folders of DIR (default: ./models) and in the offline hub cache", 0,
     1, run_model_list},
    {"check", "FILE [--against DIR] [--least COSINE]",
     "compare the model in use with its fp32 weights, on the lines of FILE (\"-\": standard input)", 1, 1,
     run_model_check},
    {"pack", "DIR OUT", "quantise a model folder to int8, into one file", 2, 2, run_model_pack},
};

const struct cli_command cli_model_command = {
    .name = "model",
    .summary = "show, list, check or pack models",
    .details = "`list` also prints the engines that each model runs under. `check` embeds the texts with the\n"
               "engine in use and with the native one in fp32, and prints how their cosines are distributed.\n"
               "`pack` takes a Hugging Face or sentence-transformers folder; the program carries such a file,\n"
               "and --model takes one.\n",
    .example = "  dipper model info\n"
               "  dipper model pack models/my-model my-model.dipper\n",
    .main_settings = "--model",
    .settings = CONFIG_GROUP_MODEL,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof *verbs,
};
