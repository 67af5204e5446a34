/* embed.c: `dipper embed` reads a text from each line of input and prints its embedding on a line, in order.
 *
 * The command gathers texts into batches for speed. It embeds a batch early when the input would block, so that a
 * program at the other end of a pipe gets the answer to a line before it writes the next one. A second thread
 * prints a batch while the first gathers and embeds the next one. Memory holds SLOTS batches, however long the
 * input is.
 */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/output.h"
#include "os/file.h"
#include "os/pipeline.h"
#include "os/thread.h"

struct embed_options {
    bool jsonl, raw;
};

enum { EMBED, PRINT, STAGES };

enum {
    SLOTS = 2,
    BATCH_TEXTS = 512,
    BATCH_BYTES = 1 << 20,
    LINE_MAX_BYTES = 4 << 20,
    ARENA_MAX = 256 << 20,
    OUTPUT_MAX = 64 << 20,
};

/* A line of input: a text to embed, or the reason why it cannot be used. */
struct embed_line {
    size_t offset, len; /* place of the text in the batch's texts, in bytes */
    char *problem;      /* the reason, in the arena; NULL: the line is a text */
};

/* Lines that are embedded together, and their embeddings. The stage that has taken the batch owns it. */
struct embed_batch {
    struct arena arena;
    struct buffer texts; /* the texts, one after another */
    struct embed_line lines[BATCH_TEXTS];
    size_t count;
    struct embed_response response;
};

struct embed_run {
    struct service *service;
    struct input in;
    struct pipeline pipeline;
    struct embed_batch batches[SLOTS];

    struct {
        struct call call;
        struct embed_batch *batch; /* the batch in the making, or NULL */
        bool jsonl, normalize;
        enum dp_status status; /* first failure */
    } reading;                 /* the calling thread owns it */
    struct {
        struct buffer output;
        struct dp_error error; /* first failure */
        uint64_t unusable;     /* lines that could not be used */
    } printing;                /* the printing thread owns it until it ends; then the calling thread */
};

static void write_item(struct embed_run *run, const struct embed_response *response, size_t item)
{
    struct json_writer w;

    json_writer_init(&w, &run->printing.output);
    json_begin_object(&w);
    json_key(&w, "embedding");
    json_floats(&w, response->vectors + item * response->dim, response->dim);
    json_field_u64(&w, "tokens", response->items[item].tokens);
    if (response->items[item].truncated)
        json_field_bool(&w, "truncated", true);
    json_end_object(&w);
    buffer_append_str(&run->printing.output, "\n");
}

static void write_line_problem(struct embed_run *run, const char *problem)
{
    struct json_writer w;

    run->printing.unusable++;
    json_writer_init(&w, &run->printing.output);
    json_begin_object(&w);
    json_field_str(&w, "error", problem);
    json_end_object(&w);
    buffer_append_str(&run->printing.output, "\n");
}

static enum dp_status write_out(struct embed_run *run)
{
    if (buffer_check(&run->printing.output, "the output", &run->printing.error) != DP_OK)
        return run->printing.error.status;
    return output_write(buffer_span(&run->printing.output), &run->printing.error);
}

static enum dp_status print_batch(struct embed_run *run, const struct embed_batch *batch)
{
    size_t next = 0;

    buffer_clear(&run->printing.output);
    for (size_t i = 0; i < batch->count; i++) {
        if (batch->lines[i].problem)
            write_line_problem(run, batch->lines[i].problem);
        else
            write_item(run, &batch->response, next++);
    }
    return write_out(run);
}

/* Runs in the printing thread. If printing fails, it also stops the reading. */
static void *print_batches(void *context)
{
    struct embed_run *run = context;
    size_t slot;

    while (pipeline_take(&run->pipeline, PRINT, &slot)) {
        if (print_batch(run, &run->batches[slot]) != DP_OK) {
            pipeline_stop(&run->pipeline);
            input_wake(&run->in);
            break;
        }
        pipeline_pass(&run->pipeline, PRINT);
    }
    return NULL;
}

/* Embeds the batch in the making and passes it to the printing thread. */
static enum dp_status flush_batch(struct embed_run *run)
{
    struct embed_batch *batch = run->reading.batch;
    struct embed_request request = {.normalize = run->reading.normalize};
    struct embed_input *inputs;

