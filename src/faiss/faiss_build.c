/* faiss_build.c: builds an IVF file: reads, samples, clusters, assigns, encodes, writes and measures, in that
 * order.
 *
 * The vectors of a list are spread over the source, but the codes of a list must lie together in the file. So the
 * build writes lists in groups whose codes fit into memory. Each group costs one sweep over the source, front to
 * back. Within a list the vectors keep their order.
 */
#include "faiss/faiss_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "faiss/write.h"
#include "faiss/new_file.h"
#include "faiss/recall_measure.h"
#include "vector/kmeans.h"
#include "vector/sq8.h"

enum {
    BLOCK_BYTES = 8 << 20, /* maximum bytes of one read of the source */
    ENCODE_ROWS = 256,     /* vectors that a worker encodes at a time */
    SAMPLES_LEAST = 16,    /* minimum vectors to train with for each list, when memory is short */
    SAMPLES_WANTED = 39    /* vectors for each list; FAISS warns when it trains with fewer */
};
static const size_t MEMORY_BYTES = (size_t)1 << 30;

struct build_run {
    struct team *team;
    const struct vector_source *source;
    const struct faiss_build_options *options;
    struct ivf_codec codec;
    size_t dim, nlist, block_rows;
    uint64_t count;
    float *room;       /* float[block_rows][dim]: memory for a block of the source */
    float *centroids;  /* float[nlist][dim] */
    float *trained;    /* float[2][dim]: codec.trained; NULL: the codec needs none */
    float *residual;   /* float[workers][dim] */
    uint32_t *list;    /* [count]: the list of each vector */
    uint64_t *sizes;   /* [nlist]: the number of vectors in each list */
    const char *stage; /* name of the stage, for progress */
    /* The group of lists that is being written: lists number group_begin to group_end - 1. */
    size_t group_begin, group_end;
    uint64_t *next;       /* [nlist]: the next free place of each list, counted from the group's first vector */
    uint8_t *codes;       /* the group's codes */
    int64_t *ids;         /* the group's ids */
    uint64_t *place;      /* [block_rows]: the place of each vector of the block; UINT64_MAX: in another group */
    const float *block;   /* float[block_count][dim]: the block of the source that was read last */
    uint64_t block_begin; /* the number of the block's first vector */
    size_t block_count;
};

size_t faiss_build_auto_nlist(uint64_t n)
{
    size_t lists = 2 * (size_t)sqrt((double)n), most = (size_t)(n / SAMPLES_WANTED);
    lists = lists < most ? lists : most;
    return lists > 0 ? lists : 1;
}

static size_t memory_allowed(const struct build_run *b)
{
    return b->options->memory_bytes > 0 ? b->options->memory_bytes : MEMORY_BYTES;
}

/* Reports progress of the stage, as `tell` of a kmeans_watch and a recall_watch. Returns false to cancel. */
static bool report_done(void *ctx, double done)
{
    const struct build_run *b = ctx;
    return !b->options->progress || b->options->progress(b->options->progress_ctx, b->stage, done);
}

static enum dp_status report_or_cancel(struct call *call, struct build_run *b, double done)
{
    if (report_done(b, done))
        return DP_OK;
    return call_fail(call, DP_CANCELLED, "the build was cancelled");
}

/* ---- the source --------------------------------------------------------------------------------------- */

static void normalize_rows(const struct build_run *b, float *x, size_t n)
{
    for (size_t r = 0; r < n; r++)
        vector_normalize(x + r * b->dim, b->dim);
}

/* Reads the block that begins at vector `first`. If `normal` and options->normalize are true, also scales
 * the vectors to length 1. */
static enum dp_status read_block(struct call *call, struct build_run *b, uint64_t first, bool normal)
{
    const struct vector_source *source = b->source;
    size_t n = b->count - first < b->block_rows ? (size_t)(b->count - first) : b->block_rows;
    enum dp_status status = call_check(call);
    if (status == DP_OK)
        status = source->read(call, source->ctx, first, n, b->room, &b->block);
    if (status != DP_OK)
        return status;
    b->block_begin = first;
    b->block_count = n;
    if (normal && b->options->normalize) {
        if (b->block != b->room)
            memcpy(b->room, b->block, n * b->dim * sizeof *b->room);
        normalize_rows(b, b->room, n);
        b->block = b->room;
    }
    return DP_OK;
}

