/* faiss.c: `dipper faiss info|search|build`: FAISS files where they lie. */
#include "cli/faiss.h"

#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "index/index.h"

static int run_faiss(int argc, char **argv)
{
    struct faiss_search_options search = {.k = 10};
    struct faiss_make_options make = {0};
    bool json = false;
    const struct cli_option own[] = {
        {"queries", 0, CLI_TEXT, &search.queries, 0, 0, "FILE", "search: vectors in a file, .npy or .fvecs"},
        {"text", 0, CLI_TEXT, &search.text, 0, 0, "WORDS", "search: words, which the model in use embeds"},
        {"top-k", 'k', CLI_NUMBER, &search.k, 1, INDEX_TOP_K_MAX, "N", "search: how many neighbours (default 10)"},
        {"nprobe", 0, CLI_NUMBER, &search.nprobe, 0, UINT32_MAX, "N",
         "search: lists to scan (default: the file's)"},
        {"vectors", 0, CLI_TEXT, &make.vectors, 0, 0, "FILE", "build: the vectors, .npy or .fvecs"},
        {"ids", 0, CLI_TEXT, &make.ids, 0, 0, "FILE", "build: their ids, a .npy of int64 (default: 0, 1, …)"},
        {"nlist", 0, CLI_TEXT, &make.nlist, 0, 0, "N",
         "build: how many lists (default: auto, about twice the square root of the vectors)"},
        {"kind", 0, CLI_TEXT, &make.kind, 0, 0, "KIND", "build: flat or sq8, 8 bits a dimension (default: sq8)"},
        {"metric", 0, CLI_TEXT, &make.metric, 0, 0, "METRIC",
         "build: l2, ip or cosine, for which vectors are scaled to length 1 (default: l2)"},
        {"seed", 0, CLI_NUMBER, &make.seed, 0, UINT64_MAX, "N", "build: another clustering (default: 0)"},
        {"memory", 0, CLI_NUMBER, &make.memory_mb, 1, UINT32_MAX, "MB",
         "build: memory for a sample, and for lists being written (default: 1024)"},
        {"json", 0, CLI_FLAG, &json, 0, 0, NULL, "info, build: one JSON object; search: one JSON line per query"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_faiss_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    const char *verb = args.position_count == 2 ? args.positions[0] : "";
    search.url = make.url = args.positions[1];
    search.json = make.json = json;
    if (strcmp(verb, "info") == 0 && !search.queries && !search.text)
        faiss_info(&args.config, search.url, search.json, &error);
    else if (strcmp(verb, "build") == 0 && make.vectors)
        faiss_make(&args.config, &make, &error);
    else if (strcmp(verb, "search") == 0 && !search.queries != !search.text)
        faiss_search(&args.config, &search, &error);
    else
        status =
            cli_usage(&cli_faiss_command, "say what to do: `faiss info URL`, `faiss search URL --queries FILE`, "
                                          "`faiss search URL --text \"words\"` or `faiss build URL --vectors FILE`");
    if (error.status != DP_OK)
        status = cli_fail(&cli_faiss_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_faiss_command = {
    "faiss",
    "info | search | build URL [OPTIONS]",
    "tell of a FAISS IVF file or search it where it lies, or build one",
    "URL is a path, or an object of a store: file://, s3://, http(s)://. Only the file's head and the probed "
    "lists are read;\n"
    "with --merge-gap none each list is one request. `search --json` prints for each query {\"ids\": […], "
    "\"distances\": […],\n"
    "\"rounds\": …, \"requests\": …, \"bytes\": …, \"ms\": …}; where fewer are found, the last ids are -1.\n"
    "`build` makes a file that stock FAISS opens, whole or not at all; the vectors may be more than memory holds.\n",
    CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    run_faiss};
