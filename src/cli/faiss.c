/* faiss.c: `dipper faiss info|search`: FAISS files where they lie. */
#include "cli/faiss.h"

#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "index/index.h"

static int run_faiss(int argc, char **argv)
{
    struct faiss_search_options search = {.k = 10};
    const struct cli_option own[] = {
        {"queries", 0, CLI_TEXT, &search.queries, 0, 0, "FILE", "search: vectors in a file, .npy or .fvecs"},
        {"text", 0, CLI_TEXT, &search.text, 0, 0, "WORDS", "search: words, which the model in use embeds"},
        {"top-k", 'k', CLI_NUMBER, &search.k, 1, INDEX_TOP_K_MAX, "N", "search: how many neighbours (default 10)"},
        {"nprobe", 0, CLI_NUMBER, &search.nprobe, 0, UINT32_MAX, "N",
         "search: lists to scan (default: the file's)"},
        {"json", 0, CLI_FLAG, &search.json, 0, 0, NULL, "info: one JSON object; search: one JSON line per query"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_faiss_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    const char *verb = args.position_count == 2 ? args.positions[0] : "";
    search.url = args.positions[1];
    if (strcmp(verb, "info") == 0 && !search.queries && !search.text)
        faiss_info(&args.config, search.url, search.json, &error);
    else if (strcmp(verb, "search") == 0 && !search.queries != !search.text)
        faiss_search(&args.config, &search, &error);
    else
        status =
            cli_usage(&cli_faiss_command, "say what to do: `faiss info URL`, `faiss search URL --queries FILE` or "
                                          "`faiss search URL --text \"words\"`");
    if (error.status != DP_OK)
        status = cli_fail(&cli_faiss_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_faiss_command = {
    "faiss",
    "info | search URL [OPTIONS]",
    "tell of a FAISS IVF file, or search it, where it lies",
    "URL is a path, or an object of a store: file://, s3://, http(s)://. Only the file's head and the probed "
    "lists are read;\n"
    "with --merge-gap none each list is one request. `search --json` prints for each query {\"ids\": […], "
    "\"distances\": […],\n"
    "\"rounds\": …, \"requests\": …, \"bytes\": …, \"ms\": …}; where fewer are found, the last ids are -1.\n",
    CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    run_faiss};
