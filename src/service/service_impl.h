/* service/service_impl.h: the inside of a service, shared by the files of this room. */
#ifndef SERVICE_IMPL_H
#define SERVICE_IMPL_H

#include "embed/batch.h"
#include "embed/model.h"
#include "embed/redis_cache.h"
#include "embed/tokenizer.h"
#include "service/indexes.h"
#include "service/known_names.h"
#include "service/readers.h"
#include "service/service.h"

enum { SERVICE_SPECIAL_MAX = 8 };

/* Nothing changes after service_new but the readers and the indexes (locks of their own) and the metrics (atomics). */
struct service {
    struct model *model;
    bool model_is_borrowed, team_is_borrowed;
    struct embedder *embedder;
    const struct tokenizer *tokenizer;
    struct service_model facts; /* of the model */
    struct span *aliases;       /* with their bytes behind the array */
    size_t alias_count;
    /* The special tokens that frame a text: those before it, then those behind it. */
    int32_t special[SERVICE_SPECIAL_MAX];
    size_t special_before, special_count;
    size_t batch_max;
    bool token_input;               /* clients may send token ids */
    struct vector_cache *cache;     /* NULL: none */
    struct redis_cache *redis;      /* its second tier; NULL: none */
    struct sha256_state model_keys; /* what its keys begin with */
    struct team *team;
    struct store *store;
    struct readers readers;
    struct known_names known_names;
    struct indexes indexes;
    struct metric_registry metrics;
    struct {
        struct metric *texts, *tokens, *truncated, *text_tokens, *embed_seconds;
        struct metric *l1_hits, *l2_hits, *misses, *waits;
        struct metric *queries, *query_errors, *query_seconds, *rounds, *requests, *bytes;
        struct metric *searches, *search_errors, *search_seconds;
    } count;
};

enum dp_status service_need_model(struct call *call, const struct service *service);
enum dp_status service_need_store(struct call *call, const struct service *service);

#endif
