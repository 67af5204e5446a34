/* cli/faiss.h: the two verbs of `dipper faiss`, a file each. */
#ifndef CLI_FAISS_H
#define CLI_FAISS_H

#include "base/error.h"
#include "config/config.h"

/* Prints what the file at `url` is, and what opening it read. */
enum dp_status faiss_info(const struct config *config, const char *url, bool json, struct dp_error *error);

struct faiss_search_options {
    const char *url;
    const char *queries; /* a file of vectors, or NULL */
    const char *text;    /* words to embed, or NULL */
    uint64_t k, nprobe;  /* nprobe 0: the file's default */
    bool json;
};

/* Prints the nearest of each query, as it comes. */
enum dp_status faiss_search(const struct config *config, const struct faiss_search_options *options,
                            struct dp_error *error);

#endif
