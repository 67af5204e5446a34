/* ingest.c: reads rows, embeds their texts and loads them into a namespace, in a pipeline of three stages.
 *
 *   calling thread   reads lines, parses them, cuts texts into windows
 *   dipper-embed     leads the compute team in embedding
 *   dipper-load      adds the rows to the load, in order, and writes segments as they fill
 *
 * Batches of some hundred rows pass from stage to stage through a ring of SLOTS (os/pipeline.h). So the team
 * never waits between batches, and the ring bounds the memory for a stream of any length. The last stage loads
 * rows in the stream's order, so it writes the same segments as a single thread would.
 *
 * The calling thread reads the stream, because signals interrupt its reads. When the load fails while a read
 * waits, `wake` ends that read.
 */
#include "service/ingest.h"

#include "base/alloc.h"
#include "os/clock.h"
#include "os/gate.h"
#include "os/pipeline.h"
#include "os/thread.h"
#include "service/full_text.h"
#include "service/ingest_batch.h"

enum { READ, EMBED, LOAD, STAGES };

enum {
    SLOTS = 8,           /* about two seconds of work, as long as writing a large segment takes */
    ROWS_A_WORKER = 256, /* rows of a batch, for each worker of the team */
    STAGE_ARENA_MAX = 1 << 20,
};

/* A stage that has its own thread. */
struct stage {
    struct call call;
    struct arena arena;
    pthread_t thread;
    bool started;
};

struct ingest {
    struct service *service;
    struct served_model *model; /* a counted reference; NULL: rows must bring their vectors */
    const struct ingest_options *options;
    char text_options[FULL_TEXT_OPTIONS_ROOM]; /* of a new attribute "text" */
    struct pipeline pipeline;
    struct ingest_batch batches[SLOTS];
    struct ingest_kind kind; /* see ingest_batch.h */
    struct stage embed, load;
    int64_t began_ns;

    /* Only the loading stage touches these two while its thread runs. */
    struct index_loader *loader;
    struct ingest_summary *summary;
};

static void report_progress(const struct ingest *in, bool committing)
{
    if (!in->options->progress)
        return;
    double seconds = (double)(os_now_ns() - in->began_ns) * 1e-9;
    struct ingest_progress progress = {
        .rows = in->summary->rows,
        .bytes = in->summary->bytes,
        .tokens = in->summary->tokens,
        .rows_per_s = seconds > 0 ? (double)in->summary->rows / seconds : 0,
        .committing = committing,
    };
    in->options->progress(in->options->progress_ctx, &progress);
}

/* ---- the stages --------------------------------------------------------------------------------------- */

/* Reads batches until the stream or the pipeline ends. Runs on the calling thread. While the ring is full, it
 * checks whether somebody cancelled the call. */
static void read_batches(struct ingest *in, struct ingest_reader *reader)
{
    enum pipeline_taken taken = PIPELINE_NOT_YET;
    size_t slot;
    while (!reader->ended && taken != PIPELINE_OVER) {
        taken = pipeline_take_soon(&in->pipeline, READ, &slot);
        if (taken == PIPELINE_TAKEN) {
            ingest_batch_read(reader, &in->batches[slot]);
            pipeline_pass(&in->pipeline, READ);
        } else if (taken == PIPELINE_NOT_YET && call_check(reader->call) != DP_OK) {
            pipeline_stop(&in->pipeline);
        }
    }
    pipeline_end(&in->pipeline);
}

static void *embed_batches(void *context)
{
    struct ingest *in = context;
    size_t slot;
    while (pipeline_take(&in->pipeline, EMBED, &slot)) {
        ingest_batch_embed(&in->embed.call, in->model, &in->kind, &in->batches[slot]);
        pipeline_pass(&in->pipeline, EMBED);
    }
    return NULL;
}

static enum dp_status begin_load(struct ingest *in, const struct ingest_batch *b)
{
    const struct service *s = in->service;
    struct index_vectors vectors = {.dim = (uint32_t)in->kind.dim, .metric = in->options->metric};
    if (!in->kind.own_vectors) {
        vectors.model = in->model->facts.name;
        vectors.fingerprint = in->model->facts.fingerprint;
    }
    enum dp_status status =
        index_load_begin(&in->load.call, s->store, in->options->namespace, &vectors, s->team, &in->loader);
    if (status == DP_OK)
        index_load_declare(in->loader, span_str(FULL_TEXT_ATTRIBUTE), span_str(in->text_options));
    in->load.call.patient = status == DP_OK; /* the store has answered, and embedded rows are worth a wait */
    if (status != DP_INVALID && status != DP_UNSUPPORTED)
        return status; /* the store's failure, not a row's */
    return ingest_at_line(&in->load.call, b->rows[0].line);
}

