/* build.c: makes one segment of the waiting rows: its .ivf and its .dpr.
 *
 *   1. cluster all vectors, windows included (ivf_build_new);
 *   2. number the rows list by list: a row belongs to the list of its first vector, so that each list owns a
 *      contiguous range of rows. Other windows of a row may lie in other lists, under the same row number;
 *   3. write the .ivf list by list, with the checksum of each list for the .dpr's hot part, on a second thread;
 *   4. meanwhile write the .dpr: vectors and documents in row order, ids in key order, the optional sections
 *      (sections.c), then the hot part.
 *
 * A segment with fewer than LISTS_FROM vectors needs no second thread. Rows without a vector come last; a segment of
 * such rows alone has no .ivf.
 *
 * A segment with fewer than LISTS_FROM vectors gets one list, so queries scan the whole segment. A larger segment
 * of n vectors gets 2 * sqrt(n) lists. On embeddings of 63,666 package descriptions, queries read a quarter less
 * than with sqrt(n) lists for the same recall, and clustering stays the smaller part of a load. A fold of many
 * rows makes coarse segments, with an eighth of the lists, so that folding keeps up with the writes; the next
 * merge makes the usual number of lists. Folds and merges cluster quickly (kmeans_cluster): a row is clustered
 * again in each merge.
 *
 * Vectors that wait in a file are read in two ways: in order through a mapping, whose memory is released after each
 * slice, and one by one in the order of the lists. So the memory of a build does not grow with the vectors.
 */
#include "index/load/build.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/array.h"
#include "base/checksum.h"
#include "index/load/sections.h"
#include "index/load/train.h"
#include "os/thread.h"
#include "vector/distance.h"

enum {
    LISTS_FROM = 2000,
    LISTS_FACTOR = 2,
    COARSE_DIVISOR = 8, /* of the number of lists, for a coarse load */
    SEED = 1,
    DIRECTIONS_MEMORY = 64 << 20,
    SLICE_ROWS = 16 * 1024, /* mapped memory is released after this many vectors */
    LIST_BYTES_MAX = INT32_MAX,
    WRITER_ARENA_MAX = 1 << 28
};
static const float UNIT_ERROR = 1e-6F;

static bool unload_vectors(void *context, double done)
{
    struct segment_build *b = context;
    (void)done;
    spill_unload(&b->loader->waiting.vectors);
    spill_unload(&b->directions);
    return true;
}

/* Releases mapped memory after each slice of a walk over the vectors. */
static void pass_vector(struct segment_build *b, size_t i)
{
    if (i % SLICE_ROWS == SLICE_ROWS - 1)
        unload_vectors(b, 0);
}

/* Whether all vectors have length 1, but for rounding, as those of a model have. */
static bool vectors_are_unit(struct segment_build *b, size_t count, size_t dim)
{
    bool unit = true;
    for (size_t i = 0; i < count && unit; pass_vector(b, i++))
        unit = fabsf(vector_length(b->x + i * dim, dim) - 1.0F) <= UNIT_ERROR;
    return unit;
}

/* Sets b->clustered: for cosine, copies of length 1 unless the vectors have it already. */
static enum dp_status scale_vectors(struct call *call, struct segment_build *b)
{
    const struct index_loader *l = b->loader;
    size_t dim = l->target.vectors.dim, count = l->waiting.vector_count;
    enum dp_status status = DP_OK;
    b->clustered = b->x;
    b->scales = l->quick && l->target.vectors.metric == INDEX_COSINE;
    if (b->scales || l->target.vectors.metric != INDEX_COSINE || vectors_are_unit(b, count, dim))
        return DP_OK;
    float *copy = mem_calloc(dim, sizeof *copy);
    if (!copy)
        return call_nomem(call, "a segment");
    for (size_t i = 0; i < count && status == DP_OK; pass_vector(b, i++)) {
        memcpy(copy, b->x + i * dim, dim * sizeof *copy);
        vector_normalize(copy, dim);
        status = spill_append(&b->directions, span_of(copy, dim * sizeof *copy), &call->error);
    }
    struct span all;
    if (status == DP_OK)
        status = spill_view(&b->directions, &all, &call->error);
    if (status == DP_OK)
        b->clustered = (const float *)(const void *)all.data;
    mem_free(copy);
    return status;
}

