/* main.c: the program: finds the subcommand and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "simd/simd.h"

static const struct cli_command *const commands[] = {
    &cli_index_command, &cli_search_command, &cli_serve_command, &cli_embed_command, &cli_faiss_command,
    &cli_model_command, &cli_key_command,    &cli_usage_command, &cli_bench_command, &cli_config_command,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_help(FILE *out)
{
    fputs("Dipper: semantic search served straight from the bucket.\n\nusage: dipper COMMAND …\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs(
        "\n`dipper COMMAND --help` tells a command's options. `dipper --version` prints the version.\n"
        "Exit status: 0 when all went well, 1 when something failed, 2 for a wrong command line; a command whose\n"
        "output nobody reads any more (`dipper … | head`) ends by SIGPIPE, which shells call 141.\n",
        out);
}

/* A standard stream that whoever started us has closed is held by a file that can be neither read nor written:
 * otherwise the next file opened, an object of a bucket say, would be taken for it. */
static void hold_standard_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Answers the exit status. */
static int run(int argc, char **argv)
{
    static char help_flag[] = "--help";
    const char *name = argc > 1 ? argv[1] : "";
    struct dp_error error;

    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("dipper %s\n", version_text());
        return CLI_OK;
    }
    if (strcmp(name, "help") == 0 && argc > 2) { /* `dipper help index` is `dipper index --help` */
        name = argv[1] = argv[2];
        argv[2] = help_flag;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        print_help(stdout);
        return CLI_OK;
    }
    if (simd_check(&error) != DP_OK) {
        fprintf(stderr, "dipper: %s\n", error.message);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(name, commands[i]->name) == 0) {
            int status = commands[i]->run(argc - 1, argv + 1);
            if (status != CLI_OK)
                interrupt_end();
            return status;
        }
    if (*name == '-')
        fprintf(stderr, "dipper: the command comes first, then its options: '%s' is none\n\n", name);
    else if (*name)
        fprintf(stderr, "dipper: there is no command '%s'\n\n", name);
    print_help(stderr);
    return CLI_USAGE;
}

int main(int argc, char **argv)
{
    hold_standard_streams();
    signal(SIGPIPE, SIG_IGN);                /* writing answers EPIPE */
    signal(SIGXFSZ, SIG_IGN);                /* and EFBIG, where files may not grow further (ulimit -f) */
    setenv("ORT_DISABLE_TELEMETRY", "1", 1); /* ONNX Runtime, if it comes to be used, reports to nobody */
    return output_end(run(argc, argv));
}
