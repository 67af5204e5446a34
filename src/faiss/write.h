/* faiss/write.h: writing an inverted file that stock FAISS opens (IndexIVFFlat, IndexIVFScalarQuantizer QT_8bit;
 * flat quantizer; array lists).
 *
 * The writer streams the file to a sink: first the head (all bytes before the data of the lists), then the lists in
 * order. docs/internals/faiss.md describes the bytes.
 */
#ifndef FAISS_WRITE_H
#define FAISS_WRITE_H

#include "os/call.h"
#include "vector/ivf_scan.h"

/* Takes the bytes of a file, in order. */
struct faiss_sink {
    enum dp_status (*write)(struct call *call, void *ctx, struct span bytes);
    void *ctx;
};

/* The file to write. Its arrays must live until faiss_ivf_write_end. */
struct faiss_ivf_spec {
    struct ivf_codec codec;
    size_t nlist;
    size_t nprobe;              /* the file's default for searches; 0: about one list in 16, at least 1 */
    const float *centroids;     /* float[nlist][dim] */
    const uint64_t *list_sizes; /* [nlist]: vectors in each list */
};

/* Bytes before the list data; 0 when they overflow 64 bits. */
uint64_t faiss_ivf_head_bytes(const struct faiss_ivf_spec *spec);
/* Bytes of the whole file; 0 when they overflow 64 bits. */
uint64_t faiss_ivf_file_bytes(const struct faiss_ivf_spec *spec);

/* One owner thread. */
struct faiss_ivf_writer {
    const struct faiss_ivf_spec *spec;
    struct faiss_sink sink;
    size_t next_list;
    uint64_t head_bytes;
    uint64_t written;
};

/* Writes the head. DP_INVALID for an impossible spec; else the sink's status. */
enum dp_status faiss_ivf_write_begin(struct call *call, struct faiss_ivf_writer *writer,
                                     const struct faiss_ivf_spec *spec, struct faiss_sink sink);
/* Writes the next list; an empty one has empty spans. codes: size * code_size bytes; ids: `size` little-endian
 * int64. DP_INVALID when their lengths contradict the spec. */
enum dp_status faiss_ivf_write_list(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                    struct span ids);
/* Writes the next list with ids first_id, first_id + 1, … */
enum dp_status faiss_ivf_write_list_from(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                         int64_t first_id);
/* Checks that every list has been written. */
enum dp_status faiss_ivf_write_end(struct call *call, struct faiss_ivf_writer *writer);

#endif
