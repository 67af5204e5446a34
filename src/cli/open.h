/* cli/open.h: what the commands open alike: the model, the root, the service. */
#ifndef CLI_OPEN_H
#define CLI_OPEN_H

#include "config/config.h"
#include "embed/model.h"
#include "faiss/faiss_index.h"
#include "service/service.h"

enum { OPEN_MODEL = 1, OPEN_STORE = 2, OPEN_CREATE = 4, OPEN_SERVER = 8 };

/* The model that the settings name, or else the one linked into this program. DP_NOT_FOUND says which
 * command gets one. */
enum dp_status open_model(const struct config *config, struct model **out, struct dp_error *error);
/* The same in a precision: only a folder has the weights for fp32. */
enum dp_status open_model_as(const struct config *config, enum model_precision precision, struct model **out,
                             struct dp_error *error);

/* A service over the model (OPEN_MODEL) and the root (OPEN_STORE; made when missing with OPEN_CREATE), held to
 * the limits of clients' requests, with the embedding cache and with what clients may have opened with OPEN_SERVER. The
 * settings must outlive it. */
enum dp_status open_service(const struct config *config, unsigned what, struct service **out,
                            struct dp_error *error);

/* The FAISS file at a URL, with the settings' ways of reading remote objects. */
enum dp_status open_faiss(struct call *call, const struct config *config, struct span url,
                          struct faiss_index **out);

/* The nprobe with which the FAISS file at `url` reached a recall, by the table at table_url (NULL: beside it). Left as it is
 * for a flat index, whose recall is 1. */
enum dp_status open_nprobe(struct call *call, const struct config *config, const char *url, const char *table_url,
                           const struct faiss_index *index, double recall, size_t *nprobe);

#endif