/* Refuses NaN and infinities: their exponent bits are all ones. */
static enum dp_status check_block(struct call *call, const struct build_run *b)
{
    static const uint32_t EXPONENT = 0x7f800000;
    for (size_t r = 0; r < b->block_count; r++) {
        const float *x = b->block + r * b->dim;
        uint32_t bad = 0;
        for (size_t i = 0; i < b->dim; i++) {
            uint32_t bits;
            memcpy(&bits, x + i, sizeof bits);
            bad |= (bits & EXPONENT) == EXPONENT;
        }
        if (bad == 0)
            continue;
        size_t i = 0;
        while (isfinite(x[i]))
            i++;
        return call_fail(call, DP_INVALID, "%s: vector %" PRIu64 " is %s in dimension %zu", b->source->name,
                         b->block_begin + r, isnan(x[i]) ? "not a number" : "infinite", i);
    }
    return DP_OK;
}

/* Reads and checks all vectors, and copies `wanted` random ones into the sample. */
static enum dp_status take_sample(struct call *call, struct build_run *b, size_t wanted, float *sample)
{
    struct kmeans_choice choice = {b->options->seed, b->count, wanted};
    enum dp_status status = DP_OK;
    float *next = sample;
    b->stage = "reading";
    for (uint64_t first = 0; status == DP_OK && first < b->count; first += b->block_count) {
        status = read_block(call, b, first, false);
        if (status == DP_OK)
            status = check_block(call, b);
        for (size_t r = 0; status == DP_OK && r < b->block_count; r++)
            if (kmeans_choose(&choice)) {
                memcpy(next, b->block + r * b->dim, b->dim * sizeof *next);
                next += b->dim;
            }
        if (status == DP_OK)
            status = report_or_cancel(call, b, (double)(first + b->block_count) / (double)b->count);
    }
    if (status == DP_OK && b->options->normalize)
        normalize_rows(b, sample, wanted);
    return status;
}

/* ---- training ----------------------------------------------------------------------------------------- */

/* Computes the number of vectors in the sample: as many as k-means uses, or fewer when memory is short. */
static enum dp_status sample_size(struct call *call, const struct build_run *b, size_t *wanted)
{
    uint64_t fit = memory_allowed(b) / (b->dim * sizeof(float));
    uint64_t n = b->count / KMEANS_SAMPLES < b->nlist ? b->count : (uint64_t)b->nlist * KMEANS_SAMPLES;
    uint64_t least = b->count / SAMPLES_LEAST < b->nlist ? b->count : (uint64_t)b->nlist * SAMPLES_LEAST;
    if (fit < least)
        return call_fail(call, DP_TOO_LARGE,
                         "%s: training %zu lists of %zu dimensions takes %" PRIu64
                         " MB of memory, but %zu are allowed; allow more, or make fewer lists",
                         b->source->name, b->nlist, b->dim, (least * b->dim * sizeof(float) >> 20) + 1,
                         memory_allowed(b) >> 20);
    *wanted = (size_t)(n < fit ? n : fit);
    return DP_OK;
}

static enum dp_status train_lists(struct call *call, struct build_run *b)
{
    size_t wanted = 0, floats;
    enum dp_status status = sample_size(call, b, &wanted);
    if (status != DP_OK)
        return status;
    float *sample = mem_mul_ok(wanted, b->dim, &floats) ? mem_calloc(floats, sizeof *sample) : NULL;
    if (!sample)
        return call_nomem(call, "the vectors to train with");
    status = take_sample(call, b, wanted, sample);
    if (status == DP_OK) {
        b->stage = "clustering";
        const struct kmeans_watch watch = {report_done, b};
        status = kmeans_train_watched(call, b->team, sample, wanted, b->dim, b->nlist, b->codec.metric,
                                      b->options->seed, &watch, b->centroids);
    }
    mem_free(sample);
    return status;
}

/* ---- assigning ---------------------------------------------------------------------------------------- */