static enum dp_status load_batch(struct ingest *in, const struct ingest_batch *b)
{
    enum dp_status status = call_check(&in->load.call);
    if (status == DP_OK && !in->loader && b->count)
        status = begin_load(in, b);
    if (status == DP_OK)
        status = ingest_batch_load(&in->load.call, in->loader, b, in->summary);
    if (status == DP_OK && b->count)
        report_progress(in, false);
    return status;
}

static void *load_batches(void *context)
{
    struct ingest *in = context;
    size_t slot;
    while (pipeline_take(&in->pipeline, LOAD, &slot)) {
        if (load_batch(in, &in->batches[slot]) != DP_OK) {
            pipeline_stop(&in->pipeline);
            if (in->options->wake)
                in->options->wake(in->options->wake_ctx);
            continue;
        }
        pipeline_pass(&in->pipeline, LOAD);
    }
    return NULL;
}

/* ---- the pipeline -------------------------------------------------------------------------------------- */

static enum dp_status start_stage(struct call *call, struct ingest *in, struct stage *stage, const char *name,
                                  void *(*run)(void *context))
{
    arena_init(&stage->arena, STAGE_ARENA_MAX);
    call_child(call, &stage->call, &stage->arena);
    int failed = os_thread_start(&stage->thread, name, run, in);
    stage->started = failed == 0;
    if (failed)
        return call_fail(call, DP_UNAVAILABLE, "cannot start a thread: %s", strerror(failed));
    return DP_OK;
}

static void join_stage(struct call *call, struct stage *stage)
{
    if (stage->started)
        call_join(call, stage->thread);
    call_merge(call, &stage->call);
    arena_deinit(&stage->arena);
}

static enum dp_status run_stages(struct call *call, struct ingest *in, struct ingest_reader *reader)
{
    enum dp_status status = start_stage(call, in, &in->embed, "dipper-embed", embed_batches);
    if (status == DP_OK)
        status = start_stage(call, in, &in->load, "dipper-load", load_batches);
    if (status == DP_OK)
        read_batches(in, reader);
    else
        pipeline_stop(&in->pipeline);
    join_stage(call, &in->load); /* first: of several errors, its error comes first in the stream */
    join_stage(call, &in->embed);
    if (call->error.status == DP_OK && !in->loader)
        return call_fail(call, DP_INVALID, "there are no rows to index");
    return call->error.status;
}

static enum dp_status load_all(struct call *call, struct ingest *in, struct line_reader *lines)
{
    struct ingest_reader reader = {
        .call = call, .service = in->service, .model = in->model, .in = lines, .kind = &in->kind};
    size_t rows = in->options->batch_rows;
    if (rows == 0)
        rows = (size_t)ROWS_A_WORKER * team_size(in->service->team);
    enum dp_status status = DP_OK;
    buffer_init(&reader.scratch, 2 * (size_t)INGEST_LINE_MAX);
    pipeline_init(&in->pipeline, STAGES, SLOTS);
    for (size_t i = 0; i < SLOTS && status == DP_OK; i++)
        if (!ingest_batch_init(&in->batches[i], rows))
            status = call_nomem(call, "batches of rows");
    if (status == DP_OK)
        status = run_stages(call, in, &reader);
    for (size_t i = 0; i < SLOTS; i++)
        ingest_batch_deinit(&in->batches[i]);
    pipeline_deinit(&in->pipeline);
    buffer_deinit(&reader.scratch);
    return status;
}

enum dp_status service_ingest(struct call *call, struct service *s, struct line_reader *lines,
                              const struct ingest_options *options, struct ingest_summary *summary)
{
    struct ingest in = {.service = s, .options = options, .summary = summary};
    *summary = (struct ingest_summary){.rows = 0};
    enum dp_status status = service_need_store(call, s);
    if (status == DP_OK)
        status = index_check_name(options->namespace, &call->error);
    if (status == DP_OK)
        status = gate_enter(call, GATE_WRITE, options->namespace);
    if (status == DP_OK)
        status = service_full_text_options(call, s->store, options->namespace, options->language, in.text_options);
    if (status != DP_OK)
        return status;
    in.began_ns = os_now_ns();
    in.model = models_try(&s->models, span_of(NULL, 0));
    status = load_all(call, &in, lines);
    if (status == DP_OK) {
        int64_t began = os_now_ns();
        report_progress(&in, true);
        struct index_loader *loader = in.loader;
        call->patient = true;
        in.loader = NULL; /* the commit frees it, even on failure */
        status = index_load_commit(call, loader, &summary->load);
        summary->commit_ns = os_now_ns() - began;
    }
    index_load_abort(in.loader);
    served_model_release(in.model);
    summary->total_ns = os_now_ns() - in.began_ns;
    return status;
}
