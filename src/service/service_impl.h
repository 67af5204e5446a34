/* service/service_impl.h: the private struct of a service, for the files of this room. */
#ifndef SERVICE_IMPL_H
#define SERVICE_IMPL_H

#include "embed/redis_cache.h"
#include "service/external.h"
#include "service/indexes.h"
#include "service/known_names.h"
#include "service/large_writes.h"
#include "service/readers.h"
#include "service/models.h"
#include "service/served_model.h"
#include "service/service.h"

struct service_counts {
    struct metric *texts, *tokens, *truncated, *text_tokens, *embed_seconds;
    struct metric *l1_hits, *l2_hits, *misses, *waits;
    struct metric *queries, *query_errors, *query_seconds, *rounds, *requests, *bytes;
    struct metric *writes, *write_errors, *write_seconds, *written_rows;
    struct metric *searches, *search_errors, *search_seconds;
};

struct service {
    /* Not changed after service_new. The objects behind the pointers have locks or atomics inside. */
    size_t batch_max;
    bool token_input;           /* clients may send token ids */
    struct vector_cache *cache; /* NULL: none */
    struct redis_cache *redis;  /* the second tier of `cache`; NULL: none */
    struct team *team;
    bool team_is_borrowed;
    struct store *store; /* NULL: no namespaces */
    struct service_counts counts;
    struct metric_registry metrics;
    /* Each has its own lock. */
    struct models models;
    struct readers readers;
    struct known_names known_names;
    struct large_writes large_writes;
    struct indexes indexes;
    struct slots external_files;
    struct upkeep *upkeep; /* NULL: none */
};

enum dp_status service_need_store(struct call *call, const struct service *service);

/* Does what service_embed does, with a model that the caller holds. In embed.c. */
enum dp_status service_embed_by(struct call *call, struct service *s, struct served_model *m,
                                const struct embed_request *request, struct embed_response *response);

#endif