    if (!batch || batch->count == 0 || run->reading.status != DP_OK)
        return run->reading.status;
    inputs = arena_calloc(&batch->arena, batch->count, sizeof(*inputs));
    if (!inputs) {
        run->reading.status = call_nomem(&run->reading.call, "a batch of texts");
        return run->reading.status;
    }
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->lines[i].problem)
            inputs[request.count++].text =
                span_of(batch->texts.data + batch->lines[i].offset, batch->lines[i].len);
    request.inputs = inputs;
    if (request.count > 0)
        run->reading.status = service_embed(&run->reading.call, run->service, &request, &batch->response);
    if (run->reading.status == DP_OK) {
        run->reading.batch = NULL;
        pipeline_pass(&run->pipeline, EMBED);
    }
    return run->reading.status;
}

/* Returns the batch in the making, or begins one. Returns NULL when printing has failed. */
static struct embed_batch *current_batch(struct embed_run *run)
{
    size_t slot;

    if (run->reading.batch || !pipeline_take(&run->pipeline, EMBED, &slot))
        return run->reading.batch;
    run->reading.batch = &run->batches[slot];
    run->reading.batch->count = 0;
    buffer_clear(&run->reading.batch->texts);
    arena_reset(&run->reading.batch->arena);
    run->reading.call.arena = &run->reading.batch->arena;
    return run->reading.batch;
}

/* Adds the text of a line to the batch, or the line's problem. Errors: DP_NOMEM. */
static enum dp_status take_text_line(struct embed_run *run, struct embed_batch *batch, struct span line,
                                     const struct dp_error *line_error)
{
    struct embed_line *slot = &batch->lines[batch->count++];
    struct json_reader r;
    struct span key, text = line;
    struct dp_error error = *line_error;

    *slot = (struct embed_line){.offset = batch->texts.len};
    if (error.status == DP_OK && run->reading.jsonl) {
        bool found = false;
        json_reader_init(&r, line);
        json_enter_object(&r);
        while (json_next_key(&r, &batch->arena, &key)) {
            if (!span_equal_str(key, "text"))
                json_skip(&r);
            else if (found)
                json_reject(&r, DP_INVALID, "\"text\" is given twice");
            else
                found = json_read_string(&r, &batch->arena, &text);
        }
        json_end(&r);
        if (json_failed(&r))
            json_error(&r, &error);
        else if (!found)
            dp_fail(&error, DP_INVALID, "the object has no \"text\"");
    }
    if (error.status == DP_OK && text.len == 0)
        dp_fail(&error, DP_INVALID, "the text is empty");
    if (error.status != DP_OK) {
        slot->problem = arena_printf(&batch->arena, "%s", error.message);
        return slot->problem && error.status != DP_NOMEM ? DP_OK
                                                         : call_nomem(&run->reading.call, "a batch of texts");
    }
    slot->len = text.len;
    buffer_append(&batch->texts, text);
    return buffer_check(&batch->texts, "a batch of texts", &run->reading.call.error);
}

/* Embeds the gathered texts and passes them to the printing thread, before the input blocks. */
static bool on_idle(void *ctx)
{
    struct embed_run *run = ctx;

    return flush_batch(run) == DP_OK;
}

static enum dp_status read_stream(struct embed_run *run)
{
    struct line_reader reader;
    struct embed_batch *batch;
    struct dp_error error = {0};
    struct span line;

    line_reader_init(&reader, run->in.stream, LINE_MAX_BYTES);
    for (;;) {
        bool more = line_reader_next(&reader, &line, &error);
        if (!more && error.status != DP_TOO_LARGE)
            break;
        if (run->reading.status == DP_OK)
            run->reading.status = call_check(&run->reading.call);
        batch = run->reading.status == DP_OK ? current_batch(run) : NULL;
        if (!batch)
            break;
        run->reading.status = take_text_line(run, batch, line, &error);
        dp_error_clear(&error);
        if (batch->count == BATCH_TEXTS || batch->texts.len >= BATCH_BYTES)
            flush_batch(run);
    }
    if (run->reading.status == DP_OK)
        run->reading.status = call_check(&run->reading.call);
    if (run->reading.status == DP_OK && error.status != DP_OK) {
        run->reading.call.error = error;
        run->reading.status = error.status;
    }
    flush_batch(run);
    line_reader_deinit(&reader);
    return run->reading.status;
}

