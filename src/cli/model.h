/* cli/model.h: the verbs `check` and `list` of `dipper model`. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"

struct model_check_options {
    const char *file;    /* a file with one text on each line; "-": standard input */
    const char *against; /* a model folder with fp32 weights; NULL: the folder of the settings */
    double least;        /* minimum cosine; -1: any */
    bool json;
};

/* Compares the model of the settings with the native engine in fp32, text by text, and prints how the cosines are
 * distributed. Sets *passed to whether all cosines reach `least`. */
enum dp_status model_check(const struct config *config, const struct model_check_options *options, bool *passed,
                           struct dp_error *error);

/* Prints the model in the program, the model of the settings, and the models in `folder` (NULL: "models", if it
 * exists) and in the offline hub cache, each with the engines that can run it. */
enum dp_status model_list(const struct config *config, const char *folder, bool json, struct dp_error *error);

#endif
