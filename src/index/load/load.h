/* index/load/load.h: the state of a load, which brings rows into a namespace.
 *
 * load.c begins, aborts and frees a load, rows.c accepts rows, build.c makes segments of the rows, and commit.c
 * makes the segments visible: by a swap of the manifest or, where the namespace has a log, by an entry of the log
 * (by_log.c).
 */
#ifndef INDEX_LOAD_H
#define INDEX_LOAD_H

#include "base/map.h"
#include "index/load/object_log.h"
#include "index/load/target.h"
#include "index/manifest/swap.h"
#include "os/spill.h"

/* A row that the load has accepted and no segment holds yet. */
struct waiting_row {
    uint64_t vector;   /* number of its first vector in waiting_rows.vectors */
    uint64_t document; /* first byte of its document in waiting_rows.documents */
    uint32_t windows;  /* vectors of the row; 0 only for rows of load_take_row() */
    uint32_t document_len;
};

/* The rows of the next segment. */
struct waiting_rows {
    struct waiting_row *rows; /* [count]; their id keys are the last `count` of index_loader.keys */
    size_t count, room;
    uint64_t vector_count;
    uint64_t window_rows;   /* rows with more than one vector */
    uint64_t key_bytes;     /* of all id keys */
    size_t key_longest;     /* bytes of the longest one */
    struct spill vectors;   /* float[vector_count][dim] */
    struct spill documents; /* documents, one after another */
};

/* A load from index_load_begin() until it is committed or aborted. It has one owner thread. */
struct index_loader {
    struct store *store;
    struct team *team;    /* or NULL */
    struct arena arena;   /* names, id keys and the log's entries; lives as long as the load */
    struct arena scratch; /* memory for one row, while the load accepts it */
    struct load_target target;
    struct schema schema;         /* attributes of this load's rows */
    const struct schema *indexed; /* its full-text attributes get a text index; by default `schema` */
    struct span declared;         /* the attribute of index_load_declare(); empty: none */
    struct span declared_options;
    struct object_log log;

    struct map seen;   /* id keys of all rows */
    struct span *keys; /* [key_count]: id keys of all rows in order of arrival */
    size_t key_count, key_room;
    uint64_t windows; /* vectors of the whole load beyond the first of each row */
    bool broken;      /* the load holds half of a row, so it must not commit */
    bool vectorless;  /* rows may come without a vector */

    struct waiting_rows waiting;
    size_t segment_rows; /* maximum rows per segment */
    struct {
        bool read_only;
        struct index_external external;
    } begins;            /* what a namespace that an import makes begins with */
    uint64_t hot_bytes;  /* of a hot part, by the estimate of load/rows.c; beyond them a segment is full */
    bool coarse;         /* the segments get few lists: they are merged soon */
    bool quick;          /* clusters with kmeans_cluster(), as folds and merges do */
    size_t sample_bytes; /* memory of the sample of kmeans_cluster(); 0: as it likes */
    bool leaves_fold;    /* after its log entry it leaves the fold to others */
    struct manifest_segment *segments; /* segments that are built, but not committed */
    size_t segment_count, segment_room;

    const struct index_clock *clock;
};

/* Begins a load like index_load_begin(), by this clock. */
enum dp_status load_begin(struct call *call, struct store *store, struct span name,
                          const struct index_vectors *vectors, struct team *team, const struct index_clock *clock,
                          struct index_loader **out);
/* Makes a loader of a namespace, whose target still lacks everything that a manifest tells. */
enum dp_status loader_new(struct call *call, struct store *store, struct span name,
                          const struct index_vectors *vectors, struct team *team, const struct index_clock *clock,
                          struct index_loader **out);
/* Takes in a row that the namespace already has: its vectors are float[windows][dim] as a segment stores them, and
 * its document is known to the schema. The caller gives each id key once. After a failure the caller aborts the
 * load. */
enum dp_status load_take_row(struct call *call, struct index_loader *loader, struct span key, const float *vectors,
                             size_t windows, struct span document);
/* Builds one segment from the waiting rows, adds it to loader->segments and forgets the rows. */
enum dp_status load_build_segment(struct call *call, struct index_loader *loader);
/* Frees the loader. The objects that it wrote stay in the store. */
void loader_free(struct index_loader *loader);

#endif
