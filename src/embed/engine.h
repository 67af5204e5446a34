/* embed/engine.h: an engine computes a model: token ids in, one vector per text out.
 *
 * The vtable of all engines. An engine never changes after it is made. A run writes only to its workspace, so
 * several threads may encode at once, each with a workspace.
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
    size_t skip;        /* number of first tokens that pooling leaves out; below count */
};

struct engine;

struct engine_ops {
    const char *name; /* "native int8", "onnx" */
    /* Makes a workspace for runs whose texts have at most `rows` tokens together. */
    enum dp_status (*workspace_new)(const struct engine *engine, size_t rows, void **out, struct dp_error *error);
    void (*workspace_free)(void *workspace);
    /* Encodes and pools `n` texts without normalising. The caller has checked ids and counts against the bounds
     * below. DP_CORRUPT when a vector holds NaN or an infinity. */
    enum dp_status (*encode)(const struct engine *engine, void *workspace, const struct engine_item *items,
                             size_t n, struct dp_error *error);
    void (*free)(struct engine *engine);
    /* Gives the vectors of encode(), computed by a whole team, when there are fewer texts than workers.
     * workspaces[team_size(team)]. NULL: this engine computes a text on one thread. */
    enum dp_status (*encode_together)(const struct engine *engine, struct team *team, void *const *workspaces,
                                      const struct engine_item *items, size_t n, struct dp_error *error);
};

/* The common part. Each engine's struct begins with it. */
struct engine {
    const struct engine_ops *ops;
    size_t dim;        /* of the vectors */
    size_t max_tokens; /* of a text, special tokens included */
    size_t vocab;      /* every id is below it */
    size_t callers;    /* threads that may encode at once; 0: any number */
};

#endif
