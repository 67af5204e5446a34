/* bench.c: `dipper bench embed|peak`: what this program does on this machine, and what the machine could do. */
#include <stdio.h>
#include <string.h>

#include "cli/bench.h"

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"

enum { ARENA_MAX = 1 << 20, OUTPUT_MAX = 1 << 20, SECONDS = 10, SECONDS_MAX = 3600, BATCH_MAX = 2048 };

/* Opens what is measured, and measures it. */
static enum dp_status measure(struct bench *b, const char *what, const struct config *config,
                              enum model_precision precision, const struct bench_embed_options *options)
{
    struct model *model = NULL;
    enum dp_status status = team_new(config->threads, &b->team, &b->call->error);
    if (status == DP_OK && strcmp(what, "peak") == 0) {
        status = bench_machine(b);
    } else if (status == DP_OK) {
        status = open_model(program_inputs(config), precision, &model, &b->call->error);
        if (status == DP_OK)
            status = bench_embed(b, model, options);
    }
    model_free(model);
    team_free(b->team);
    return status;
}

static enum dp_status run(struct bench *b, bool json, const char *what, const struct config *config,
                          enum model_precision precision, const struct bench_embed_options *options)
{
    struct buffer output;
    struct json_writer writer;
    buffer_init(&output, OUTPUT_MAX);
    if (json) {
        json_writer_init(&writer, &output);
        json_begin_object(&writer);
        b->json = &writer;
    }
    enum dp_status status = measure(b, what, config, precision, options);
    if (status == DP_OK && json) {
        json_end_object(&writer);
        status = buffer_check(&output, "the output", &b->call->error);
        printf("%.*s\n", (int)output.len, (const char *)output.data);
    }
    buffer_deinit(&output);
    return status;
}

static int run_bench(int argc, char **argv)
{
    bool json = false;
    const char *precision = NULL, *what;
    struct bench_embed_options embed = {0};
    uint64_t seconds = SECONDS, tokens = 0, batch = 0;
    const struct cli_option options[] = {
        {"seconds", 0, CLI_NUMBER, &seconds, 1, SECONDS_MAX, "N", "how long to measure, about (10)"},
        {"json", 0, CLI_FLAG, &json, 0, 0, NULL, "one JSON object instead of a table"},
        {"precision", 0, CLI_TEXT, &precision, 0, 0, "int8|fp32",
         "embed: of the native engine (int8); fp32 wants --model DIR"},
        {"file", 0, CLI_TEXT, &embed.file, 0, 0, "FILE",
         "embed: the texts of a file, one a line (-: standard input)"},
        {"tokens", 0, CLI_NUMBER, &tokens, 1, UINT32_MAX, "N", "embed: only texts of this length"},
        {"batch", 0, CLI_NUMBER, &batch, 1, BATCH_MAX, "N", "embed: only this many texts at a time"},
    };
    struct cli_args args;
    struct arena arena;
    struct call call;
    int status = cli_parse(&cli_bench_command, argc, argv, options, sizeof options / sizeof *options, &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    what = args.position_count == 1 ? args.positions[0] : "";
    if (strcmp(what, "embed") != 0 && strcmp(what, "peak") != 0) {
        status = cli_usage(&cli_bench_command, "say what to measure: `bench embed` or `bench peak`");
    } else if (precision != NULL && strcmp(args.config.engine, "native") != 0) {
        status =
            cli_usage(&cli_bench_command, "--precision is the native engine's; --onnx-file chooses of ONNX files");
    } else if (precision != NULL && strcmp(precision, "int8") != 0 && strcmp(precision, "fp32") != 0) {
        status = cli_usage(&cli_bench_command, "--precision is '%s', but must be int8 or fp32", precision);
    } else {
        struct bench b = {.call = &call, .seconds = (double)seconds};
        embed.tokens = tokens;
        embed.batch = batch;
        arena_init(&arena, ARENA_MAX);
        call_init(&call, &arena);
        call.cancelled = interrupt_watch();
        bool fp32 = precision != NULL && strcmp(precision, "fp32") == 0;
        if (run(&b, json, what, &args.config, fp32 ? MODEL_FP32 : MODEL_INT8, &embed) != DP_OK)
            status = cli_fail(&cli_bench_command, &call.error);
        arena_deinit(&arena);
    }
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_bench_command = {
    "bench",
    "embed | peak [OPTIONS]",
    "measure the speed of embedding, and what the machine could do at most",
    "`embed` prints latency and throughput by length and batch. \"Of peak\" compares the operations of the "
    "linear\n"
    "layers, over the time of everything, with what the threads can multiply at most; \"of floor\" counts\n"
    "attention's too. Tokens a second of processor time (CPU s) suffer less from other programs.\n"
    "`peak` prints those maxima for each instruction set (* is in use), and how fast bytes are read.\n",
    CONFIG_GROUP_MODEL,
    run_bench};
