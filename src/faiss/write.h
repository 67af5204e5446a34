/* faiss/write.h: writing an inverted file that stock FAISS opens (IndexIVFFlat, IndexIVFScalarQuantizer
 * QT_8bit; flat quantizer; array lists).
 *
 * The file is streamed to a sink: first the head (all before the list data), then the lists in order. Bytes:
 * docs/internals/faiss.md.
 */
#ifndef FAISS_WRITE_H
#define FAISS_WRITE_H

#include "os/call.h"
#include "vector/ivf_scan.h"

/* Where the bytes go, in order. */
struct faiss_sink {
    enum dp_status (*write)(struct call *call, void *ctx, struct span bytes);
    void *ctx;
};

/* What is to be written. The pointers are needed until faiss_ivf_write_end. */
struct faiss_ivf_spec {
    struct ivf_codec codec;
    size_t nlist;
    size_t nprobe;              /* the file's default for searches; 0: about one list in 16, at least 1 */
    const float *centroids;     /* float[nlist][dim] */
    const uint64_t *list_sizes; /* [nlist]: vectors in each list */
};

/* Bytes before the list data, and bytes of the whole file. 0 when the spec is too large for 64 bits. */
uint64_t faiss_ivf_head_bytes(const struct faiss_ivf_spec *spec);
uint64_t faiss_ivf_file_bytes(const struct faiss_ivf_spec *spec);

/* A writer: one owner thread. */
struct faiss_ivf_writer {
    const struct faiss_ivf_spec *spec;
    struct faiss_sink sink;
    size_t next_list;
    uint64_t head_bytes;
    uint64_t written;
};

/* Writes the head. DP_INVALID for an impossible spec; else what the sink answers. */
enum dp_status faiss_ivf_write_begin(struct call *call, struct faiss_ivf_writer *writer,
                                     const struct faiss_ivf_spec *spec, struct faiss_sink sink);
/* Writes the next list. codes: its size * code_size bytes; ids: its size little-endian int64. An empty
 * list is written too, with empty spans. DP_INVALID when they are not as long as the spec says. */
enum dp_status faiss_ivf_write_list(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                    struct span ids);
/* The same with ids first_id, first_id + 1, … */
enum dp_status faiss_ivf_write_list_from(struct call *call, struct faiss_ivf_writer *writer, struct span codes,
                                         int64_t first_id);
/* Checks that every list has been written. */
enum dp_status faiss_ivf_write_end(struct call *call, struct faiss_ivf_writer *writer);

#endif
