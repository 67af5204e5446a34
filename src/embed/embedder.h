/* embed/embedder.h: the embedder: gathers the texts of all threads into batches for the compute team.
 *
 * A thread that wants vectors waits in embedder_embed. While no batch is running, one of the waiting threads
 * leads: it takes a batch from the queue (embed/batch_queue.h), cuts it into jobs of a few hundred tokens, and runs
 * the jobs on the team, itself included. The team computes a single text together, and also the last jobs when they
 * would leave workers idle. So one request on an idle machine uses all cores. Under load, the requests that arrive
 * during a batch form the next one. When as many small requests wait as the team has workers, their threads do not use
 * the team: that many of them compute a batch each, alone and side by side, so none waits for the end of another's. The
 * queue gives each client (struct call's `client`) its share, lets small requests go first, and bounds the time of a
 * batch. The embedder starts no thread, sets no timer, and never delays a batch to make it larger. A vector does not depend on the other texts of its batch.
 */
#ifndef EMBED_EMBEDDER_H
#define EMBED_EMBEDDER_H

#include "base/metrics.h"
#include "embed/model.h"
#include "os/call.h"
#include "os/team.h"

struct embedder_limits {
    size_t queue_tokens; /* maximum tokens in the queue when a request arrives; 0: 1 << 20 */
};

struct embedder;

/* Makes an embedder, with all memory that embedding needs. `model` and `team` must outlive it. team NULL: the
 * leading thread computes alone. */
enum dp_status embedder_new(const struct model *model, struct team *team, const struct embedder_limits *limits,
                            struct embedder **out, struct dp_error *error);
/* Makes an embedder over an engine that belongs to no model. */
enum dp_status embedder_new_over(const struct engine *engine, struct team *team,
                                 const struct embedder_limits *limits, struct embedder **out,
                                 struct dp_error *error);
void embedder_free(struct embedder *embedder); /* no thread may be in embedder_embed */

/* Computes the vectors out[n][dim] of n token sequences, scaled to length 1 if `normalize`. Returns when all are
 * done.
 *
 * DP_INVALID for an empty or too long sequence, or an id that the model lacks; DP_OVERLOADED at once when the
 * queue is full; DP_DEADLINE or DP_CANCELLED when the call ends first. Adds to call->cost.tokens and embed_ns. Any
 * number of threads may call it at once. */
enum dp_status embedder_embed(struct call *call, struct embedder *embedder, const struct tokens *seqs, size_t n,
                              bool normalize, float *out);

/* Does the same, and sets *done to the number of leading texts whose vectors are complete, also after a failure. */
enum dp_status embedder_embed_some(struct call *call, struct embedder *embedder, const struct tokens *seqs,
                                   size_t n, bool normalize, float *out, size_t *done);

/* The metrics that all embedders of a process share. The registry owns them. */
struct embedder_metrics {
    struct metric *seconds, *texts, *tokens, *alone, *together, *waiting, *wait_seconds, *refused;
};

/* Adds dipper_inference_seconds, dipper_batch_* and dipper_embedder_* to a registry, which must outlive the last call of
 * embedder_embed. */
enum dp_status embedder_metrics_add(struct embedder_metrics *metrics, struct metric_registry *registry,
                                    struct dp_error *error);
/* Makes an embedder count in these metrics. Call it before the first embedder_embed. */
void embedder_set_metrics(struct embedder *embedder, const struct embedder_metrics *metrics);

struct embedder_counts {
    uint64_t texts, tokens, batches, refused;
    uint64_t waiting_tokens;
};
void embedder_read_counts(const struct embedder *embedder, struct embedder_counts *out);

#endif