static enum dp_status number_rows(struct call *call, struct segment_build *b)
{
    struct index_loader *l = b->loader;
    size_t nlist = b->ivf ? b->ivf->nlist : 1;
    b->row_of = mem_calloc(l->waiting.vector_count + 1, sizeof *b->row_of);
    b->order = mem_calloc(l->waiting.count, sizeof *b->order);
    b->number = mem_calloc(l->waiting.count, sizeof *b->number);
    b->list_rows = mem_calloc(nlist, sizeof *b->list_rows);
    b->list_sizes = mem_calloc(nlist, sizeof *b->list_sizes);
    b->ivf_writer.list_checksums = mem_calloc(nlist, sizeof *b->ivf_writer.list_checksums);
    b->ivf_writer.residual = mem_calloc(2 * (size_t)l->target.vectors.dim + 1, sizeof(float));
    if (!b->row_of || !b->order || !b->number || !b->list_rows || !b->list_sizes ||
        !b->ivf_writer.list_checksums || !b->ivf_writer.residual)
        return call_nomem(call, "a segment");
    for (size_t r = 0; r < l->waiting.count; r++) {
        for (uint32_t w = 0; w < l->waiting.rows[r].windows; w++)
            b->row_of[l->waiting.rows[r].vector + w] = (uint32_t)r;
    }
    uint32_t next = 0;
    for (size_t list = 0; b->ivf && list < nlist; list++) {
        b->list_sizes[list] = ivf_build_list_count(b->ivf, list);
        for (size_t p = b->ivf->list_begin[list]; p < b->ivf->list_begin[list + 1]; p++) {
            uint32_t vector = b->ivf->rows[p], row = b->row_of[vector];
            if (l->waiting.rows[row].vector != vector)
                continue; /* not the first window of the row */
            b->order[next] = row;
            b->number[row] = next++;
            b->list_rows[list]++;
        }
    }
    for (uint32_t row = 0; row < l->waiting.count; row++) {
        if (l->waiting.rows[row].windows)
            continue;
        b->order[next] = row; /* rows without a vector come last, in the range of the last list */
        b->number[row] = next++;
        b->list_rows[nlist - 1]++;
    }
    return DP_OK;
}

/* ---- the .ivf ---------------------------------------------------------------------------------------- */

static enum dp_status gather_ivf(struct call *call, void *ctx, struct span bytes)
{
    struct buffer *out = ctx;
    buffer_append(out, bytes);
    return buffer_check(out, "an inverted list", &call->error);
}

/* Writes the gathered bytes to the object and clears them. *sum: their checksum. */
static enum dp_status pass_on(struct call *call, struct object_writer *object, struct buffer *gathered,
                              uint64_t *sum)
{
    *sum = checksum64(buffer_span(gathered));
    enum dp_status status = object_write(call, object, buffer_span(gathered));
    buffer_clear(gathered);
    return status;
}

/* Encodes the vectors of a list. */
static enum dp_status encode_list(struct call *call, const struct segment_build *b, size_t list, uint8_t *to)
{
    const struct ivf_build *ivf = b->ivf;
    const struct spill *from = b->clustered == b->x ? &b->loader->waiting.vectors : &b->directions;
    size_t dim = ivf->codec.dim;
    float *copy = b->ivf_writer.residual + dim;
    if (spill_in_memory(from) && !b->scales) {
        ivf_build_encode(ivf, b->clustered, list, b->ivf_writer.residual, to);
        return DP_OK;
    }
    for (size_t p = ivf->list_begin[list]; p < ivf->list_begin[list + 1]; p++, to += ivf->codec.code_size) {
        uint64_t at = (uint64_t)ivf->rows[p] * dim * sizeof *copy;
        enum dp_status status = spill_read(from, at, dim * sizeof *copy, copy, &call->error);
        if (status)
            return status;
        if (b->scales)
            vector_normalize(copy, dim);
        ivf_encode(&ivf->codec, copy, ivf->centroids + list * dim, b->ivf_writer.residual, to);
    }
    return DP_OK;
}

