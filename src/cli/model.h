/* cli/model.h: the parts of `dipper model`. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"

struct model_check_options {
    const char *file;    /* a text a line; "-": standard input */
    const char *against; /* a model folder with fp32 weights; NULL: the folder of the settings */
    double least;        /* the cosine that every text must reach; -1: any */
    bool json;
};

/* Compares the model of the settings with the native engine in fp32, text by text, and prints how the cosines are
 * distributed. *passed: whether all reach `least`. */
enum dp_status model_check(const struct config *config, const struct model_check_options *options, bool *passed,
                           struct dp_error *error);

/* Prints the models there are: in the program, the one of the settings, in the folders of `folder` ("models" when NULL,
 * if it is there), in the offline hub cache; and the engines that they run under. */
enum dp_status model_list(const struct config *config, const char *folder, bool json, struct dp_error *error);

#endif
