/* bench.c: `dipper bench embed|peak` measures the speed of embedding, and the limits of the machine. */
#include "cli/bench.h"

#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"

enum { ARENA_MAX = 1 << 20, OUTPUT_MAX = 1 << 20, SECONDS = 10, SECONDS_MAX = 3600, BATCH_MAX = 2048 };

struct bench_options {
    uint64_t seconds, tokens, batch;
    const char *file, *precision;
    bool json;
};

static enum dp_status bench_given_model(const struct bench *b, const struct cli_args *args)
{
    const struct bench_options *given = args->options;
    const struct bench_embed_options options = {
        .file = given->file, .tokens = (size_t)given->tokens, .batch = (size_t)given->batch};
    const bool is_fp32 = given->precision && strcmp(given->precision, "fp32") == 0;
    struct model *model = NULL;
    enum dp_status status =
        open_model(program_inputs(&args->config), is_fp32 ? MODEL_FP32 : MODEL_INT8, &model, &b->call->error);
    if (status == DP_OK)
        status = bench_embed(b, model, &options);
    model_free(model);
    return status;
}

static enum dp_status bench_this_machine(const struct bench *b, const struct cli_args *args)
{
    (void)args;
    return bench_machine(b);
}

/* Runs `measure` and prints the results: lines as they come, or one JSON object at the end. */
static int run_bench(const struct cli_args *args,
                     enum dp_status (*measure)(const struct bench *b, const struct cli_args *args))
{
    const struct bench_options *given = args->options;
    struct arena arena;
    struct call call;
    struct buffer output;
    struct json_writer writer;
    struct bench b = {.call = &call, .seconds = (double)given->seconds};
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    buffer_init(&output, OUTPUT_MAX);
    if (given->json) {
        json_writer_init(&writer, &output);
        json_begin_object(&writer);
        b.json = &writer;
    }
    enum dp_status status = team_new(args->config.threads, &b.team, &call.error);
    if (status == DP_OK)
        status = measure(&b, args);
    if (status == DP_OK && given->json) {
        json_end_object(&writer);
        status = buffer_check(&output, "the output", &call.error);
    }
    if (status == DP_OK && given->json)
        printf("%.*s\n", (int)output.len, (const char *)output.data);
    struct dp_error error = call.error;
    team_free(b.team);
    buffer_deinit(&output);
    arena_deinit(&arena);
    return cli_end(args, &error);
}

static int run_bench_embed(const struct cli_args *args)
{
    const struct bench_options *given = args->options;
    const char *precision = given->precision;
    if (precision && strcmp(args->config.engine, "native") != 0)
        return cli_usage(args, "--precision is for the native engine; use --onnx-file to choose among ONNX files");
    if (precision && strcmp(precision, "int8") != 0 && strcmp(precision, "fp32") != 0)
        return cli_usage(args, "--precision is '%s', but must be int8 or fp32", precision);
    return run_bench(args, bench_given_model);
}

static int run_bench_peak(const struct cli_args *args)
{
    return run_bench(args, bench_this_machine);
}

static const struct cli_option options[] = {
    {"seconds", CLI_NUMBER, offsetof(struct bench_options, seconds), "N", .min = 1, .max = SECONDS_MAX,
     .help = "about how many seconds to measure (default: 10)"},
    {"json", CLI_FLAG, offsetof(struct bench_options, json), .help = "one JSON object instead of a table"},
    {"precision", CLI_TEXT, offsetof(struct bench_options, precision), "int8|fp32", .verbs = "embed",
     .help = "the native engine's weights (default: int8); fp32 needs --model DIR"},
    {"file", CLI_TEXT, offsetof(struct bench_options, file), "FILE", .verbs = "embed",
     .help = "use the lines of a file as texts (\"-\": standard input)"},
    {"tokens", CLI_NUMBER, offsetof(struct bench_options, tokens), "N", .min = 1, .max = UINT32_MAX,
     .verbs = "embed", .help = "only texts of this length"},
    {"batch", CLI_NUMBER, offsetof(struct bench_options, batch), "N", .min = 1, .max = BATCH_MAX, .verbs = "embed",
     .help = "only this many texts at a time"},
};
static const struct bench_options defaults = {.seconds = SECONDS};

static const struct cli_verb verbs[] = {
    {"embed", "[OPTIONS]", "measure embedding: latency and throughput by length and batch", 0, 0, run_bench_embed},
    {"peak", "[--seconds N] [--json]", "measure the machine: arithmetic and memory at their fastest", 0, 0,
     run_bench_peak},
};

const struct cli_command cli_bench_command = {
    .name = "bench",
    .summary = "measure the speed of embedding, or of the machine",
    .details =
        "`embed`: \"of peak\" is the share of the time that the multiplications of the linear layers would\n"
        "take at the machine's peak; \"of floor\" adds those of attention. Of all figures,\n"
        "tokens/CPU s suffers least from other programs.\n"
        "`peak`: one line for each instruction set (* is in use), then the speed of reading by size.\n",
    .example = "  dipper bench embed --tokens 256\n",
    .main_settings = "--model --threads",
    .settings = CONFIG_GROUP_MODEL,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof *verbs,
};
