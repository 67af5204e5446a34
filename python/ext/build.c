/* build.c: build_ivf builds a FAISS file from vectors. */
#include "ext.h"

#include <string.h>

/* The caller's function for the progress of a build. */
struct listener {
    struct blocking blocking;
    PyObject *function; /* NULL: nobody listens */
};

/* Runs on the building thread. An exception of a signal handler or of the listener ends the build. */
static bool on_progress(void *ctx, const char *stage, double done)
{
    struct listener *l = ctx;
    bool goes_on;

    PyEval_RestoreThread(l->blocking.thread);
    goes_on = !PyErr_Occurred() && PyErr_CheckSignals() == 0;
    if (goes_on && l->function) {
        PyObject *answer = PyObject_CallFunction(l->function, "sd", stage, done);
        goes_on = answer != NULL;
        Py_XDECREF(answer);
    }
    l->blocking.thread = PyEval_SaveThread();
    return goes_on;
}

static bool ivf_kind_of(const char *name, enum dp_ivf_kind *out)
{
    *out = strcmp(name, "sq8") == 0 ? DP_IVF_SQ8 : DP_IVF_FLAT;
    if (*out == DP_IVF_FLAT && strcmp(name, "flat") != 0) {
        PyErr_Format(PyExc_ValueError, "kind is \"%s\": it must be \"flat\" or \"sq8\"", name);
        return false;
    }
    return true;
}

static bool metric_named(const char *name, enum dp_metric *out)
{
    static const char *const names[] = {
        [DP_METRIC_L2] = "l2", [DP_METRIC_INNER_PRODUCT] = "inner_product", [DP_METRIC_COSINE] = "cosine"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (enum dp_metric)i;
            return true;
        }
    PyErr_Format(PyExc_ValueError, "metric is \"%s\": it must be \"l2\", \"inner_product\" or \"cosine\"", name);
    return false;
}

/* build_ivf(runtime, x, dim, ids | None, path, nlist, kind, metric, seed, recall, progress | None): x is
 * float32[n][dim]. */
PyObject *build_ivf(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    struct dp_index_build_options options = {.size = sizeof options, .progress = on_progress};
    struct listener listener = {.function = NULL};
    struct array vectors, ids = {.held = false};
    const char *path, *kind, *metric;
    struct dp_error error;
    bool good = false;
    size_t dim, seed;
    int recall;

    (void)module;
    if (!has_arguments(given, 11, "build_ivf") || !size_argument(args[2], "dim", &dim) ||
        !size_argument(args[5], "nlist", &options.nlist) || !size_argument(args[8], "seed", &seed) ||
        !text_argument(args[4], "path", &path) || !text_argument(args[6], "kind", &kind) ||
        !text_argument(args[7], "metric", &metric) || !ivf_kind_of(kind, &options.kind) ||
        !metric_named(metric, &options.metric))
        return NULL;
    recall = PyObject_IsTrue(args[9]);
    if (recall < 0 || !array_borrow(&vectors, args[1], sizeof(float), false, false, "x"))
        return NULL;
    options.seed = seed;
    options.no_recall = !recall;
    options.progress_ctx = &listener;
    listener.function = args[10] == Py_None ? NULL : args[10];
    if (!array_borrow(&ids, args[3], sizeof(int64_t), false, true, "ids"))
        goto out;
    if (dim == 0 || vectors.count % dim != 0 || (ids.held && ids.count != vectors.count / dim)) {
        PyErr_SetString(PyExc_ValueError, "x must have the shape (n, dim), and ids must have n items");
    } else if (blocking_begin(&listener.blocking, Py_None)) {
        enum dp_status status = dp_index_build(runtime_of(args[0]), vectors.data, vectors.count / dim, dim,
                                               ids.data, path, &options, &error);
        good = blocking_end(&listener.blocking, status, &error);
    }
out:
    array_return(&vectors);
    array_return(&ids);
    if (!good)
        return NULL;
    Py_RETURN_NONE;
}