static enum dp_status write_ivf_lists(struct call *call, struct segment_build *b, struct faiss_ivf_writer *writer,
                                      struct object_writer *object, struct buffer *gathered, struct buffer *codes,
                                      struct buffer *ids)
{
    size_t code_size = b->ivf->codec.code_size;
    for (size_t list = 0; list < b->ivf->nlist; list++) {
        enum dp_status status = call_check(call);
        if (status)
            return status;
        size_t count = ivf_build_list_count(b->ivf, list);
        buffer_clear(codes);
        buffer_clear(ids);
        uint8_t *to = buffer_reserve(codes, count * code_size + 1);
        if (to) {
            status = encode_list(call, b, list, to);
            codes->len = count * code_size;
        }
        if (status)
            return status;
        for (size_t p = b->ivf->list_begin[list]; p < b->ivf->list_begin[list + 1]; p++)
            buffer_u64(ids, b->number[b->row_of[b->ivf->rows[p]]]);
        status = buffer_check(codes, "an inverted list", &call->error);
        if (status == DP_OK)
            status = buffer_check(ids, "an inverted list", &call->error);
        if (status == DP_OK)
            status = faiss_ivf_write_list(call, writer, buffer_span(codes), buffer_span(ids));
        if (status == DP_OK)
            status = pass_on(call, object, gathered, &b->ivf_writer.list_checksums[list]);
        if (status)
            return status;
    }
    return faiss_ivf_write_end(call, writer);
}

struct faiss_ivf_spec load_ivf_spec(const struct segment_build *b)
{
    return (struct faiss_ivf_spec){.codec = b->ivf->codec,
                                   .nlist = b->ivf->nlist,
                                   .centroids = b->ivf->centroids,
                                   .list_sizes = b->list_sizes};
}

static enum dp_status write_ivf(struct call *call, struct segment_build *b)
{
    struct object_writer object;
    struct buffer gathered, codes, ids;
    struct faiss_ivf_writer writer;
    const struct faiss_ivf_spec spec = load_ivf_spec(b);
    buffer_init(&gathered, LIST_BYTES_MAX);
    buffer_init(&codes, LIST_BYTES_MAX);
    buffer_init(&ids, LIST_BYTES_MAX);
    object_writer_init(&object, b->loader->store, &b->ivf_key);
    b->ivf_writer.lists.ivf_head = faiss_ivf_head_bytes(&spec);
    enum dp_status status =
        faiss_ivf_write_begin(call, &writer, &spec, (struct faiss_sink){gather_ivf, &gathered});
    if (status == DP_OK)
        status = pass_on(call, &object, &gathered, &b->ivf_writer.lists.ivf_head_checksum);
    if (status == DP_OK)
        status = write_ivf_lists(call, b, &writer, &object, &gathered, &codes, &ids);
    if (status == DP_OK)
        status = object_writer_finish(call, &object);
    b->ivf_writer.lists.ivf_size = object.size;
    object_writer_deinit(&object);
    buffer_deinit(&gathered);
    buffer_deinit(&codes);
    buffer_deinit(&ids);
    return status;
}

static void *run_write_ivf(void *context)
{
    struct segment_build *b = context;
    b->ivf_writer.status = write_ivf(&b->ivf_writer.call, b);
    return NULL;
}

/* Starts a thread that writes the .ivf. A segment without a vector has no .ivf. If the segment is small, or no
 * thread starts, the calling thread writes the .ivf. */
static void begin_ivf(struct call *call, struct segment_build *b)
{
    arena_init(&b->ivf_writer.arena, WRITER_ARENA_MAX);
    call_child(call, &b->ivf_writer.call, &b->ivf_writer.arena);
    if (!b->ivf)
        return;
    b->ivf_writer.started = b->loader->waiting.vector_count >= LISTS_FROM &&
                            os_thread_start(&b->ivf_writer.thread, "dipper-ivf", run_write_ivf, b) == 0;
    if (!b->ivf_writer.started)
        run_write_ivf(b);
}

static enum dp_status end_ivf(struct call *call, struct segment_build *b)
{
    if (b->ivf_writer.started)
        call_join(call, b->ivf_writer.thread);
    call_merge(call, &b->ivf_writer.call);
    arena_deinit(&b->ivf_writer.arena);
    return b->ivf_writer.status;
}

/* ---- the .dpr ---------------------------------------------------------------------------------------- */

