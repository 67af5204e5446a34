/* manifest/manifest.c: makes and frees a manifest in memory, keeps its writers, and checks that its numbers
 * agree. */
#include "index/manifest/manifest.h"

#include <inttypes.h>

#include "index/segment/format.h"

enum { ARENA_MAX = 16 * 1024 * 1024 };

void manifest_init(struct manifest *m)
{
    *m = (struct manifest){.num_shards = 1};
    arena_init(&m->arena, ARENA_MAX);
    memset(m->horizon.text, '0', ULID_LEN);
    memset(m->incarnation.text, '0', ULID_LEN);
}

void manifest_deinit(struct manifest *m)
{
    arena_deinit(&m->arena);
    *m = (struct manifest){0};
}

uint64_t manifest_rows(const struct manifest *m)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        rows += m->segments[i].rows - m->segments[i].deleted_rows;
    return rows;
}

bool manifest_has_writer(const struct manifest *m, const struct ulid *writer)
{
    for (size_t i = 0; i < m->writer_count; i++) {
        if (ulid_equal(&m->writers[i].id, writer))
            return true;
    }
    return false;
}

enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error)
{
    size_t first = 0, kept = m->writer_count;
    while (kept >= MANIFEST_WRITERS_MIN &&
           (kept >= MANIFEST_WRITERS_MAX || m->updated_ms - m->writers[first].at_ms >= MANIFEST_WRITERS_MS)) {
        first++;
        kept--;
    }
    struct manifest_writer *writers = arena_array(&m->arena, kept + 1, sizeof *writers);
    if (!writers)
        return dp_fail_nomem(error, "a manifest's writers");
    if (kept)
        memcpy(writers, m->writers + first, kept * sizeof *writers);
    writers[kept] = (struct manifest_writer){*writer, m->updated_ms};
    m->writers = writers;
    m->writer_count = kept + 1;
    return DP_OK;
}

bool manifest_covers(const struct manifest *m, uint64_t sequence)
{
    return m->sequence <= sequence || m->sequence - sequence <= m->writer_count;
}

/* ---- checks ------------------------------------------------------------------------------------------ */

static enum dp_status check_segment(const struct manifest *m, const struct manifest_segment *s,
                                    struct dp_error *error)
{
    const char *why = NULL;
    /* Bound sizes by 2^48 first, so that the sums and products below cannot overflow. */
    const uint64_t vectors_max = (uint64_t)SEGMENT_ROWS_MAX * 64, size_max = UINT64_C(1) << 48;
    if (s->rows == 0 || s->rows > SEGMENT_ROWS_MAX)
        why = "rows";
    else if (s->vectors < s->rows || s->vectors > vectors_max)
        why = "vectors";
    else if (s->ivf_size > size_max || s->ivf_head > s->ivf_size ||
             s->ivf_size - s->ivf_head != s->vectors * segment_code_len(m->vectors.dim))
        why = "ivf";
    else if (s->dpr_size > size_max || s->hot_len > SEGMENT_HOT_MAX || s->hot_offset > s->dpr_size ||
             s->dpr_size - s->hot_offset != s->hot_len ||
             s->hot_offset < SEGMENT_HEAD_LEN + s->vectors * segment_vector_len(m->vectors.dim))
        why = "dpr";
    else if (s->has_deleted &&
             (s->deleted_rows == 0 || s->deleted_rows >= s->rows || s->deleted_size > DELETED_LEN_MAX ||
              s->deleted_size < DELETED_FIXED_LEN + s->deleted_rows))
        why = "deleted";
    if (why)
        return dp_fail(error, DP_CORRUPT, "segment %s: the numbers of \"%s\" do not fit together", s->id.text,
                       why);
    return DP_OK;
}

enum dp_status manifest_check(const struct manifest *m, struct dp_error *error)
{
    uint64_t rows = 0;
    if (m->sequence == 0)
        return dp_fail(error, DP_CORRUPT, "\"sequence\" is 0");
    if (m->vectors.dim == 0 || m->vectors.dim > INDEX_DIM_MAX)
        return dp_fail(error, DP_CORRUPT, "dim %" PRIu32 " is outside 1..%d", m->vectors.dim, INDEX_DIM_MAX);
    for (size_t i = 0; i < m->segment_count; i++) {
        enum dp_status status = check_segment(m, &m->segments[i], error);
        if (status)
            return status;
        if (i && span_compare(ulid_span(&m->segments[i - 1].id), ulid_span(&m->segments[i].id)) >= 0)
            return dp_fail(error, DP_CORRUPT, "segment %s is not in order", m->segments[i].id.text);
        rows += m->segments[i].rows;
    }
    if (rows > NAMESPACE_ROWS_MAX)
        return dp_fail(error, DP_CORRUPT, "%" PRIu64 " rows are more than a namespace's %d", rows,
                       NAMESPACE_ROWS_MAX);
    return DP_OK;
}
