/* cli/faiss.h: the verbs of `dipper faiss`, each in its own file, and the options that they share. */
#ifndef CLI_FAISS_H
#define CLI_FAISS_H

#include "cli/args.h"
#include "vector/vector_file.h"

/* The options of all verbs. A text is NULL if the user did not give it. */
struct faiss_options {
    bool json;
    /* search, calibrate */
    const char *queries;      /* a file of vectors */
    const char *recall_table; /* URL of the recall table; NULL: beside the file */
    /* search */
    const char *text; /* words to embed */
    uint64_t k;
    const char *nprobe;   /* "auto", or a number */
    const char *recall;   /* a number: the recall to reach */
    const char *k_factor; /* a number, for a file with a flat part */
    bool scan_all;        /* read all of a flat file of any size */
    /* build */
    const char *vectors; /* a file of vectors */
    const char *ids;     /* a .npy; NULL: 0, 1, … */
    const char *nlist;   /* "auto", or a number; NULL: auto */
    const char *kind;    /* "flat", "sq8"; NULL: sq8 */
    const char *metric;  /* "l2", "inner_product" or "ip", "cosine"; NULL: l2 */
    uint64_t seed, memory_mb;
    bool no_recall;
    /* attach */
    const char *rows;     /* a JSON-lines file; NULL: the namespace has its rows */
    const char *language; /* of "text"; NULL: English */
};

/* Prints a description of the file at the URL, and the cost of opening it. */
int cli_faiss_info(const struct cli_args *args);
/* Prints the neighbours of each query as soon as they are found. */
int cli_faiss_search(const struct cli_args *args);
/* Builds a FAISS file at the URL from a file of vectors. Prints progress to standard error. */
int cli_faiss_build(const struct cli_args *args);
/* Measures the recall of each nprobe in an existing file, and writes the table beside it. */
int cli_faiss_calibrate(const struct cli_args *args);
/* Joins the vectors of a FAISS file to the rows of a namespace, and prints how many fit. */
int cli_faiss_attach(const struct cli_args *args);

/* Reads a whole file of vectors. The caller frees it with vector_file_deinit. */
enum dp_status cli_faiss_vectors(const char *path, struct vector_file *out, struct dp_error *error);

#endif