static int waiting_by_key(const void *a, const void *b, void *keys)
{
    const uint32_t *left = a, *right = b;
    const struct span *of = keys;
    return span_compare(of[*left], of[*right]);
}

static enum dp_status write_ids(struct call *call, struct segment_build *b, struct segment_writer *w)
{
    struct index_loader *l = b->loader;
    uint32_t *sorted = mem_calloc(l->waiting.count, sizeof *sorted);
    if (!sorted)
        return call_nomem(call, "a segment's ids");
    for (size_t r = 0; r < l->waiting.count; r++)
        sorted[r] = (uint32_t)r;
    qsort_r(sorted, l->waiting.count, sizeof *sorted, waiting_by_key, (void *)(uintptr_t)b->keys);
    enum dp_status status = DP_OK;
    for (size_t r = 0; r < l->waiting.count && status == DP_OK; r++)
        status = segment_write_id(call, w, b->keys[sorted[r]], b->number[sorted[r]]);
    mem_free(sorted);
    return status;
}

/* Returns the vectors of a waiting row, or NULL after a failure. They are valid until the next call. */
static const float *waiting_vectors(struct call *call, struct segment_build *b, const struct waiting_row *row)
{
    const struct spill *from = &b->loader->waiting.vectors;
    size_t dim = b->loader->target.vectors.dim, floats = row->windows * dim;
    if (spill_in_memory(from))
        return b->x + row->vector * dim;
    if (floats > b->windows_room) {
        mem_free(b->windows);
        b->windows = mem_alloc(floats * sizeof *b->windows);
        b->windows_room = b->windows ? floats : 0;
    }
    if (!b->windows) {
        call_nomem(call, "a row's vectors");
        return NULL;
    }
    uint64_t at = row->vector * dim * sizeof(float);
    return spill_read(from, at, floats * sizeof(float), b->windows, &call->error) == DP_OK ? b->windows : NULL;
}

/* Writes all of the .dpr but the hot part, which needs the sizes and checksums of the .ivf. */
static enum dp_status write_rows(struct call *call, struct segment_build *b, struct segment_writer *w)
{
    struct index_loader *l = b->loader;
    enum dp_status status =
        segment_write_begin(call, w, l->store, &b->dpr_key, &b->id, l->target.vectors.dim, l->waiting.count);
    for (size_t r = 0; r < l->waiting.count && status == DP_OK; r++) {
        const struct waiting_row *row = &l->waiting.rows[b->order[r]];
        const float *vectors = row->windows ? waiting_vectors(call, b, row) : NULL;
        status =
            row->windows && !vectors ? call->error.status : segment_write_vectors(call, w, vectors, row->windows);
        if (status == DP_OK && r % 1024 == 0)
            status = call_check(call);
    }
    if (status == DP_OK)
        status = load_train_dictionary(call, b, w);
    for (size_t r = 0; r < l->waiting.count && status == DP_OK; r++) {
        const struct waiting_row *row = &l->waiting.rows[b->order[r]];
        status = segment_write_document(call, w, b->keys[b->order[r]],
                                        span_of(b->documents.data + row->document, row->document_len));
        if (status == DP_OK && r % 1024 == 0)
            status = call_check(call);
    }
    if (status == DP_OK)
        status = write_ids(call, b, w);
    return status == DP_OK ? load_write_sections(call, b, w) : status;
}

static enum dp_status write_objects(struct call *call, struct segment_build *b, struct manifest_segment *listed)
{
    struct index_loader *l = b->loader;
    struct segment_writer w;
    key_of_ivf(&b->ivf_key, l->target.name, &l->target.incarnation, &b->id);
    key_of_dpr(&b->dpr_key, l->target.name, &l->target.incarnation, &b->id);
    enum dp_status status = b->ivf ? object_log_note(call, &l->log, &b->ivf_key) : DP_OK;
    if (status == DP_OK)
        status = object_log_note(call, &l->log, &b->dpr_key);
    if (status != DP_OK)
        return status;
    begin_ivf(call, b);
    status = write_rows(call, b, &w);
    enum dp_status ivf_status = end_ivf(call, b);
    if (status == DP_OK)
        status = ivf_status;
    if (status == DP_OK)
        status = segment_write_end(call, &w, &b->ivf_writer.lists, listed);
    segment_writer_deinit(&w);
    return status;
}

