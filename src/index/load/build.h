/* index/load/build.h: a segment that a load builds, for build.c and for the files that write its optional sections.
 *
 * load_write_sections() (sections.h) calls these files, one after another, when the rows have their numbers and the
 * vectors, documents and ids are written. Each appends what it makes with segment_write_piece() and
 * segment_add_section(). These files may read all fields but ivf_writer, and change none.
 */
#ifndef INDEX_LOAD_BUILD_H
#define INDEX_LOAD_BUILD_H

#include "faiss/write.h"
#include "index/load/load.h"
#include "index/segment/write.h"
#include "vector/ivf_build.h"

/* A segment that load_build_segment() is building. It frees the arrays at its end. */
struct segment_build {
    struct index_loader *loader;
    struct ulid id;
    bool scales;             /* for cosine: the .ivf codes each vector of `clustered` as if it had length 1 */
    const float *x;          /* float[vector_count][dim]: the vectors as the rows brought them */
    const float *clustered;  /* `x`; or, for cosine without `scales`, its vectors scaled to length 1 */
    struct spill directions; /* holds `clustered` where it differs from `x` */
    struct span documents;
    const struct span *keys; /* [waiting.count]: id keys of the waiting rows */
    struct ivf_build *ivf;
    uint32_t *row_of;     /* [waiting.vector_count]: the waiting row of each vector */
    uint32_t *order;      /* [waiting.count]: the waiting row of each row number */
    uint32_t *number;     /* [waiting.count]: the row number of each waiting row */
    uint32_t *list_rows;  /* [nlist]: rows that each list owns */
    uint64_t *list_sizes; /* [nlist]: vectors of each list */
    struct object_key ivf_key, dpr_key;
    float *windows; /* float[..][dim] of scratch: the vectors of one row */
    size_t windows_room;

    /* The thread that writes the .ivf owns these fields until end_ivf(). It only reads the fields above, and no
     * thread changes them meanwhile. */
    struct {
        struct call call;
        struct arena arena;
        float *residual;          /* float[2][dim] of scratch */
        uint64_t *list_checksums; /* [nlist] */
        struct segment_lists lists;
        enum dp_status status; /* result of write_ivf() */
        pthread_t thread;
        bool started;
    } ivf_writer;
};

/* Describes the .ivf. The segment must have vectors. */
struct faiss_ivf_spec load_ivf_spec(const struct segment_build *b);

#endif
