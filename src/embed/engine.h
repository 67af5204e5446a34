/* embed/engine.h: what computes a model: token ids in, one vector a text out.
 *
 * The vtable behind which engines stand. An engine never changes after it is made; what a run writes is in a
 * workspace, so several threads may encode at once, each with its own.
 */
#ifndef EMBED_ENGINE_H
#define EMBED_ENGINE_H

#include "base/error.h"
#include "os/team.h"

/* How the vectors of a text's tokens become one. The values are stored in packed models: never renumber. */
enum model_pooling { POOLING_MEAN = 0, POOLING_CLS = 1, POOLING_MAX = 2, POOLING_LAST = 3 };

/* One text: ids in, one vector out. */
struct engine_item {
    const int32_t *ids; /* each in [0, vocab) */
    size_t count;       /* in [1, max_tokens] */
    float *out;         /* [dim], pooled, not normalised */
    size_t skip;        /* the pool leaves out so many of the first tokens; below count */
};

struct engine;

struct engine_ops {
    const char *name; /* "native int8", "onnx" */
    /* A workspace for runs of at most `rows` tokens in all. */
    enum dp_status (*workspace_new)(const struct engine *engine, size_t rows, void **out, struct dp_error *error);
    void (*workspace_free)(void *workspace);
    /* Encodes and pools `n` texts, not normalised. Ids and counts are within the engine's bounds. DP_CORRUPT
     * when the weights give a vector that is no number. */
    enum dp_status (*encode)(const struct engine *engine, void *workspace, const struct engine_item *items,
                             size_t n, struct dp_error *error);
    void (*free)(struct engine *engine);
    /* The same vectors by a whole team, workspaces[team_size(team)], for texts too few to give each worker its own.
     * NULL: this engine computes a text on one thread. */
    enum dp_status (*encode_together)(const struct engine *engine, struct team *team, void *const *workspaces,
                                      const struct engine_item *items, size_t n, struct dp_error *error);
};

/* The common part; an engine's own struct begins with it. */
struct engine {
    const struct engine_ops *ops;
    size_t dim;        /* of its vectors */
    size_t max_tokens; /* of a text, special tokens included */
    size_t vocab;      /* ids are below it */
    size_t callers;    /* threads that may encode at once; 0: any number, as when it has no threads of its own */
};

#endif
