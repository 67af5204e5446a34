/* cli/linked_model.h: joins the settings and the model inside the program, for functions that open models. */
#ifndef CLI_LINKED_MODEL_H
#define CLI_LINKED_MODEL_H

#include "embed/embedded_model.h"
#include "service/open.h"

static inline struct open_inputs program_inputs(const struct config *config)
{
    return (struct open_inputs){config, embedded_model_bytes()};
}

#endif