static void count_block(struct build_run *b)
{
    for (size_t r = 0; r < b->block_count; r++) {
        uint32_t list = b->list[b->block_begin + r];
        const float *x = b->block + r * b->dim, *centroid = b->centroids + list * b->dim;
        b->sizes[list]++;
        if (!b->trained)
            continue;
        for (size_t i = 0; i < b->dim; i++)
            b->residual[i] = x[i] - centroid[i];
        sq8_train_add(b->trained, b->dim, b->residual, 1);
    }
}

/* Finds each vector's list. For SQ8 also finds each dimension's range over all vectors. */
static enum dp_status assign_vectors(struct call *call, struct build_run *b)
{
    enum dp_status status = DP_OK;
    b->stage = "assigning";
    if (b->trained)
        sq8_train_begin(b->trained, b->dim);
    for (uint64_t first = 0; status == DP_OK && first < b->count; first += b->block_count) {
        status = read_block(call, b, first, true);
        if (status == DP_OK)
            status = kmeans_assign(call, b->team, b->block, b->block_count, b->dim, b->centroids, b->nlist,
                                   b->codec.metric, b->list + first, NULL);
        if (status == DP_OK)
            count_block(b);
        if (status == DP_OK)
            status = report_or_cancel(call, b, (double)(first + b->block_count) / (double)b->count);
    }
    if (b->trained)
        sq8_train_end(b->trained, b->dim);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

static void encode_rows(void *ctx, size_t index, unsigned worker)
{
    struct build_run *b = ctx;
    size_t begin = index * ENCODE_ROWS;
    size_t end = begin + ENCODE_ROWS < b->block_count ? begin + ENCODE_ROWS : b->block_count;
    for (size_t r = begin; r < end; r++)
        if (b->place[r] != UINT64_MAX)
            ivf_encode(&b->codec, b->block + r * b->dim, b->centroids + b->list[b->block_begin + r] * b->dim,
                       b->residual + worker * b->dim, b->codes + b->place[r] * b->codec.code_size);
}

/* Sets the place and the id of each vector of a block that is in the group. Returns how many vectors these
 * are. */
static size_t place_block(struct build_run *b, uint64_t first, size_t n)
{
    size_t placed = 0;
    for (size_t r = 0; r < n; r++) {
        uint32_t list = b->list[first + r];
        b->place[r] = UINT64_MAX;
        if (list < b->group_begin || list >= b->group_end)
            continue;
        b->place[r] = b->next[list]++;
        b->ids[b->place[r]] = b->options->ids ? b->options->ids[first + r] : (int64_t)(first + r);
        placed++;
    }
    return placed;
}

/* Encodes the group's lists. `written` counts the vectors of earlier groups, for progress. */
static enum dp_status encode_group(struct call *call, struct build_run *b, uint64_t written)
{
    enum dp_status status = DP_OK;
    for (uint64_t first = 0, n; status == DP_OK && first < b->count; first += n) {
        n = b->count - first < b->block_rows ? b->count - first : b->block_rows;
        size_t placed = place_block(b, first, (size_t)n);
        if (placed > 0)
            status = read_block(call, b, first, true);
        if (status == DP_OK && placed > 0)
            team_run(b->team, (b->block_count + ENCODE_ROWS - 1) / ENCODE_ROWS, encode_rows, b);
        written += placed;
        if (status == DP_OK)
            status = report_or_cancel(call, b, (double)written / (double)b->count);
    }
    return status;
}

/* Begins a group at group_begin: as many lists as fit into memory, at least one. Returns the number of its
 * vectors. */
static uint64_t choose_group(struct build_run *b)
{
    uint64_t most = memory_allowed(b) / (b->codec.code_size + sizeof(int64_t)), total = 0;
    size_t l = b->group_begin;
    while (l < b->nlist && (l == b->group_begin || total + b->sizes[l] <= most)) {
        b->next[l] = total;
        total += b->sizes[l++];
    }
    b->group_end = l;
    return total;
}

static enum dp_status write_group(struct call *call, const struct build_run *b, struct faiss_ivf_writer *writer)
{
    const uint8_t *codes = b->codes;
    const int64_t *ids = b->ids;
    enum dp_status status = DP_OK;
    for (size_t l = b->group_begin; status == DP_OK && l < b->group_end; l++) {
        size_t n = (size_t)b->sizes[l];
        status = faiss_ivf_write_list(call, writer, span_of(codes, n * b->codec.code_size),
                                      span_of(ids, n * sizeof *ids));
        codes += n * b->codec.code_size;
        ids += n;
    }
    return status;
}

static enum dp_status write_groups(struct call *call, struct build_run *b, struct faiss_ivf_writer *writer)
{
    enum dp_status status = DP_OK;
    uint64_t written = 0, vectors;
    for (b->group_begin = 0; status == DP_OK && b->group_begin < b->nlist; b->group_begin = b->group_end) {
        size_t bytes = 0;
        vectors = choose_group(b);
        bool fits = vectors <= SIZE_MAX && mem_mul_ok((size_t)vectors, b->codec.code_size, &bytes);
        b->codes = fits ? mem_alloc(bytes) : NULL;
        b->ids = fits ? mem_calloc((size_t)vectors, sizeof *b->ids) : NULL;
        status = b->codes && b->ids ? encode_group(call, b, written) : call_nomem(call, "the codes of an index");
        if (status == DP_OK)
            status = write_group(call, b, writer);
        mem_free(b->codes);
        mem_free(b->ids);
        written += vectors;
    }
    return status;
}

static enum dp_status write_file(struct call *call, struct build_run *b, struct new_file *file, uint64_t *bytes)
{
    const struct faiss_ivf_spec spec = {
        .codec = b->codec, .nlist = b->nlist, .centroids = b->centroids, .list_sizes = b->sizes};
    struct faiss_ivf_writer writer;
    b->stage = "writing";
    enum dp_status status = faiss_ivf_write_begin(call, &writer, &spec, (struct faiss_sink){new_file_write, file});
    if (status == DP_OK)
        status = write_groups(call, b, &writer);
    if (status == DP_OK)
        status = faiss_ivf_write_end(call, &writer);
    if (status == DP_OK)
        status = new_file_finish(call, file);
    *bytes = writer.written;
    return status;
}

/* ---- measuring ---------------------------------------------------------------------------------------- */

/* Reads vectors of the source as the file holds them: scaled to length 1 if the options want it. */
static enum dp_status read_normal(struct call *call, void *ctx, uint64_t first, size_t n, float *room,
                                  const float **out)
{
    const struct build_run *b = ctx;
    enum dp_status status = b->source->read(call, b->source->ctx, first, n, room, out);
    if (status != DP_OK || !b->options->normalize)
        return status;
    if (*out != room)
        memcpy(room, *out, n * b->dim * sizeof *room);
    normalize_rows(b, room, n);
    *out = room;
    return DP_OK;
}

static enum dp_status put_recall(struct call *call, struct span url, const struct store_options *store,
                                 const struct recall_table *table)
{
    struct buffer json;
    struct span beside;
    enum dp_status status = recall_url(call, url, &beside);
    buffer_init(&json, RECALL_BYTES_MAX);
    recall_write(table, &json);
    if (status == DP_OK)
        status = buffer_check(&json, "a table of recall", &call->error);
    if (status == DP_OK)
        status = new_file_put(call, beside, store, buffer_span(&json));
    buffer_deinit(&json);
    return status;
}

/* Measures the recall of the written file, and writes the recall table beside it. */
static enum dp_status measure_file(struct call *call, struct build_run *b, struct span url,
                                   const struct store_options *store, struct recall_table *table)
{
    const struct vector_source source = {
        .count = b->count, .dim = b->dim, .read = read_normal, .ctx = b, .name = b->source->name};
    const struct recall_watch watch = {report_done, b};
    struct store_options cached = store ? *store : (struct store_options){0};
    struct faiss_index *index;
    cached.cache_bytes = memory_allowed(b) / 4;
    b->stage = "measuring";
    enum dp_status status = faiss_index_open_url(call, url, &cached, NULL, &index);
    if (status != DP_OK)
        return status;
    status = recall_measure(call, b->team, &source, b->options->ids, index, b->options->seed + 1, &watch, table);
    faiss_index_free(index);
    return status == DP_OK && table->count > 0 ? put_recall(call, url, store, table) : status;
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static enum dp_status check_build(struct call *call, const struct build_run *b)
{
    if (b->count < 1 || b->dim < 1 || b->dim > INT32_MAX)
        return call_fail(call, DP_INVALID, "%s: it has no vectors to build an index of", b->source->name);
    if (b->nlist > b->count || b->nlist > UINT32_MAX)
        return call_fail(call, DP_INVALID, "%s: %zu lists cannot be made of %" PRIu64 " vectors", b->source->name,
                         b->nlist, b->count);
    for (uint64_t i = 0; b->options->ids && i < b->count; i++)
        if (b->options->ids[i] < 0)
            return call_fail(call, DP_INVALID, "%s: vector %" PRIu64 " has the id %" PRId64 "; ids are 0 or more",
                             b->source->name, i, b->options->ids[i]);
    return DP_OK;
}

static enum dp_status make_build_room(struct call *call, struct build_run *b)
{
    size_t row = b->dim * sizeof(float), floats;
    b->block_rows = row < BLOCK_BYTES ? BLOCK_BYTES / row : 1;
    if (b->block_rows > b->count)
        b->block_rows = (size_t)b->count;
    b->room = mem_calloc(b->block_rows, row);
    b->place = mem_calloc(b->block_rows, sizeof *b->place);
    b->residual = mem_calloc(b->team ? team_size(b->team) : 1, row);
    b->centroids = mem_mul_ok(b->nlist, b->dim, &floats) ? mem_calloc(floats, sizeof(float)) : NULL;
    b->list = b->count <= SIZE_MAX ? mem_calloc((size_t)b->count, sizeof *b->list) : NULL;
    b->sizes = mem_calloc(b->nlist, sizeof *b->sizes);
    b->next = mem_calloc(b->nlist, sizeof *b->next);
    if (b->codec.kind == IVF_SQ8)
        b->codec.trained = b->trained = mem_calloc(2, row);
    if (!b->room || !b->place || !b->residual || !b->centroids || !b->list || !b->sizes || !b->next ||
        (b->codec.kind == IVF_SQ8 && !b->trained))
        return call_nomem(call, "an index");
    return DP_OK;
}

static void free_build_room(struct build_run *b)
{
    mem_free(b->room);
    mem_free(b->place);
    mem_free(b->residual);
    mem_free(b->centroids);
    mem_free(b->list);
    mem_free(b->sizes);
    mem_free(b->next);
    mem_free(b->trained);
}

enum dp_status faiss_build(struct call *call, struct team *team, const struct vector_source *source,
                           const struct faiss_build_options *options, struct span url,
                           const struct store_options *store, struct faiss_built *out)
{
    struct build_run b = {.team = team,
                          .source = source,
                          .options = options,
                          .dim = source->dim,
                          .count = source->count,
                          .nlist = options->nlist > 0 ? options->nlist : faiss_build_auto_nlist(source->count)};
    struct new_file file = {0};
    struct recall_table recall = {0};
    uint64_t bytes = 0;
    b.codec = (struct ivf_codec){.kind = options->kind,
                                 .metric = options->metric,
                                 .dim = b.dim,
                                 .code_size = options->kind == IVF_FLAT ? b.dim * sizeof(float) : b.dim,
                                 .by_residual = options->kind == IVF_SQ8};
    enum dp_status status = check_build(call, &b);
    if (status == DP_OK)
        status = make_build_room(call, &b);
    if (status == DP_OK)
        status = new_file_begin(call, url, store, &file);
    if (status == DP_OK)
        status = train_lists(call, &b);
    if (status == DP_OK)
        status = assign_vectors(call, &b);
    if (status == DP_OK)
        status = write_file(call, &b, &file, &bytes);
    new_file_abort(&file);
    if (status == DP_OK && out)
        *out = (struct faiss_built){.vectors = b.count, .bytes = bytes, .dim = b.dim, .nlist = b.nlist};
    if (status == DP_OK && !options->no_recall)
        status = measure_file(call, &b, url, store, &recall);
    free_build_room(&b);
    if (status == DP_OK && out)
        out->recall = recall;
    return status;
}
