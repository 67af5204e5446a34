/* main.c: the program `dipper`. It finds the command and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/likely_name.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "simd/simd.h"

static const struct cli_command *const commands[] = {
    &cli_index_command,     &cli_search_command,       &cli_serve_command,  &cli_embed_command, &cli_faiss_command,
    &cli_namespace_command, &cli_index_worker_command, &cli_model_command,  &cli_key_command,   &cli_usage_command,
    &cli_bench_command,     &cli_doctor_command,       &cli_config_command,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_commands(FILE *out)
{
    fputs("Dipper: semantic search served straight from the bucket.\n\nusage: dipper COMMAND …\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-13s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "\nA first try:\n\n"
        "  dipper index notes notes.jsonl --root ./bucket    # lines of {\"id\": 1, \"text\": \"…\"}\n"
        "  dipper search notes \"some words\" --root ./bucket\n"
        "  dipper serve --root ./bucket                      # HTTP, and a search page\n\n"
        "`dipper COMMAND --help` lists a command's options. `dipper --version`, or -V, prints the version.\n"
        "Exit status: 0 for success, 1 for a failure, 2 for a wrong command line. When the reader of a command's\n"
        "output goes away (`dipper … | head`), SIGPIPE ends the command; shells report 141.\n",
        out);
}

/* Replaces each standard stream that our caller has closed by an unusable one: reading from standard input fails,
 * and so does writing to the other two. Otherwise the next file that we open would get that stream's number, and
 * output could go into, say, an object of a bucket. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static bool is_named(const struct cli_command *command, const char *name)
{
    return strcmp(name, command->name) == 0 || (command->alias && strcmp(name, command->alias) == 0);
}

/* Complains of a name that no command has. Returns the exit status. */
static int refuse_command(const char *name)
{
    struct likely_name likely = likely_name_of(span_str(name));
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        likely_name_offer(&likely, commands[i]->name);
    if (*name == '-')
        fprintf(stderr, "dipper: '%s' is not a command; the command comes first, then its options\n", name);
    else if (likely.name)
        fprintf(stderr, "dipper: there is no command '%s'; did you mean '%s'?\n", name, likely.name);
    else if (*name)
        fprintf(stderr, "dipper: there is no command '%s'\n", name);
    if (*name)
        fputs("Run `dipper --help` for the list.\n", stderr);
    else
        print_commands(stderr);
    return CLI_USAGE;
}

/* Turns `dipper help NAME …` into `dipper NAME … --help`. */
static void move_help(int argc, char **argv)
{
    static char help_flag[] = "--help";
    for (int i = 1; i + 1 < argc; i++)
        argv[i] = argv[i + 1];
    argv[argc - 1] = help_flag;
}

/* Runs the command that argv names. Returns the exit status. */
static int run_command(int argc, char **argv)
{
    struct dp_error error;
    if (argc > 2 && strcmp(argv[1], "help") == 0)
        move_help(argc, argv);
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0 || strcmp(name, "version") == 0) {
        printf("dipper %s\n", version_text());
        return CLI_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_commands(stdout);
        return CLI_OK;
    }
    if (simd_check(&error) != DP_OK) {
        fprintf(stderr, "dipper: %s\n", error.message);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (is_named(commands[i], name)) {
            int status = cli_run(commands[i], argc - 1, argv + 1);
            if (status != CLI_OK)
                interrupt_end();
            return status;
        }
    return refuse_command(name);
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN);                /* then a write to a closed pipe fails with EPIPE */
    signal(SIGXFSZ, SIG_IGN);                /* then a write beyond `ulimit -f` fails with EFBIG */
    setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* keeps ONNX Runtime from reporting to its makers */
    return output_end(run_command(argc, argv));
}
