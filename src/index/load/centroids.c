/* centroids.c: puts the head of a segment's .ivf into the hot part of its .dpr. */
#include "index/load/centroids.h"

#include "index/segment/ivf_head.h"

enum dp_status load_write_centroids(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    struct buffer bytes;
    if (!b->ivf)
        return DP_OK;
    const struct faiss_ivf_spec spec = load_ivf_spec(b);
    size_t left = segment_hot_left(w, (uint32_t)spec.nlist);
    size_t max = left < SEGMENT_CENTROIDS_MAX ? left : SEGMENT_CENTROIDS_MAX;
    buffer_init(&bytes, max);
    enum dp_status status = ivf_head_pack(call, &spec, &b->ivf->centroid_codes, &bytes);
    if (status == DP_TOO_LARGE) { /* readers of this segment read the .ivf */
        dp_error_clear(&call->error);
        status = DP_OK;
    } else if (status == DP_OK)
        status = segment_add_section(call, w, SECTION_CENTROIDS, buffer_span(&bytes));
    buffer_deinit(&bytes);
    return status;
}
