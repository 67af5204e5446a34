/* manifest/manifest.c: makes and frees a manifest in memory, keeps its writers, and checks that its numbers
 * agree. */
#include "index/manifest/manifest.h"

#include <inttypes.h>

#include "index/segment/format.h"
#include "index/wal/entry.h"

enum { ARENA_MAX = 16 * 1024 * 1024 };

void manifest_init(struct manifest *m)
{
    *m = (struct manifest){.num_shards = 1};
    arena_init(&m->arena, ARENA_MAX);
    memset(m->horizon.text, '0', ULID_LEN);
    memset(m->incarnation.text, '0', ULID_LEN);
    m->wal_chain = wal_chain_start(&m->incarnation);
}

void manifest_deinit(struct manifest *m)
{
    arena_deinit(&m->arena);
    *m = (struct manifest){0};
}

/* Forgets all that belongs to one life. */
static void forget_life(struct manifest *m)
{
    m->features = 0;
    m->read_only = false;
    memset(m->claims, 0, sizeof m->claims);
    m->vectors = (struct index_vectors){0};
    m->external = (struct index_external){0};
    m->schema = (struct schema){0};
    m->segment_count = 0;
    m->pending_count = 0;
    m->owner_count = 0;
    m->keys = (struct manifest_keys){0};
}

void manifest_begin_life(struct manifest *m, const struct ulid *incarnation)
{
    forget_life(m);
    m->state = NAMESPACE_LIVE;
    m->incarnation = *incarnation;
    m->wal_floor = 0;
    m->wal_gone = 0;
    m->wal_chain = wal_chain_start(incarnation);
    m->created_ms = 0; /* the swap sets it */
}

void manifest_end_life(struct manifest *m)
{
    forget_life(m);
    m->state = NAMESPACE_DELETED;
}

int64_t manifest_store_ms(const struct manifest *m, const struct index_clock *clock)
{
    if (m->date_ms == 0)
        return index_wall_ms(clock);
    return m->date_ms + (m->came_ns ? (index_now_ns(clock) - m->came_ns) / 1000000 : 0);
}

uint64_t manifest_rows(const struct manifest *m)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < m->segment_count; i++)
        rows += m->segments[i].rows - m->segments[i].deleted_rows;
    return rows;
}

const struct manifest_writer *manifest_find_writer(const struct manifest *m, const struct ulid *id)
{
    for (size_t i = 0; i < m->writer_count; i++) {
        if (ulid_equal(&m->writers[i].id, id))
            return &m->writers[i];
    }
    return NULL;
}

enum dp_status manifest_add_writer(struct manifest *m, const struct ulid *writer, struct dp_error *error)
{
    struct manifest_writer *writers = arena_array(&m->arena, m->writer_count + 1, sizeof *writers);
    size_t count = 0, first = 0;
    if (!writers)
        return dp_fail_nomem(error, "a manifest's writers");
    for (size_t i = 0; i < m->writer_count; i++) {
        if (!ulid_equal(&m->writers[i].id, writer))
            writers[count++] = m->writers[i];
    }
    while (count - first >= MANIFEST_WRITERS_MIN &&
           (count - first >= MANIFEST_WRITERS_MAX || m->updated_ms - writers[first].at_ms >= MANIFEST_WRITERS_MS))
        m->writers_gone = writers[first++].sequence;
    writers[count++] = (struct manifest_writer){*writer, m->sequence, m->updated_ms};
    m->writers = writers + first;
    m->writer_count = count - first;
    return DP_OK;
}

bool manifest_covers(const struct manifest *m, uint64_t sequence)
{
    return m->writers_gone <= sequence;
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
    else if (s->vectors > vectors_max)
        why = "vectors";
    else if (s->ivf_size > size_max || s->ivf_head > s->ivf_size || (s->vectors == 0 && s->ivf_size) ||
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
    else if (s->owner > m->owner_count || s->deleted_owner > m->owner_count)
        why = "owner";
    if (why)
        return dp_fail(error, DP_CORRUPT, "segment %s: the numbers of \"%s\" do not fit together", s->id.text,
                       why);
    return DP_OK;
}

/* Checks segments, in ascending order, and adds their rows to *rows. */
static enum dp_status check_segments(const struct manifest *m, const struct manifest_segment *list, size_t count,
                                     uint64_t *rows, struct dp_error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum dp_status status = check_segment(m, &list[i], error);
        if (status)
            return status;
        if (i && span_compare(ulid_span(&list[i - 1].id), ulid_span(&list[i].id)) >= 0)
            return dp_fail(error, DP_CORRUPT, "segment %s is not in order", list[i].id.text);
        *rows += list[i].rows;
    }
    return DP_OK;
}

int manifest_compare_segments(const void *a, const void *b)
{
    const struct manifest_segment *left = a, *right = b;
    return memcmp(left->id.text, right->id.text, ULID_LEN);
}

bool manifest_has_segment(const struct manifest_segment *list, size_t count, const struct ulid *id)
{
    for (size_t i = 0; i < count; i++) {
        if (ulid_equal(&list[i].id, id))
            return true;
    }
    return false;
}

