/* index.c: the type Index: an open FAISS file (dp_index). */
#include "ext.h"

#include <limits.h>
#include <string.h>
#include <structmember.h>

/* The interpreter's lock guards all fields but `index`, which does not change until it is freed. */
struct index_object {
    PyObject_HEAD struct dp_index *index;
    struct handle handle;
    size_t dim;
    PyObject *reader;    /* the caller's function, or NULL */
    struct dp_cost cost; /* cost of the search that ended last */
};

static void py_index_free(struct index_object *self)
{
    struct dp_index *index = self->index;

    self->index = NULL;
    dp_index_close(index);
    Py_CLEAR(self->reader);
}

static int py_index_clear(PyObject *object)
{
    struct index_object *self = (struct index_object *)object;

    if (handle_close(&self->handle))
        py_index_free(self);
    return 0;
}

static int py_index_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT((PyObject *)Py_TYPE(object));
    Py_VISIT(((struct index_object *)object)->reader);
    return 0;
}

static void py_index_dealloc(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(object);
    (void)py_index_clear(object);
    release(object);
    Py_DECREF((PyObject *)type);
}

/* ---- a caller's reader ------------------------------------------------------------------------------------ */

/* ((offset, length), …) */
static PyObject *ranges_tuple(const struct dp_range *ranges, size_t count)
{
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);

    for (size_t i = 0; tuple && i < count; i++) {
        PyObject *pair = Py_BuildValue("(Kn)", (unsigned long long)ranges[i].offset, (Py_ssize_t)ranges[i].len);
        if (!pair || PyTuple_SetItem(tuple, (Py_ssize_t)i, pair) != 0)
            Py_CLEAR(tuple);
    }
    return tuple;
}

/* Copies the reader's bytes. The library refuses a range of the wrong length. */
static bool copy_reader_bytes(PyObject *answer, struct dp_range *ranges, size_t count)
{
    PyObject *parts = PySequence_Tuple(answer);
    bool good = parts != NULL;

    if (good && (size_t)PyTuple_Size(parts) != count) {
        PyErr_Format(PyExc_ValueError, "the reader returned %zd ranges; it must return %zu", PyTuple_Size(parts),
                     count);
        good = false;
    }
    for (size_t i = 0; good && i < count; i++) {
        struct array bytes;
        good = array_borrow(&bytes, PyTuple_GetItem(parts, (Py_ssize_t)i), 1, false, false, "the reader's bytes");
        if (good) {
            memcpy(ranges[i].into, bytes.data, bytes.count < ranges[i].len ? bytes.count : ranges[i].len);
            ranges[i].got = bytes.count;
            array_return(&bytes);
        }
    }
    Py_XDECREF(parts);
    return good;
}

/* The reader's exception stays set in this thread; the call raises it. */
static enum dp_status call_reader(void *ctx, struct dp_range *ranges, size_t count, int64_t timeout_ms,
                                  char *message)
{
    struct index_object *self = ctx;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *asked = ranges_tuple(ranges, count);
    PyObject *answer = asked ? PyObject_CallFunctionObjArgs(self->reader, asked, NULL) : NULL;
    bool good = answer && copy_reader_bytes(answer, ranges, count);

    (void)timeout_ms;
    (void)message;
    Py_XDECREF(answer);
    Py_XDECREF(asked);
    PyGILState_Release(state);
    return good ? DP_OK : DP_IO;
}

/* ---- opening ---------------------------------------------------------------------------------------------- */

static bool py_index_open(struct index_object *self, const char *url, PyObject *reader, uint64_t size,
                          struct dp_index_options *options, PyObject *timeout)
{
    struct dp_index_info info = {.size = sizeof info};
    struct blocking blocking;
    struct dp_error error;
    enum dp_status status;

    if (!blocking_begin(&blocking, timeout))
        return false;
    options->limits = blocking.limits;
    if (reader)
        options->reader = (struct dp_reader){.file_bytes = size, .read_ranges = call_reader, .ctx = self};
    status = dp_index_open(url, options, &self->index, &error);
    if (!blocking_end(&blocking, status, &error)) {
        dp_index_close(self->index); /* a signal came after the opening had succeeded */
        self->index = NULL;
        return false;
    }
    dp_index_info(self->index, &info, &error);
    self->dim = info.dim;
    return true;
}

