/* service/open.h: opens a model, a service over a root, a FAISS file and its recall table, as the settings say.
 *
 * The program's commands and the library use it. The library contains no model. A program that contains one
 * passes the model's bytes.
 */
#ifndef SERVICE_OPEN_H
#define SERVICE_OPEN_H

#include "config/config.h"
#include "embed/model.h"
#include "faiss/faiss_index.h"
#include "service/service.h"

struct open_inputs {
    const struct config *config; /* must outlive the opened model, service or file */
    struct span linked_model;    /* the packed model inside the program; empty: there is none */
};

/* Opens the model that the settings name, or else the linked one. Only a model folder has weights for fp32.
 * DP_NOT_FOUND says which command gets a model. */
enum dp_status open_model(struct open_inputs in, enum model_precision precision, struct model **out,
                          struct dp_error *error);

enum {
    OPEN_MODEL = 1,
    OPEN_STORE = 2,
    OPEN_CREATE = 4,  /* with OPEN_STORE: creates a missing root */
    OPEN_UPKEEP = 16, /* with OPEN_STORE: looks after all namespaces of the root in the background */
    OPEN_SERVER = 8,  /* adds limits for clients, the embedding cache, and FAISS files that clients open */
};

/* Opens a service with the parts that `what` names (OPEN_… flags). */
enum dp_status open_service(struct open_inputs in, unsigned what, struct service **out, struct dp_error *error);

/* Opens a root beside that of a service, with the same settings, and creates a missing folder. */
enum dp_status open_other_root(struct call *call, const struct config *config, struct span url,
                               struct store **out);

/* Opens the FAISS file at a URL. */
enum dp_status open_faiss(struct call *call, const struct config *config, struct span url,
                          struct faiss_index **out);

/* Sets *nprobe to the smallest nprobe with which the FAISS file at `url` reached `recall`, as measured in the
 * table at table_url (NULL: the table beside the file). For a flat index *nprobe stays as it is, because its
 * recall is always 1. */
enum dp_status open_nprobe(struct call *call, const struct config *config, const char *url, const char *table_url,
                           const struct faiss_index *index, double recall, size_t *nprobe);

#endif