/* ---- the whole --------------------------------------------------------------------------------------- */

static enum dp_status add_segment(struct call *call, struct index_loader *l,
                                  const struct manifest_segment *segment)
{
    struct manifest_segment *segments =
        array_reserve(l->segments, l->segment_count, &l->segment_room, sizeof *segments, 4);
    if (!segments)
        return call_nomem(call, "a load");
    l->segments = segments;
    l->segments[l->segment_count++] = *segment;
    l->log.bytes += segment->ivf_size + segment->dpr_size;
    return DP_OK;
}

static void forget_rows(struct index_loader *l)
{
    l->waiting.count = 0;
    l->waiting.vector_count = 0;
    l->waiting.window_rows = 0;
    l->waiting.key_bytes = 0;
    l->waiting.key_longest = 0;
    spill_clear(&l->waiting.vectors);
    spill_clear(&l->waiting.documents);
}

static size_t choose_nlist(const struct index_loader *l)
{
    if (l->waiting.vector_count < LISTS_FROM)
        return 1;
    size_t nlist = LISTS_FACTOR * ivf_auto_nlist(l->waiting.vector_count);
    return l->coarse ? nlist / COARSE_DIVISOR : nlist;
}

static enum dp_status cluster_vectors(struct call *call, struct segment_build *b)
{
    const struct index_loader *l = b->loader;
    const struct kmeans_watch watch = {unload_vectors, b};
    const struct kmeans_task task = {.x = b->clustered,
                                     .n = l->waiting.vector_count,
                                     .dim = l->target.vectors.dim,
                                     .k = choose_nlist(l),
                                     .metric = l->target.vectors.metric == INDEX_COSINE ? VECTOR_INNER_PRODUCT
                                                                                        : VECTOR_L2,
                                     .seed = SEED,
                                     .watch = &watch,
                                     .sample_bytes = l->sample_bytes,
                                     .scales = b->scales};
    if (task.n == 0)
        return DP_OK;
    if (l->quick)
        return ivf_build_quick(call, l->team, &task, IVF_SQ8, &b->ivf);
    return ivf_build_new(call, l->team, task.x, task.n, task.dim, task.metric, IVF_SQ8, task.k, SEED, &b->ivf);
}

enum dp_status load_build_segment(struct call *call, struct index_loader *l)
{
    struct segment_build b = {.loader = l, .keys = l->keys + (l->key_count - l->waiting.count)};
    struct manifest_segment listed = {0};
    struct span vectors;
    enum dp_status status = target_check_room(&l->target, l->segment_count, &call->error);
    if (status == DP_OK)
        status =
            ulid_new(l->clock, &l->target.horizon, target_store_ms(&l->target, l->clock), &b.id, &call->error);
    if (status == DP_OK)
        status = spill_view(&l->waiting.vectors, &vectors, &call->error);
    if (status == DP_OK)
        status = spill_view(&l->waiting.documents, &b.documents, &call->error);
    if (status)
        return status;
    const size_t vectors_memory = l->waiting.vectors.memory_max;
    spill_init(&b.directions, vectors_memory < DIRECTIONS_MEMORY ? vectors_memory : DIRECTIONS_MEMORY);
    b.x = (const float *)(const void *)vectors.data;
    status = scale_vectors(call, &b);
    if (status == DP_OK)
        status = cluster_vectors(call, &b);
    if (status == DP_OK)
        status = number_rows(call, &b);
    if (status == DP_OK) {
        b.ivf_writer.lists.nlist = b.ivf ? (uint32_t)b.ivf->nlist : 1;
        b.ivf_writer.lists.rows = b.list_rows;
        b.ivf_writer.lists.checksums = b.ivf_writer.list_checksums;
        status = write_objects(call, &b, &listed);
    }
    if (status == DP_OK)
        status = add_segment(call, l, &listed);
    if (status == DP_OK)
        forget_rows(l);
    ivf_build_free(b.ivf);
    spill_deinit(&b.directions);
    mem_free(b.windows);
    mem_free(b.row_of);
    mem_free(b.order);
    mem_free(b.number);
    mem_free(b.list_rows);
    mem_free(b.list_sizes);
    mem_free(b.ivf_writer.list_checksums);
    mem_free(b.ivf_writer.residual);
    return object_log_status(call, status);
}
