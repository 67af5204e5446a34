/* embed/embedder.h: the embedder: gathers the texts of all threads into batches for the compute team.
 *
 * A thread that wants vectors waits in embedder_embed; while no batch is running, one of the waiting threads
 * leads: it takes texts from the queue, cuts them into jobs of a few hundred tokens, and runs the jobs on the
 * team, itself included; what would leave workers idle at the end, or a single text, they compute together. So one
 * request on an idle machine is spread over all cores, and under load the requests that came in during a batch
 * form the next one. No thread of its own, no timer, no waiting for
 * company. A vector does not depend on what else is in its batch.
 */
#ifndef EMBED_EMBEDDER_H
#define EMBED_EMBEDDER_H

#include "base/metrics.h"
#include "embed/model.h"
#include "os/call.h"
#include "os/team.h"

struct embedder_limits {
    size_t queue_tokens; /* tokens that may wait, those of the asking thread not counted; 0: 1 << 20 */
};

struct embedder;

/* `model` and `team` (NULL: the leading thread alone) must outlive it. All memory that embedding takes is
 * allocated here. */
enum dp_status embedder_new(const struct model *model, struct team *team, const struct embedder_limits *limits,
                            struct embedder **out, struct dp_error *error);
/* The same over an engine alone. */
enum dp_status embedder_new_over(const struct engine *engine, struct team *team,
                                 const struct embedder_limits *limits, struct embedder **out,
                                 struct dp_error *error);
void embedder_free(struct embedder *embedder); /* nobody may be inside */

/* Computes out[n][dim] for n token sequences; normalised when asked. Returns when all are done.
 *
 * DP_INVALID for an empty or over-long sequence or an id the model does not have; DP_OVERLOADED at once when
 * the queue is full; DP_DEADLINE or DP_CANCELLED when the call ends first. Adds to call->cost.tokens and
 * embed_ns. Any number of threads may call it at once. */
enum dp_status embedder_embed(struct call *call, struct embedder *embedder, const struct tokens *seqs, size_t n,
                              bool normalize, float *out);

/* Adds dipper_inference_seconds, dipper_batch_* and dipper_embedder_* to a registry that lives longer than the last
 * call of embedder_embed. While the program starts: nobody may be embedding yet. */
enum dp_status embedder_add_metrics(struct embedder *embedder, struct metric_registry *registry,
                                    struct dp_error *error);

struct embedder_counts {
    uint64_t texts, tokens, batches, refused;
    uint64_t waiting_tokens;
};
void embedder_read_counts(const struct embedder *embedder, struct embedder_counts *out);

#endif
