/* cli/faiss.h: the verbs of `dipper faiss`, a file each. */
#ifndef CLI_FAISS_H
#define CLI_FAISS_H

#include "base/error.h"
#include "config/config.h"
#include "vector/vector_file.h"

/* Prints what the file at `url` is, and what opening it read. */
enum dp_status faiss_info(const struct config *config, const char *url, bool json, struct dp_error *error);

struct faiss_search_options {
    const char *url;
    const char *queries;      /* a file of vectors, or NULL */
    const char *text;         /* words to embed, or NULL */
    uint64_t k, nprobe;       /* nprobe 0: the file's default, or what the recall takes */
    double recall;            /* that is to be reached, or 0 */
    const char *recall_table; /* where recall is looked up, or NULL: beside the file */
    float k_factor;           /* of a file with a flat part; 0: as the file says */
    bool scan_all;            /* a flat file of any size */
    bool json;
};

/* The vectors of a file, whole. To be freed by vector_file_deinit. */
enum dp_status faiss_read_vectors(const char *path, struct vector_file *out, struct dp_error *error);

/* Prints the nearest of each query, as it comes. */
enum dp_status faiss_search(const struct config *config, const struct faiss_search_options *options,
                            struct dp_error *error);

struct faiss_make_options {
    const char *url;
    const char *vectors; /* a file of vectors */
    const char *ids;     /* a .npy, or NULL: 0, 1, … */
    const char *nlist;   /* "auto", a number, or NULL: auto */
    const char *kind;    /* "flat", "sq8", or NULL: sq8 */
    const char *metric;  /* "l2", "inner_product" or "ip", "cosine"; NULL: l2 */
    uint64_t seed, memory_mb;
    bool no_recall, json;
};

/* Builds a file of vectors at the URL, and tells how far it is on standard error. DP_INVALID for what options do not
 * say. */
enum dp_status faiss_make(const struct config *config, const struct faiss_make_options *options,
                          struct dp_error *error);

struct faiss_calibrate_options {
    const char *url;
    const char *queries; /* a file of vectors */
    const char *table;   /* where the table goes, or NULL: beside the file */
    bool json;
};

/* Measures recall by nprobe of a file that is there, and puts the table beside it. */
enum dp_status faiss_calibrate(const struct config *config, const struct faiss_calibrate_options *options,
                               struct dp_error *error);

#endif
