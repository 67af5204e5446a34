/* index.c: `dipper index`: loads a JSON-lines file into a namespace, whole or not at all. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/linked_model.h"
#include "cli/progress.h"
#include "service/full_text.h"
#include "service/ingest.h"

enum { ARENA_MAX = 1 << 30 };

struct index_progress {
    struct progress line;
    uint64_t size; /* bytes of the input; 0: unknown */
    bool commit_shown;
};

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void on_ingest_progress(void *ctx, const struct ingest_progress *now)
{
    struct index_progress *progress = ctx;

    if (!now->committing) {
        progress_update(&progress->line, now->rows, now->bytes, progress->size);
    } else if (!progress->commit_shown) {
        progress->commit_shown = true;
        progress_end(&progress->line);
        fprintf(stderr, "%" PRIu64 " row%s embedded; writing segments\n", now->rows, plural(now->rows));
    }
}

static void print_summary(const char *name, const struct ingest_summary *s)
{
    double seconds = (double)s->total_ns * 1e-9, bytes = (double)s->load.bytes;

    printf("%s: %" PRIu64 " row%s in %.*f s (%.0f rows/s, %.1f tokens a row), %.1f %s written in %" PRIu64
           " segment%s\n",
           name, s->rows, plural(s->rows), seconds < 1 ? 3 : 1, seconds, (double)s->rows / seconds,
           s->rows ? (double)s->tokens / (double)s->rows : 0, bytes < 1e6 ? bytes * 1e-3 : bytes * 1e-6,
           bytes < 1e6 ? "KB" : "MB", s->load.segments, plural(s->load.segments));
    if (s->long_texts > 0)
        printf("%" PRIu64 " text%s longer than the model's limit; indexed as overlapping windows\n", s->long_texts,
               s->long_texts == 1 ? " was" : "s were");
    if (s->load.replaced > 0)
        printf("%" PRIu64 " row%s took the place of one with the same id\n", s->load.replaced,
               plural(s->load.replaced));
    printf("the namespace now has %" PRIu64 " row%s\n", s->load.total_rows, plural(s->load.total_rows));
}

static enum dp_status index_file(const struct config *config, const char *name, const char *path,
                                 const char *language, struct dp_error *error)
{
    struct input in;
    struct service *service = NULL;
    struct index_progress progress = {0};
    struct ingest_summary summary;
    struct ingest_options options = {.namespace = span_str(name),
                                     .language = language,
                                     .progress = on_ingest_progress,
                                     .progress_ctx = &progress,
                                     .wake = input_wake,
                                     .wake_ctx = &in};
    struct line_reader reader;
    struct arena arena;
    struct call call;
    struct stat st;
    enum dp_status status;

    if (input_open(&in, path, error) != DP_OK)
        return error->status;
    if (fstat(in.fd, &st) == 0 && S_ISREG(st.st_mode))
        progress.size = (uint64_t)st.st_size;
    arena_init(&arena, ARENA_MAX);
    call_init(&call, &arena);
    call.cancelled = interrupt_watch();
    line_reader_init(&reader, in.stream, INGEST_LINE_MAX);
    status = open_service(program_inputs(config), OPEN_MODEL | OPEN_STORE | OPEN_CREATE, &service, error);
    if (status == DP_OK) {
        progress_begin(&progress.line, "rows");
        status = service_ingest(&call, service, &reader, &options, &summary);
        progress_end(&progress.line);
        if (status == DP_OK)
            print_summary(name, &summary);
        else
            *error = call.error;
        if (status == DP_CANCELLED)
            dp_fail(error, status, "the namespace did not change");
    }
    service_free(service);
    line_reader_deinit(&reader);
    arena_deinit(&arena);
    input_close(&in);
    return status;
}

/* Returns true if the user seems to have given the file before the namespace. "-" is standard input. */
static bool are_swapped(const char *name, const char *path)
{
    if (strcmp(name, "-") == 0)
        return true;
    return strcmp(path, "-") != 0 && access(path, F_OK) != 0 && access(name, F_OK) == 0;
}

/* What the command line says. */
struct index_given {
    const char *language;
};

static int run_index(const struct cli_args *args)
{
    const struct index_given *given = args->options;
    const char *name = args->positions[0], *path = args->positions[1];
    char text_options[FULL_TEXT_OPTIONS_ROOM];
    struct dp_error error = {0};
    if (given->language && full_text_options(given->language, text_options, &error) != DP_OK)
        return cli_usage(args, "--language: %s", error.message);
    if (args->position_count != 2)
        return cli_usage(args, "a namespace and a file are needed (\"-\" is standard input)");
    if (are_swapped(name, path))
        return cli_usage(args, "the namespace comes first, then the file, but %s is the file", name);
    if (index_check_name(span_str(name), &error) == DP_OK)
        index_file(&args->config, name, path, given->language, &error);
    return cli_end(args, &error);
}

static const struct cli_option index_options[] = {
    {"language", CLI_TEXT, offsetof(struct index_given, language), "NAME",
     .help = "language of \"text\", whose stems and stop words a new attribute gets; none: words as they are "
             "(default: english)"},
};
static const struct index_given defaults = {0};

const struct cli_command cli_index_command = {
    .name = "index",
    .usage = "NAMESPACE FILE.jsonl --root DIR|URL [OPTIONS]",
    .summary = "add the rows of a JSON-lines file to a namespace",
    .details =
        "A row is a line {\"id\": …, \"text\": \"…\", …attributes}. Its text is embedded; its attributes are\n"
        "stored beside it. A row takes the place of an earlier one with its id. The file is committed as\n"
        "a whole or not at all. FILE \"-\" is standard input.\n"
        "\n"
        "The first file with texts makes the attribute text searchable by words, in the language that\n"
        "--language names: \"baking\" then finds \"baked\", and words such as \"the\" do not count.\n",
    .example = "  dipper index notes notes.jsonl --root ./bucket\n",
    .main_settings = "--root --model",
    .settings = CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    .options = index_options,
    .option_count = sizeof index_options / sizeof *index_options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .run = run_index,
};