static enum dp_status embed_stream(struct embed_run *run)
{
    pthread_t printer;

    if (input_open(&run->in, "-", &run->reading.call.error) != DP_OK)
        return run->reading.call.error.status;
    run->in.idle = on_idle;
    run->in.ctx = run;
    int failed = os_thread_start(&printer, "dipper-print", print_batches, run);
    if (failed) {
        run->reading.status =
            call_fail(&run->reading.call, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    } else {
        read_stream(run);
        pipeline_end(&run->pipeline);
        pthread_join(printer, NULL);
    }
    if (run->printing.error.status != DP_OK) { /* report this failure: it stopped the reading */
        run->reading.call.error = run->printing.error;
        run->reading.status = run->printing.error.status;
    }
    input_close(&run->in);
    return run->reading.status;
}

static void run_init(struct embed_run *run, bool jsonl, bool normalize)
{
    pipeline_init(&run->pipeline, STAGES, SLOTS);
    for (size_t i = 0; i < SLOTS; i++) {
        arena_init(&run->batches[i].arena, ARENA_MAX);
        buffer_init(&run->batches[i].texts, BATCH_BYTES + LINE_MAX_BYTES);
    }
    buffer_init(&run->printing.output, OUTPUT_MAX);
    call_init(&run->reading.call, &run->batches[0].arena);
    run->reading.call.cancelled = interrupt_watch();
    run->reading.jsonl = jsonl;
    run->reading.normalize = normalize;
}

static void run_free(struct embed_run *run)
{
    if (!run)
        return;
    service_free(run->service);
    for (size_t i = 0; i < SLOTS; i++) {
        buffer_deinit(&run->batches[i].texts);
        arena_deinit(&run->batches[i].arena);
    }
    buffer_deinit(&run->printing.output);
    pipeline_deinit(&run->pipeline);
    mem_free(run);
}

static int run_embed(const struct cli_args *args)
{
    const struct embed_options *given = args->options;
    struct dp_error error = {0};
    if (args->position_count > 0)
        return cli_usage(args, "texts come from standard input; unexpected argument '%s'", args->positions[0]);
    struct embed_run *run = mem_calloc(1, sizeof(*run));
    if (!run) {
        dp_fail_nomem(&error, "the command's buffers");
        return cli_end(args, &error);
    }
    run_init(run, given->jsonl, !given->raw);
    if (open_service(program_inputs(&args->config), OPEN_MODEL, &run->service, &error) == DP_OK) {
        embed_stream(run);
        error = run->reading.call.error;
    }
    int status = cli_end(args, &error);
    if (run->printing.unusable > 0)
        fprintf(stderr, "dipper embed: %" PRIu64 " line%s could not be used; each is answered by its error\n",
                run->printing.unusable, run->printing.unusable == 1 ? "" : "s");
    run_free(run);
    return status;
}

static const struct cli_option options[] = {
    {"jsonl", CLI_FLAG, offsetof(struct embed_options, jsonl),
     .help = "lines are {\"text\": \"…\"}, so texts may hold newlines"},
    {"no-normalize", CLI_FLAG, offsetof(struct embed_options, raw),
     .help = "vectors as the model makes them, not of length 1"},
};
static const struct embed_options defaults;

const struct cli_command cli_embed_command = {
    .name = "embed",
    .usage = "[OPTIONS] < TEXTS",
    .summary = "embed each line of standard input; print one JSON line for each",
    .details =
        "Prints {\"embedding\": […], \"tokens\": N} for each line, in order, or {\"error\": \"…\"} for a line\n"
        "that cannot be used. A text longer than the model's limit is cut, and its answer has\n"
        "\"truncated\": true.\n",
    .example = "  printf 'a river\\na loaf\\n' | dipper embed\n",
    .main_settings = "--model --threads",
    .settings = CONFIG_GROUP_MODEL,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_embed,
};
