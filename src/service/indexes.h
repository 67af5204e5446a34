/* service/indexes.h: the FAISS files that clients have opened where they lie, each under a name that its client
 * chose.
 *
 * The service keeps names and URLs in memory only: a restart forgets them, and no secret of a presigned URL
 * reaches the disk. Descriptions show a URL without its secrets. All files share transports and one cache.
 *
 * A call borrows an index and gives it back. If the index was removed meanwhile, the last call that gives it
 * back closes it (service/slots.h).
 */
#ifndef SERVICE_INDEXES_H
#define SERVICE_INDEXES_H

#include "faiss/faiss_index.h"
#include "faiss/head_memory.h"
#include "faiss/recall.h"
#include "service/service.h"
#include "service/slots.h"
#include "service/store_settings.h"
#include "service/url_rules.h"

enum {
    INDEXES_MAX = 64,                /* maximum of open indexes, unless the options set another */
    INDEX_SEARCH_QUERIES_MAX = 1024, /* maximum of queries in one request */
    INDEX_SEARCH_HITS_MAX = 1 << 20, /* maximum of queries times k */
    INDEX_SEARCH_IDS_MAX = 1 << 20,  /* maximum of ids to keep, and of ids to skip */
};

struct indexes_options {
    struct span allow_urls; /* rules as in service/url_rules.h */
    size_t max;             /* maximum of open indexes; 0: INDEXES_MAX */
    uint64_t memory_max;    /* maximum bytes of all heads together; 0: no limit */
    /* How to read remote files, without the settings of schemes. Without a cache each search reads from the
     * store again. */
    struct store_options store;
    /* Settings of schemes, copied except for their texts, which must outlive the service. NULL: none are set. */
    const struct scheme_settings *schemes;
};

struct open_index; /* indexes.c */

/* The open indexes of a service. */
struct indexes {
    struct slots slots;
    struct faiss_head_memory memory; /* any thread may use it without the lock */
    /* Not changed after indexes_init. */
    struct url_rules *rules;
    struct store_options store;
    struct scheme_settings schemes;
    struct transport *any, *public_only;
};

/* options: may be NULL. Call indexes_deinit even after a failure. */
enum dp_status indexes_init(struct indexes *x, const struct indexes_options *options, struct dp_error *error);
void indexes_deinit(struct indexes *x); /* no index may be borrowed */

/* Opens the file at a URL that the rules permit, without a name. DP_DENIED: they do not; else as
 * service_index_open(). */
enum dp_status indexes_open_url(struct call *call, struct indexes *x, struct span url, struct faiss_index **out);

/* ---- what clients ask for -------------------------------------------------------------------------------- */

struct index_source {
    struct span name; /* must pass index_check_name */
    struct span url;
    uint64_t cluster_data_offset, n_clusters; /* 0: not known */
    struct span recall_table;                 /* URL of its recall table; len 0: beside the file */
};

/* The facts about an open index that clients may know. Spans and texts live in the call's arena. */
struct index_description {
    struct span name;
    const char *url; /* without userinfo, and with "?…" in place of its query */
    char kind[5];    /* FAISS's fourcc of the inverted file */
    const char *codes;
    size_t dim;
    enum vector_metric metric;
    uint64_t vectors, in_no_list; /* in_no_list: vectors that no search finds */
    uint64_t nlist, nprobe;       /* nprobe: the file's default */
    bool id_map;
    size_t transforms;
    bool refined;   /* the file has a flat part, for exact re-ranking */
    float k_factor; /* if refined: the file's default */
    uint64_t file_bytes, cluster_data_offset, memory_bytes;
    uint64_t open_rounds, open_requests, open_bytes;
    double open_ms;
};

/* Opens a file under a name. DP_DENIED: the URL is not permitted; DP_EXISTS: the name is taken; DP_CONFLICT:
 * the limit of open indexes is reached; DP_TOO_LARGE: the head does not fit the memory for heads, or the file
 * is flat and each search would read more than FLAT_BYTES_MAX; DP_INVALID; or as faiss_index_open_url. */
enum dp_status service_index_open(struct call *call, struct service *service, const struct index_source *source,
                                  struct index_description *out);
/* Describes an open index. DP_NOT_FOUND. */
enum dp_status service_index_describe(struct call *call, struct service *service, struct span name,
                                      struct index_description *out);
/* Lists the open indexes whose names begin with `prefix`, sorted by name. */
enum dp_status service_index_list(struct call *call, struct service *service, struct span prefix,
                                  struct index_description **out, size_t *count);
/* Closes an index. Searches in progress still get their answers. DP_NOT_FOUND. */
enum dp_status service_index_close(struct call *call, struct service *service, struct span name);

struct index_search {
    struct span name;
    const float *vectors; /* float[count][dim]; NULL: the service embeds `texts` */
    const struct embed_input *texts;
    struct span model; /* the name of the model that embeds `texts`; empty: the default one */
    size_t count;      /* 1..INDEX_SEARCH_QUERIES_MAX */
    size_t dim;
    size_t k;      /* count * k: at most INDEX_SEARCH_HITS_MAX */
    size_t nprobe; /* 0: as `recall` needs, or the file's default */
    /* Candidates for each neighbour, at least 1; 0: the file's. Only for a file with a flat part. */
    float k_factor;
    /* Above 0, at most 1: probes as few lists as reached this recall in the recall table; 0: not wanted. */
    double recall;
    const int64_t *keep; /* finds only these ids; NULL: all */
    size_t keep_count;
    const int64_t *skip; /* never finds these ids */
    size_t skip_count;
};

struct index_hits {
    const int64_t *ids;                    /* int64[count][k]; -1 where fewer were found */
    const float *distances;                /* float[count][k] */
    const struct faiss_search_cost *costs; /* [count] */
};

/* Searches an open index. DP_NOT_FOUND: no such index; DP_INVALID says what is wrong with the search;
 * DP_UNSUPPORTED: texts without a model; DP_CONFLICT: the file has changed since it was opened; or as
 * store_read. */
enum dp_status service_index_search(struct call *call, struct service *service, const struct index_search *search,
                                    struct index_hits *out);

#endif
