/* embed/engine.h: the vtable of all engines. An engine computes a model: token ids in, one vector per text out.
 *
 * An engine never changes after its constructor has returned. A run writes only to its workspace and its items'
 * vectors, so several threads may encode at once, each with its own workspace.
 */
#ifndef EMBED_ENGINE_H
#define EMBED_ENGINE_H

#include "base/error.h"
#include "os/team.h"

/* The way in which the vectors of a text's tokens become one. Packed models store these values: never renumber. */
enum model_pooling { POOLING_MEAN = 0, POOLING_CLS = 1, POOLING_MAX = 2, POOLING_LAST = 3 };

/* One text: ids in, one vector out. */
struct engine_item {
    const int32_t *ids; /* each in [0, vocab) */
    size_t count;       /* in [1, max_tokens] */
    float *out;         /* [dim], pooled, not normalised */
    size_t skip;        /* pooling leaves out this many first tokens; less than `count` */
};

struct engine;

struct engine_ops {
    const char *name; /* "native int8", "onnx" */
    /* Makes a workspace for runs whose texts have at most `rows` tokens together. */
    enum dp_status (*workspace_new)(const struct engine *engine, size_t rows, void **out, struct dp_error *error);
    void (*workspace_free)(void *workspace);
    /* Encodes and pools `n` texts, without normalising. The caller has checked ids and counts against `vocab` and
     * `max_tokens` of struct engine. DP_CORRUPT when a vector holds NaN or an infinity. */
    enum dp_status (*encode)(const struct engine *engine, void *workspace, const struct engine_item *items,
                             size_t n, struct dp_error *error);
    void (*free)(struct engine *engine);
    /* Computes the same vectors as encode() with a whole team, for batches of fewer texts than workers.
     * workspaces[team_size(team)]. NULL: this engine computes a text on one thread. */
    enum dp_status (*encode_together)(const struct engine *engine, struct team *team, void *const *workspaces,
                                      const struct engine_item *items, size_t n, struct dp_error *error);
};

/* The part that all engines share. Each engine's own struct begins with it. */
struct engine {
    const struct engine_ops *ops;
    size_t dim;        /* floats of a vector */
    size_t max_tokens; /* maximum tokens of a text, special tokens included */
    size_t vocab;      /* number of token ids; every id is smaller */
    size_t callers;    /* maximum threads that may encode at once; 0: any number */
};

#endif
