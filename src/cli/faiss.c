/* faiss.c: `dipper faiss info|search|build|calibrate`: FAISS files where they lie. */
#include "cli/faiss.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/commands.h"
#include "index/index.h"

static const double AUTO_RECALL = 0.95;

/* CLI_OK, or CLI_USAGE. */
static int take_k_factor(const char *text, float *out)
{
    char *end = NULL;
    if (!text)
        return CLI_OK;
    *out = strtof(text, &end);
    if (end == text || *end || !(*out >= 1))
        return cli_usage(&cli_faiss_command, "--k-factor is '%s', but must be a number from 1 on", text);
    return CLI_OK;
}

/* How many lists to search: --nprobe, --recall, or neither. CLI_OK, or CLI_USAGE. */
static int take_nprobe(const char *nprobe, const char *recall, struct faiss_search_options *out)
{
    char *end = NULL;
    if (nprobe && recall)
        return cli_usage(&cli_faiss_command, "--nprobe and --recall: give one of them");
    if (recall) {
        out->recall = strtod(recall, &end);
        if (end == recall || *end || !(out->recall > 0 && out->recall <= 1))
            return cli_usage(&cli_faiss_command, "--recall is '%s', but must be a number above 0, at most 1",
                             recall);
    } else if (nprobe && strcmp(nprobe, "auto") == 0) {
        out->recall = AUTO_RECALL;
    } else if (nprobe) {
        errno = 0;
        out->nprobe = strtoull(nprobe, &end, 10);
        if (*nprobe < '0' || *nprobe > '9' || *end || errno || out->nprobe > UINT32_MAX)
            return cli_usage(&cli_faiss_command,
                             "--nprobe is '%s', but must be auto or a whole number from 0 to %" PRIu32, nprobe,
                             UINT32_MAX);
    }
    return CLI_OK;
}

/* CLI_OK, or CLI_USAGE when the options do not say what to do; what fails is in *error. */
static int run_verb(const char *verb, const struct config *config, const struct faiss_search_options *search,
                    const struct faiss_make_options *make, struct dp_error *error)
{
    const struct faiss_calibrate_options calibrate = {search->url, search->queries, search->recall_table,
                                                      search->json};
    if (strcmp(verb, "info") == 0 && !search->queries && !search->text)
        faiss_info(config, search->url, search->json, error);
    else if (strcmp(verb, "build") == 0 && make->vectors)
        faiss_make(config, make, error);
    else if (strcmp(verb, "calibrate") == 0 && search->queries && !search->text)
        faiss_calibrate(config, &calibrate, error);
    else if (strcmp(verb, "search") == 0 && !search->queries != !search->text)
        faiss_search(config, search, error);
    else
        return cli_usage(&cli_faiss_command,
                         "say what to do: `faiss info URL`, `faiss search URL --queries FILE`, "
                         "`faiss search URL --text \"words\"`, `faiss build URL --vectors FILE` or "
                         "`faiss calibrate URL --queries FILE`");
    return CLI_OK;
}

