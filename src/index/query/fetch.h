/* index/query/fetch.h: reads vectors and documents of segment rows, in rounds. */
#ifndef INDEX_FETCH_H
#define INDEX_FETCH_H

#include "index/query/snapshot.h"
#include "index/round.h"

/* Asks the round for `count` vectors of a segment from number `first` on. Returns the handle. */
size_t fetch_ask_vectors(struct round *round, const struct segment *segment, uint64_t first, uint64_t count);
/* Asks the round for a run of documents. Returns the handle. */
size_t fetch_ask_run(struct round *round, const struct segment *segment, const struct document_run *run);
/* Judges the answer for a handle of fetch_ask_vectors() or fetch_ask_run(). Fails with DP_STALE when the object is
 * gone. */
enum dp_status fetch_check(struct round *round, const struct segment *segment, size_t handle);

/* Returns the floats of vector number i of those that were read, float[dim] without alignment. */
static inline struct span fetch_floats(const struct segment *segment, struct span vectors, uint64_t i)
{
    return span_of(vectors.data + i * segment_vector_len(segment->hot.dim), (size_t)segment->hot.dim * 4);
}
/* Verifies the checksums of `count` vectors from number `first` on. Fails with DP_CORRUPT. */
enum dp_status fetch_verify_vectors(struct call *call, const struct segment *segment, struct span vectors,
                                    uint64_t first, uint64_t count);

/* ---- whole rows ---------------------------------------------------------------------------------------- */

enum fetch_parts { FETCH_DOCUMENTS = 1, FETCH_VECTORS = 2 };

/* A row of a segment. */
struct fetch_place {
    uint32_t segment; /* position in the snapshot */
    uint32_t row;
};

/* A row as it was read. All is valid until the function that gets it returns. */
struct fetched_row {
    struct span key, document;     /* with FETCH_DOCUMENTS */
    const struct segment *segment; /* with FETCH_VECTORS: `vectors` holds fetch_floats() 0 to windows - 1 */
    struct span vectors;
    uint32_t windows; /* 0: the row has no vector */
};

/* Receives the row at places[i]. */
typedef enum dp_status fetched_fn(void *context, size_t i, const struct fetched_row *row);

/* Compares by segment and row, for qsort. */
int fetch_compare_places(const void *a, const void *b);
/* Reads places[count], which are ascending by segment and row, and calls `take` for each, in order. `parts`: enum
 * fetch_parts. Reads in rounds of at most round_bytes (0: ROUND_BYTES_MAX). Fails with DP_STALE when an object is
 * gone, with DP_CORRUPT, or as `take` does. */
enum dp_status fetch_rows(struct call *call, struct store *store, uint64_t round_bytes, const struct snapshot *s,
                          const struct fetch_place *places, size_t count, unsigned parts, fetched_fn *take,
                          void *context);

#endif