/* Index(url | None, reader | None, size, name, cluster_data_offset, n_clusters, merge, recall_table | None, timeout,
 * cache) */
static PyObject *py_index_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct dp_index_options options = {.size = sizeof options};
    unsigned long long size, offset, lists, cache;
    const char *url, *name, *recall_table;
    PyObject *reader, *timeout;
    struct index_object *self;
    int merge;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "zOKzKKpzOK", &url, &reader, &size, &name, &offset, &lists, &merge, &recall_table,
                          &timeout, &cache))
        return NULL;
    options.name = name;
    options.cluster_data_offset = offset;
    options.n_clusters = lists;
    options.merge_none = !merge;
    options.recall_table = recall_table;
    options.cache_bytes = cache;
    self = (struct index_object *)allocate(type, 0);
    if (!self)
        return NULL;
    handle_init(&self->handle);
    self->reader = reader == Py_None ? NULL : Py_NewRef(reader);
    if (!py_index_open(self, url, self->reader, size, &options, timeout)) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *py_index_close(PyObject *object, PyObject *none)
{
    (void)none;
    (void)py_index_clear(object);
    Py_RETURN_NONE;
}

static bool py_index_enter(struct index_object *self)
{
    return handle_enter(&self->handle, "this index");
}

static void py_index_leave(struct index_object *self)
{
    if (handle_leave(&self->handle))
        py_index_free(self);
}

/* The fields of dipper.Info, in its order. */
static PyObject *py_index_info(PyObject *object, PyObject *none)
{
    struct index_object *self = (struct index_object *)object;
    struct dp_index_info info = {.size = sizeof info};
    struct dp_error error;

    (void)none;
    if (!py_index_enter(self))
        return NULL;
    dp_index_info(self->index, &info, &error);
    py_index_leave(self);
    return Py_BuildValue("(snsKKKKKKKKNf)", info.kind, (Py_ssize_t)info.dim,
                         info.metric == DP_METRIC_L2 ? "l2" : "inner_product", (unsigned long long)info.vectors,
                         (unsigned long long)info.lists, (unsigned long long)info.default_nprobe,
                         (unsigned long long)info.cluster_data_offset, (unsigned long long)info.file_bytes,
                         (unsigned long long)info.open_rounds, (unsigned long long)info.open_bytes,
                         (unsigned long long)info.in_no_list, PyBool_FromLong(info.flat), (double)info.k_factor);
}

/* ---- searching -------------------------------------------------------------------------------------------- */

struct arrays {
    struct array queries, keep, skip, distances, ids;
};

static void arrays_return(struct arrays *a)
{
    array_return(&a->queries);
    array_return(&a->keep);
    array_return(&a->skip);
    array_return(&a->distances);
    array_return(&a->ids);
}

/* Borrows x if it is float32[n][dim] in C order; otherwise returns false without an exception. */
static bool queries_borrow(struct array *a, PyObject *x, size_t dim)
{
    if (PyObject_GetBuffer(x, &a->buffer, PyBUF_STRIDED_RO | PyBUF_FORMAT) != 0) {
        PyErr_Clear();
        return false;
    }
    a->held = true;
    a->data = a->buffer.buf;
    a->count = (size_t)a->buffer.len / sizeof(float);
    return a->buffer.ndim == 2 && (size_t)a->buffer.shape[1] == dim && strcmp(a->buffer.format, "f") == 0 &&
           PyBuffer_IsContiguous(&a->buffer, 'C');
}

static bool arrays_borrow(struct arrays *a, PyObject *const *args, struct dp_index_search_options *options)
{
    if (!array_borrow(&a->keep, args[4], sizeof(int64_t), false, true, "filter") ||
        !array_borrow(&a->skip, args[5], sizeof(int64_t), false, true, "skip") ||
        !array_borrow(&a->distances, args[7], sizeof(float), true, false, "D") ||
        !array_borrow(&a->ids, args[8], sizeof(int64_t), true, false, "I"))
        return false;
    static const int64_t none;
    options->keep = a->keep.held && !a->keep.data ? &none : a->keep.data; /* an empty array may have no address */
    options->keep_count = a->keep.count;
    options->skip = a->skip.data;
    options->skip_count = a->skip.data ? a->skip.count : 0;
    return true;
}

