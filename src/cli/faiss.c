/* faiss.c: the options and verbs of `dipper faiss info|search|build|calibrate|attach`, for FAISS files where they
 * lie. */
#include "cli/faiss.h"

#include "cli/commands.h"
#include "index/index.h"

static const struct cli_option options[] = {
    {"queries", CLI_TEXT, offsetof(struct faiss_options, queries), "FILE", .verbs = "search calibrate",
     .help = "vectors in a .npy, .fvecs or .bvecs file"},
    {"text", CLI_TEXT, offsetof(struct faiss_options, text), "WORDS", .verbs = "search",
     .help = "words, which the model in use embeds"},
    {"top-k", CLI_NUMBER, offsetof(struct faiss_options, k), "N", .letter = 'k', .min = 1, .max = INDEX_TOP_K_MAX,
     .verbs = "search", .help = "how many neighbours (default: 10)"},
    {"nprobe", CLI_TEXT, offsetof(struct faiss_options, nprobe), "N", .verbs = "search",
     .help = "how many lists to scan (default: the file's); auto: --recall 0.95"},
    {"recall", CLI_TEXT, offsetof(struct faiss_options, recall), "PART", .verbs = "search",
     .help = "scan as few lists as reached this recall when it was measured, such as 0.9"},
    {"recall-table", CLI_TEXT, offsetof(struct faiss_options, recall_table), "URL", .verbs = "search calibrate",
     .help = "the table of recall (default: URL.recall.json)"},
    {"k-factor", CLI_TEXT, offsetof(struct faiss_options, k_factor), "X", .verbs = "search",
     .help = "candidates to look at again for each neighbour, in a file with RFlat (default: the file's)"},
    {"scan-all", CLI_FLAG, offsetof(struct faiss_options, scan_all), .verbs = "search",
     .help = "read all of a flat file, even if it is larger than 1 GiB"},
    {"vectors", CLI_TEXT, offsetof(struct faiss_options, vectors), "FILE", .verbs = "build",
     .help = "the vectors, a .npy, .fvecs or .bvecs file"},
    {"ids", CLI_TEXT, offsetof(struct faiss_options, ids), "FILE", .verbs = "build",
     .help = "their ids, a .npy of whole numbers (default: 0, 1, …)"},
    {"nlist", CLI_TEXT, offsetof(struct faiss_options, nlist), "N", .verbs = "build",
     .help = "how many lists (default: auto, about twice the square root of the number of vectors)"},
    {"kind", CLI_TEXT, offsetof(struct faiss_options, kind), "KIND", .verbs = "build",
     .help = "flat, or sq8 with 8 bits a dimension (default: sq8)"},
    {"metric", CLI_TEXT, offsetof(struct faiss_options, metric), "METRIC", .verbs = "build",
     .help = "l2, inner_product (or ip), or cosine, which scales vectors to length 1 (default: l2)"},
    {"seed", CLI_NUMBER, offsetof(struct faiss_options, seed), "N", .max = UINT64_MAX, .verbs = "build",
     .help = "another seed makes another clustering (default: 0)"},
    {"memory", CLI_NUMBER, offsetof(struct faiss_options, memory_mb), "MB", .min = 1, .max = UINT32_MAX,
     .verbs = "build", .help = "memory for the sample and for lists being written (default: 1024)"},
    {"no-recall", CLI_FLAG, offsetof(struct faiss_options, no_recall), .verbs = "build",
     .help = "do not measure recall"},
    {"rows", CLI_TEXT, offsetof(struct faiss_options, rows), "FILE", .verbs = "attach",
     .help = "JSON lines {\"id\": …, \"text\": …, …attributes}, one for each vector (default: the "
             "namespace's own rows)"},
    {"language", CLI_TEXT, offsetof(struct faiss_options, language), "NAME", .verbs = "attach",
     .help = "language of \"text\", whose stems and stop words a new attribute gets; none: words as they are "
             "(default: english)"},
    {"json", CLI_FLAG, offsetof(struct faiss_options, json),
     .help = "one JSON object; search: one JSON line per query"},
};
static const struct faiss_options defaults = {.k = 10};

static const struct cli_verb verbs[] = {
    {"info", "URL", "print what a FAISS file is, and what opening it reads", 1, 1, cli_faiss_info},
    {"search", "URL --queries FILE | --text WORDS", "find the neighbours of vectors, or of words", 1, 1,
     cli_faiss_search},
    {"build", "URL --vectors FILE", "make an IVF file of vectors", 1, 1, cli_faiss_build},
    {"calibrate", "URL --queries FILE", "measure recall by nprobe with queries of yours", 1, 1,
     cli_faiss_calibrate},
    {"attach", "NAMESPACE URL --rows FILE.jsonl", "search the file's vectors with texts, attributes and filters",
     2, 2, cli_faiss_attach},
};

const struct cli_command cli_faiss_command = {
    .name = "faiss",
    .summary = "show, search, build or calibrate FAISS files, or attach one to a namespace",
    .details =
        "URL is a path, file://, s3://, gs://, az:// or http(s)://. A search reads the file's head and the\n"
        "lists that it scans; of a flat file, which has no lists, all vectors. With --merge-gap none each\n"
        "list is one request. `search --json` prints {\"ids\": […], \"distances\": […], \"rounds\": …,\n"
        "\"requests\": …, \"bytes\": …, \"ms\": …} for each query; when fewer than N are found, the last\n"
        "ids are -1.\n"
        "\n"
        "`build` makes a file that stock FAISS opens, whole or not at all, from any number of vectors. It\n"
        "also measures the recall of each nprobe, and writes it to URL.recall.json for `search --recall`.\n"
        "`calibrate` does that for an existing file; it compares with a search of all lists.\n"
        "\n"
        "`attach` puts the rows into NAMESPACE, without vectors, and notes there that the file has them: row\n"
        "7 belongs to the vector with id 7. Searches of the namespace then read the file where it lies, if\n"
        "--allow-index-url permits its URL. After the file has been replaced they fail, until it is\n"
        "attached again.\n",
    .example = "  dipper faiss search s3://my-bucket/texts.ivf --text \"how do I bake a loaf\"\n",
    .settings = CONFIG_GROUP_MODEL | CONFIG_GROUP_STORE,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .defaults = &defaults,
    .options_size = sizeof defaults,
    .verbs = verbs,
    .verb_count = sizeof verbs / sizeof *verbs,
};
