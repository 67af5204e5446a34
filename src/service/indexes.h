/* service/indexes.h: FAISS files that clients have had opened where they lie, by names of their choice.
 *
 * Names and URLs are in memory alone: a restart forgets them, and the secrets of presigned URLs are written nowhere. Of
 * a URL nothing is told again but what is no secret. All files share transports and one cache.
 *
 * An index is borrowed for one call and given back; one that was removed meanwhile is closed by whoever gives it back
 * last. `lock` guards the table and is never held while a file is opened, searched or closed.
 */
#ifndef SERVICE_INDEXES_H
#define SERVICE_INDEXES_H

#include <pthread.h>

#include "faiss/faiss_index.h"
#include "faiss/head_memory.h"
#include "faiss/recall.h"
#include "service/service.h"
#include "service/url_rules.h"
#include "store/s3_settings.h"

enum {
    INDEXES_MAX = 64,                /* open at a time, unless set */
    INDEX_SEARCH_QUERIES_MAX = 1024, /* of one request */
    INDEX_SEARCH_HITS_MAX = 1 << 20, /* its queries times k */
    INDEX_SEARCH_IDS_MAX = 1 << 20,  /* to keep, and to skip */
};

struct indexes_options {
    struct span allow_urls; /* service/url_rules.h */
    size_t max;             /* open at a time; 0: INDEXES_MAX */
    uint64_t memory_max;    /* bytes of all heads together; 0: no limit */
    /* Of remote files: ranges, transport, cache (NULL: each search reads afresh) and S3, whose texts, like the
     * the model's, outlive the service. */
    struct store_options store;
};

struct open_index; /* indexes.c */

struct indexes {
    struct {
        pthread_mutex_t lock;
        struct open_index **slots; /* [max] */
        size_t count;
    } locked;
    bool has_lock;
    struct faiss_head_memory memory; /* atomic */
    /* Not changed after indexes_init. */
    size_t max;
    struct url_rules *rules;
    struct store_options store;
    struct s3_settings s3;
    struct transport *any, *public_only;
};

/* options: may be NULL. On failure indexes_deinit is still to be called. */
enum dp_status indexes_init(struct indexes *x, const struct indexes_options *options, struct dp_error *error);
void indexes_deinit(struct indexes *x); /* nothing may be borrowed */

/* ---- what clients ask for -------------------------------------------------------------------------------- */

struct index_source {
    struct span name; /* [A-Za-z0-9._-]{1,128}, not beginning with '.' or '_' */
    struct span url;
    uint64_t cluster_data_offset, n_clusters; /* when known; 0: not */
    struct span recall_table;                 /* URL of its table of recall; len 0: beside it */
};

/* What is told of an open index. Spans and texts live in the call's arena. */
struct index_description {
    struct span name;
    const char *url; /* without userinfo, and "?…" for its query */
    char kind[5];    /* FAISS's fourcc of the inverted file */
    const char *codes;
    size_t dim;
    enum vector_metric metric;
    uint64_t vectors, in_no_list; /* in_no_list: of the vectors, those that no search finds */
    uint64_t nlist, nprobe;       /* nprobe: the file's default */
    bool id_map;
    size_t transforms;
    bool refined;   /* it has a flat part */
    float k_factor; /* refined: the file's */
    uint64_t file_bytes, cluster_data_offset, memory_bytes;
    uint64_t open_rounds, open_requests, open_bytes;
    double open_ms;
};

/* Opens a file under a name. DP_TOO_LARGE: a flat file of more than FLAT_BYTES_MAX, all of which each search would read;
 * DP_DENIED: the URL is not permitted; DP_EXISTS: the name is taken; DP_CONFLICT: as many
 * are open as may be; DP_TOO_LARGE: beyond the memory for heads; DP_INVALID; and what opening fails with. */
enum dp_status service_index_open(struct call *call, struct service *service, const struct index_source *source,
                                  struct index_description *out);
/* DP_NOT_FOUND. */
enum dp_status service_index_describe(struct call *call, struct service *service, struct span name,
                                      struct index_description *out);
/* Those that are open and whose names begin with `prefix`, by name. */
enum dp_status service_index_list(struct call *call, struct service *service, struct span prefix,
                                  struct index_description **out, size_t *count);
/* Searches in progress end as if it were there. DP_NOT_FOUND. */
enum dp_status service_index_close(struct call *call, struct service *service, struct span name);

struct index_search {
    struct span name;
    const float *vectors; /* float[count][dim], or NULL: the texts are embedded */
    const struct embed_input *texts;
    size_t count; /* 1..INDEX_SEARCH_QUERIES_MAX */
    size_t dim;
    size_t k;            /* count * k: at most INDEX_SEARCH_HITS_MAX */
    size_t nprobe;       /* 0: the file's default, or what the recall takes */
    float k_factor;      /* of a file with a flat part: candidates for each neighbour, at least 1; 0: the file's */
    double recall;       /* above 0 to 1: as few lists as reached it when they were measured; 0: not asked */
    const int64_t *keep; /* these ids alone; NULL: all */
    size_t keep_count;
    const int64_t *skip; /* none of these */
    size_t skip_count;
};

struct index_hits {
    const int64_t *ids;                    /* int64[count][k]; -1 where fewer were found */
    const float *distances;                /* float[count][k] */
    const struct faiss_search_cost *costs; /* [count] */
};

/* DP_NOT_FOUND: no such index; DP_INVALID: what is wrong with the search; DP_UNSUPPORTED: texts without a model;
 * DP_CONFLICT: the file has changed since it was opened; and what reading fails with. */
enum dp_status service_index_search(struct call *call, struct service *service, const struct index_search *search,
                                    struct index_hits *out);

#endif