/* Searches without the interpreter's lock. */
static bool py_index_run_search(struct index_object *self, const struct arrays *a, size_t count, size_t k,
                                struct dp_index_search_options *options, PyObject *timeout)
{
    struct dp_cost one, *costs = count > 1 ? PyMem_Calloc(count, sizeof *costs) : &one;
    struct dp_cost total = {0};
    struct blocking blocking;
    struct dp_error error;
    enum dp_status status;
    bool good = false;

    if (!costs) {
        PyErr_NoMemory();
        return false;
    }
    if (blocking_begin(&blocking, timeout)) {
        options->limits = blocking.limits;
        status = dp_index_search(self->index, a->queries.data, count, self->dim, k, options, a->ids.data,
                                 a->distances.data, costs, &error);
        good = blocking_end(&blocking, status, &error);
    }
    for (size_t q = 0; good && q < count; q++) {
        total.rounds += costs[q].rounds;
        total.requests += costs[q].requests;
        total.bytes += costs[q].bytes;
        total.ms += costs[q].ms;
    }
    if (good)
        self->cost = total;
    if (costs != &one)
        PyMem_Free(costs);
    return good;
}

/* search(x, k, nprobe, recall, keep | None, skip | None, timeout, D, I, k_factor, scan_all): x is float32[n][dim], D and I
 * are n × k. Returns False without searching if x has another form: the caller converts it, which is rare. */
static PyObject *py_index_search(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    struct index_object *self = (struct index_object *)object;
    struct dp_index_search_options options = {.size = sizeof options};
    struct arrays arrays = {.queries = {.held = false}};
    bool good = false;
    size_t k;

    if (!has_arguments(given, 11, "search") || !size_argument(args[1], "k", &k) ||
        !size_argument(args[2], "nprobe", &options.nprobe))
        return NULL;
    options.recall = PyFloat_AsDouble(args[3]);
    options.k_factor = (float)PyFloat_AsDouble(args[9]);
    options.scan_all = PyObject_IsTrue(args[10]) == 1;
    if (PyErr_Occurred())
        return NULL;
    if (!queries_borrow(&arrays.queries, args[0], self->dim)) {
        arrays_return(&arrays);
        Py_RETURN_FALSE;
    }
    const size_t count = (size_t)arrays.queries.buffer.shape[0];
    if (!arrays_borrow(&arrays, args, &options))
        goto out;
    if (k == 0 || arrays.ids.count != count * k || arrays.distances.count != count * k) {
        PyErr_SetString(PyExc_ValueError, "k must be above 0, and D and I of the shape (queries, k)");
    } else if (py_index_enter(self)) {
        good = py_index_run_search(self, &arrays, count, k, &options, args[6]);
        py_index_leave(self);
    }
out:
    arrays_return(&arrays);
    if (!good)
        return NULL;
    Py_RETURN_TRUE;
}

static PyObject *py_index_cost(PyObject *object, void *closure)
{
    (void)closure;
    return cost_tuple(&((struct index_object *)object)->cost);
}

/* ---- the type --------------------------------------------------------------------------------------------- */

bool index_add_type(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"close", py_index_close, METH_NOARGS,
         "Closes the file; it is freed when no thread searches it any more."},
        {"info", py_index_info, METH_NOARGS, "Describes the file."},
        {"search", (PyCFunction)(void (*)(void))py_index_search, METH_FASTCALL, "Fills D and I."},
        {NULL, NULL, 0, NULL}};
    static PyMemberDef members[] = {
        {"dim", T_PYSSIZET, offsetof(struct index_object, dim), READONLY, "floats of a query"},
        {NULL, 0, 0, 0, NULL}};
    static PyGetSetDef getters[] = {
        {"last_cost", py_index_cost, NULL, "the cost of the search that ended last", NULL},
        {NULL, NULL, NULL, NULL, NULL}};
    static PyType_Slot slots[] = {{Py_tp_new, py_index_new},
                                  {Py_tp_dealloc, py_index_dealloc},
                                  {Py_tp_traverse, py_index_traverse},
                                  {Py_tp_clear, py_index_clear},
                                  {Py_tp_methods, methods},
                                  {Py_tp_members, members},
                                  {Py_tp_getset, getters},
                                  {0, NULL}};
    static PyType_Spec spec = {"dipper._dipper.Index", sizeof(struct index_object), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    bool good = type && PyModule_AddObjectRef(module, "Index", type) == 0;

    Py_XDECREF(type);
    return good;
}