static int run_faiss(int argc, char **argv)
{
    struct faiss_search_options search = {.k = 10};
    struct faiss_make_options make = {0};
    const char *nprobe = NULL, *recall = NULL, *k_factor = NULL;
    bool json = false;
    const struct cli_option own[] = {
        {"queries", 0, CLI_TEXT, &search.queries, 0, 0, "FILE",
         "search, calibrate: vectors in a file, .npy, .fvecs or .bvecs"},
        {"text", 0, CLI_TEXT, &search.text, 0, 0, "WORDS", "search: words, which the model in use embeds"},
        {"top-k", 'k', CLI_NUMBER, &search.k, 1, INDEX_TOP_K_MAX, "N", "search: how many neighbours (default 10)"},
        {"nprobe", 0, CLI_TEXT, &nprobe, 0, 0, "N",
         "search: lists to scan (default: the file's); auto: as many as a recall of 0.95 takes"},
        {"recall", 0, CLI_TEXT, &recall, 0, 0, "PART",
         "search: scan as few lists as find this part of the nearest, as it was measured: 0.9"},
        {"recall-table", 0, CLI_TEXT, &search.recall_table, 0, 0, "URL",
         "search, calibrate: where that is written (default: URL.recall.json)"},
        {"k-factor", 0, CLI_TEXT, &k_factor, 0, 0, "X",
         "search: of a file with a flat part (RFlat): look again at X candidates for each neighbour (default: the "
         "file's)"},
        {"scan-all", 0, CLI_FLAG, &search.scan_all, 0, 0, NULL,
         "search: read all of a flat file, even if it is larger than 1 GiB"},
        {"vectors", 0, CLI_TEXT, &make.vectors, 0, 0, "FILE", "build: the vectors, .npy, .fvecs or .bvecs"},
        {"ids", 0, CLI_TEXT, &make.ids, 0, 0, "FILE",
         "build: their ids, a .npy of whole numbers (default: 0, 1, …)"},
        {"nlist", 0, CLI_TEXT, &make.nlist, 0, 0, "N",
         "build: how many lists (default: auto, about twice the square root of the vectors)"},
        {"kind", 0, CLI_TEXT, &make.kind, 0, 0, "KIND", "build: flat or sq8, 8 bits a dimension (default: sq8)"},
        {"metric", 0, CLI_TEXT, &make.metric, 0, 0, "METRIC",
         "build: l2, inner_product (or ip) or cosine, for which vectors are scaled to length 1 (default: l2)"},
        {"seed", 0, CLI_NUMBER, &make.seed, 0, UINT64_MAX, "N", "build: another clustering (default: 0)"},
        {"memory", 0, CLI_NUMBER, &make.memory_mb, 1, UINT32_MAX, "MB",
         "build: memory for a sample, and for lists being written (default: 1024)"},
        {"no-recall", 0, CLI_FLAG, &make.no_recall, 0, 0, NULL, "build: do not measure recall by nprobe"},
        {"json", 0, CLI_FLAG, &json, 0, 0, NULL,
         "info, build, calibrate: one JSON object; search: one JSON line per query"},
    };
    struct cli_args args;
    struct dp_error error = {0};
    int status = cli_parse(&cli_faiss_command, argc, argv, own, sizeof(own) / sizeof(*own), &args);

    if (status != CLI_OK)
        return status == CLI_HELPED ? CLI_OK : status;
    const char *verb = args.position_count == 2 ? args.positions[0] : "";
    search.url = make.url = args.positions[1];
    search.json = make.json = json;
    if (take_nprobe(nprobe, recall, &search) != CLI_OK || take_k_factor(k_factor, &search.k_factor) != CLI_OK) {
        cli_args_deinit(&args);
        return CLI_USAGE;
    }
    status = run_verb(verb, &args.config, &search, &make, &error);
    if (error.status != DP_OK)
        status = cli_fail(&cli_faiss_command, &error);
    cli_args_deinit(&args);
    return status;
}

const struct cli_command cli_faiss_command = {
    "faiss",
    "info | search | build | calibrate URL [OPTIONS]",
    "tell of a FAISS file or search it where it lies, or build one",
    "URL is a path, or an object of a store: file://, s3://, http(s)://. Only the file's head and the probed "
    "lists are read\n"
    "(of a flat file, which has no lists, all of it);\n"
    "with --merge-gap none each list is one request. `search --json` prints for each query {\"ids\": […], "
    "\"distances\": […],\n"
    "\"rounds\": …, \"requests\": …, \"bytes\": …, \"ms\": …}; where fewer are found, the last ids are -1.\n"
    "`build` makes a file that stock FAISS opens, whole or not at all; the vectors may be more than memory "
    "holds.\n"
    "It also measures which part of the nearest is found by nprobe, into URL.recall.json, for `search --recall`;\n"
    "`calibrate` does that for a file that is there, with queries of yours, against a search of all its lists.\n",
    CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    run_faiss};