/* Checks that no segment of pending load number `n` is listed, or pending in an earlier load. */
static enum dp_status check_pending_once(const struct manifest *m, size_t n, struct dp_error *error)
{
    const struct manifest_pending *p = &m->pending[n];
    for (size_t k = 0; k < p->segment_count; k++) {
        if (p->segments[k].owner || p->segments[k].deleted_owner)
            return dp_fail(error, DP_CORRUPT, "segment %s is pending, but another namespace's",
                           p->segments[k].id.text);
        bool twice = manifest_has_segment(m->segments, m->segment_count, &p->segments[k].id);
        for (size_t i = 0; i < n && !twice; i++)
            twice = manifest_has_segment(m->pending[i].segments, m->pending[i].segment_count, &p->segments[k].id);
        if (twice)
            return dp_fail(error, DP_CORRUPT, "segment %s is pending in load %s, and listed elsewhere",
                           p->segments[k].id.text, p->load.text);
    }
    return DP_OK;
}

static enum dp_status check_pending(const struct manifest *m, struct dp_error *error)
{
    uint64_t rows = 0;
    for (size_t n = 0; n < m->pending_count; n++) {
        const struct manifest_pending *p = &m->pending[n];
        for (size_t i = 0; i < n; i++) {
            if (ulid_equal(&m->pending[i].load, &p->load))
                return dp_fail(error, DP_CORRUPT, "load %s is pending twice", p->load.text);
        }
        enum dp_status status = check_segments(m, p->segments, p->segment_count, &rows, error);
        if (status == DP_OK)
            status = check_pending_once(m, n, error);
        if (status)
            return status;
    }
    return DP_OK;
}

/* Checks that pins ascend, and that no owner is there twice. */
static enum dp_status check_branches(const struct manifest *m, struct dp_error *error)
{
    for (size_t i = 1; i < m->pin_count; i++) {
        if (span_compare(ulid_span(&m->pins[i - 1].id), ulid_span(&m->pins[i].id)) >= 0)
            return dp_fail(error, DP_CORRUPT, "pin %s is not in order", m->pins[i].id.text);
    }
    for (size_t i = 0; i < m->owner_count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (span_equal(m->owners[i].name, m->owners[k].name) &&
                ulid_equal(&m->owners[i].incarnation, &m->owners[k].incarnation))
                return dp_fail(error, DP_CORRUPT, "owner \"%.*s\" is there twice", SPAN_FMT(m->owners[i].name));
        }
    }
    return DP_OK;
}

static enum dp_status check_log(const struct manifest *m, struct dp_error *error)
{
    if (m->wal_gone > m->wal_floor)
        return dp_fail(error, DP_CORRUPT, "wal_gone %" PRIu64 " is more than wal_floor %" PRIu64, m->wal_gone,
                       m->wal_floor);
    if (m->wal_floor == 0 && m->wal_chain != wal_chain_start(&m->incarnation))
        return dp_fail(error, DP_CORRUPT, "wal_chain is not that of an empty log");
    return DP_OK;
}

enum dp_status manifest_fail_external(const struct manifest *m, struct span name, struct dp_error *error)
{
    return dp_fail(error, DP_INVALID,
                   "rows of namespace \"%.*s\" cannot bring vectors: the FAISS file %.*s has its vectors",
                   SPAN_FMT(name), SPAN_FMT(m->external.url));
}

static enum dp_status check_external(const struct manifest *m, struct dp_error *error)
{
    const struct index_external *x = &m->external;
    if (!(m->features & MANIFEST_FEATURE_EXTERNAL) != !x->url.len)
        return dp_fail(error, DP_CORRUPT, "\"external\" and the feature of this name do not agree");
    if (x->url.len && (m->vectors.dim || x->dim == 0 || x->dim > INDEX_DIM_MAX || m->state != NAMESPACE_LIVE))
        return dp_fail(error, DP_CORRUPT, "\"external\" does not fit the rest");
    return DP_OK;
}

enum dp_status manifest_check(const struct manifest *m, struct dp_error *error)
{
    uint64_t rows = 0;
    if (m->sequence == 0)
        return dp_fail(error, DP_CORRUPT, "\"sequence\" is 0");
    if (m->vectors.dim > INDEX_DIM_MAX)
        return dp_fail(error, DP_CORRUPT, "dim %" PRIu32 " is outside 0..%d", m->vectors.dim, INDEX_DIM_MAX);
    if (m->vectors.dim == 0 && m->state == NAMESPACE_LIVE && !(m->features & MANIFEST_FEATURE_LOG))
        return dp_fail(error, DP_CORRUPT, "dim is 0, and the namespace has no log");
    if (m->state == NAMESPACE_DELETED &&
        (m->segment_count || m->pending_count || m->schema.count || m->owner_count))
        return dp_fail(error, DP_CORRUPT, "the namespace is deleted, but has segments or a schema");
    enum dp_status status = check_log(m, error);
    if (status == DP_OK)
        status = check_external(m, error);
    if (status == DP_OK)
        status = check_branches(m, error);
    if (status == DP_OK)
        status = check_segments(m, m->segments, m->segment_count, &rows, error);
    if (status == DP_OK)
        status = check_pending(m, error);
    if (status == DP_OK && rows > NAMESPACE_ROWS_MAX)
        status = dp_fail(error, DP_CORRUPT, "%" PRIu64 " rows are more than a namespace's %d", rows,
                         NAMESPACE_ROWS_MAX);
    return status;
}
