/* index/segment/ivf_head.h: the head of the .ivf object in the hot part of the .dpr, as section CENT. So opening a
 * segment reads one object.
 *
 * section := u8 0, the bytes of the head
 *          | u8 4 or 8, f32 least[dim], f32 step[dim], f32 trained[2][dim], u32 vectors[nlist], codes[nlist][dim]
 *
 * The writer takes the shorter form: the first one if there are only one or two lists of many dimensions. The second
 * one has the centroids as vector/centroid_codes.h, the ranges of the codes in the lists (vector/sq8.h), and how many
 * vectors each list has. Its u8 says how many bits a code has; of two codes in a byte, the first is in the lower
 * half. The head follows from all this, byte by byte; LIST has its checksum.
 */
#ifndef INDEX_IVF_HEAD_H
#define INDEX_IVF_HEAD_H

#include "base/buffer.h"
#include "faiss/write.h"
#include "index/segment/segment.h"
#include "vector/centroid_codes.h"

/* Appends the section. spec: the .ivf; centroids: its centroids. */
enum dp_status ivf_head_pack(struct call *call, const struct faiss_ivf_spec *spec,
                             const struct centroid_codes *centroids, struct buffer *out);
/* Appends the head of the .ivf, which has the metric, and verifies its checksum. Fails with DP_CORRUPT if the segment
 * lacks section CENT, too. */
enum dp_status ivf_head_unpack(struct call *call, const struct segment_hot *hot, enum vector_metric metric,
                               struct buffer *out);

#endif
