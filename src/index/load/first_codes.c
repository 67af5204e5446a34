/* first_codes.c: codes a segment's vectors by one bit for each dimension, list by list.
 *
 * A list begins with the first vectors of the rows that it owns, in the order of the rows' numbers, so a reader knows
 * their rows. Then come the vectors of the rows' other windows.
 */
#include "index/load/first_codes.h"

#include <string.h>

#include "base/alloc.h"
#include "vector/first_stage.h"

enum { LIST_BYTES_MAX = INT32_MAX };

/* Writes the vectors of one segment. */
struct first_coder {
    const struct segment_build *b;
    struct first_stage stage;
    float *scratch, *copy;
    struct buffer bytes;
};

/* Returns vector number `vector` as the .ivf codes it, or NULL after a failure. */
static const float *coded_vector(struct call *call, struct first_coder *c, uint32_t vector)
{
    const struct segment_build *b = c->b;
    const struct spill *from = b->clustered == b->x ? &b->loader->waiting.vectors : &b->directions;
    size_t dim = c->stage.dim;
    if (spill_in_memory(from) && !b->scales)
        return b->clustered + (size_t)vector * dim;
    uint64_t at = (uint64_t)vector * dim * sizeof(float);
    if (spill_read(from, at, dim * sizeof(float), c->copy, &call->error) != DP_OK)
        return NULL;
    if (b->scales)
        vector_normalize(c->copy, dim);
    return c->copy;
}

/* Returns whether the vector is the first one of its row. */
static bool is_first(const struct segment_build *b, uint32_t vector)
{
    return b->loader->waiting.rows[b->row_of[vector]].vector == vector;
}

static enum dp_status code_list(struct call *call, struct first_coder *c, size_t list,
                                const struct first_list *shape, uint8_t *to)
{
    const struct segment_build *b = c->b;
    const struct ivf_build *ivf = b->ivf;
    const float *centroid = ivf->centroids + list * c->stage.dim;
    size_t own = 0, other = shape->own;
    first_stage_enter(&c->stage, centroid, c->scratch);
    for (size_t p = ivf->list_begin[list]; p < ivf->list_begin[list + 1]; p++) {
        uint32_t vector = ivf->rows[p];
        const float *x = coded_vector(call, c, vector);
        if (!x)
            return call->error.status;
        first_stage_encode(&c->stage, shape, is_first(b, vector) ? own++ : other++, x, centroid,
                           b->number[b->row_of[vector]], c->scratch, to);
    }
    return DP_OK;
}

static enum dp_status write_list(struct call *call, struct first_coder *c, size_t list, struct segment_writer *w)
{
    const struct ivf_build *ivf = c->b->ivf;
    struct first_list shape = {.count = ivf_build_list_count(ivf, list)};
    for (size_t p = ivf->list_begin[list]; p < ivf->list_begin[list + 1]; p++)
        shape.own += is_first(c->b, ivf->rows[p]);
    size_t len = first_stage_len(&c->stage, &shape);
    enum dp_status status = call_check(call);
    if (status != DP_OK || shape.count == 0)
        return status;
    buffer_clear(&c->bytes);
    uint8_t *to = buffer_reserve(&c->bytes, len);
    if (!to)
        return buffer_check(&c->bytes, "first-stage codes", &call->error);
    memset(to, 0, len);
    c->bytes.len = len;
    status = code_list(call, c, list, &shape, to);
    if (status != DP_OK)
        return status;
    buffer_u64(&c->bytes, segment_piece_checksum(buffer_span(&c->bytes), list));
    status = buffer_check(&c->bytes, "first-stage codes", &call->error);
    return status == DP_OK ? segment_write_piece(call, w, SECTION_FIRST_CODES, buffer_span(&c->bytes)) : status;
}

enum dp_status load_write_first_codes(struct call *call, const struct segment_build *b, struct segment_writer *w)
{
    const size_t dim = b->loader->target.vectors.dim;
    if (!b->ivf || dim < FIRST_CODES_DIM_MIN || b->loader->waiting.vector_count < FIRST_CODES_FROM)
        return DP_OK;
    struct first_coder c = {.b = b, .stage = first_stage_of(b->ivf->codec.metric, dim)};
    buffer_init(&c.bytes, LIST_BYTES_MAX);
    c.scratch = mem_calloc(first_stage_scratch(&c.stage), sizeof *c.scratch);
    c.copy = mem_calloc(dim, sizeof *c.copy);
    enum dp_status status = c.scratch && c.copy ? DP_OK : call_nomem(call, "a segment");
    for (size_t list = 0; list < b->ivf->nlist && status == DP_OK; list++)
        status = write_list(call, &c, list, w);
    mem_free(c.scratch);
    mem_free(c.copy);
    buffer_deinit(&c.bytes);
    return status;
}
