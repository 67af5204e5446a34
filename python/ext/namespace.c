/* namespace.c: the type Namespace, an open namespace, and load_file, which adds rows to one. Requests and answers of the HTTP
 * API pass through as JSON texts. */
#include "ext.h"

struct namespace_object {
    PyObject_HEAD struct dp_namespace *ns;
    struct handle handle;
    PyObject *model; /* stays open as long as the namespace; NULL: none */
};

static void py_namespace_free(struct namespace_object *self)
{
    dp_namespace_close(self->ns);
    self->ns = NULL;
    if (self->model) {
        model_leave(self->model);
        Py_CLEAR(self->model);
    }
}

static void py_namespace_dealloc(PyObject *object)
{
    struct namespace_object *self = (struct namespace_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    if (handle_close(&self->handle))
        py_namespace_free(self);
    release(object);
    Py_DECREF((PyObject *)type);
}

/* Opens the namespace of a new object. */
static bool py_namespace_open(struct namespace_object *self, const char *root, const char *name, bool create,
                              unsigned long long cache, PyObject *timeout)
{
    struct dp_namespace_options options = {.size = sizeof options, .create = create, .cache_bytes = cache};
    struct dp_model *model = self->model ? model_enter(self->model) : NULL;
    struct blocking blocking;
    struct dp_error error;
    bool good = false;

    if (self->model && !model) {
        Py_CLEAR(self->model);
        return false;
    }
    options.model = model;
    if (blocking_begin(&blocking, timeout)) {
        options.limits = blocking.limits;
        enum dp_status status = dp_namespace_open(root, name, &options, &self->ns, &error);
        good = blocking_end(&blocking, status, &error);
    }
    return good; /* if false, freeing the object releases the model */
}

/* Namespace(root, name, create, cache, model | None, timeout) */
static PyObject *py_namespace_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct namespace_object *self;
    const char *root, *name;
    PyObject *model, *timeout;
    unsigned long long cache;
    int create;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "sspKOO", &root, &name, &create, &cache, &model, &timeout))
        return NULL;
    self = (struct namespace_object *)allocate(type, 0);
    if (!self)
        return NULL;
    handle_init(&self->handle);
    self->model = model == Py_None ? NULL : Py_NewRef(model);
    if (!py_namespace_open(self, root, name, create, cache, timeout)) {
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyObject *py_namespace_close(PyObject *object, PyObject *none)
{
    struct namespace_object *self = (struct namespace_object *)object;

    (void)none;
    if (handle_close(&self->handle))
        py_namespace_free(self);
    Py_RETURN_NONE;
}

/* [(id, dist, attributes as JSON), …] */
static PyObject *rows_list(const struct dp_results *results)
{
    size_t count = dp_results_count(results);
    PyObject *rows = PyList_New((Py_ssize_t)count);

    for (size_t i = 0; rows && i < count; i++) {
        const char *name = dp_results_id(results, i);
        PyObject *id =
            dp_results_id_is_number(results, i) ? PyLong_FromString(name, NULL, 10) : PyUnicode_FromString(name);
        PyObject *row =
            id ? Py_BuildValue("(Nds)", id, (double)dp_results_dist(results, i), dp_results_attributes(results, i))
               : NULL;
        if (!row || PyList_SetItem(rows, (Py_ssize_t)i, row) != 0)
            Py_CLEAR(rows);
    }
    return rows;
}

/* Runs a query and returns (rows, cost). */
static PyObject *py_namespace_run_query(struct namespace_object *self, struct dp_query *query, PyObject *timeout)
{
    struct dp_results *results = NULL;
    struct blocking blocking;
    struct dp_error error;
    PyObject *answer = NULL;

    if (!blocking_begin(&blocking, timeout))
        return NULL;
    query->limits = blocking.limits;
    enum dp_status status = dp_namespace_query(self->ns, query, &results, &error);
    if (blocking_end(&blocking, status, &error)) {
        struct dp_cost cost = dp_results_cost(results);
        PyObject *rows = rows_list(results), *costs = rows ? cost_tuple(&cost) : NULL;
        answer = costs ? Py_BuildValue("(OO)", rows, costs) : NULL;
        Py_XDECREF(rows);
        Py_XDECREF(costs);
    }
    dp_results_free(results);
    return answer;
}

/* Reads what is asked for, and how: args[1] to args[6] of query(). */
static bool read_query(PyObject *const *args, struct dp_query *query, struct array *vector)
{
    Py_ssize_t length;
    size_t rank, fusion;

    if (!size_argument(args[2], "k", &query->k) || !size_argument(args[3], "rank", &rank) ||
        !size_argument(args[4], "fusion", &fusion))
        return false;
    query->rank = (enum dp_rank)rank;
    query->fusion = (enum dp_fusion)fusion;
    query->words_share = PyFloat_AsDouble(args[5]);
    if (PyErr_Occurred() || (args[6] != Py_None && !text_argument(args[6], "filters", &query->filters)))
        return false;
    if (PyUnicode_Check(args[1])) {
        query->text = PyUnicode_AsUTF8AndSize(args[1], &length);
        query->text_len = (size_t)length;
        return query->text != NULL;
    }
    if (!array_borrow(vector, args[1], sizeof(float), false, false, "the vector"))
        return false;
    query->vector = vector->data;
    query->dim = vector->count;
    return true;
}

/* query(model | None, str | float32[dim], k, rank, fusion, words_share, filters | None, timeout) */
static PyObject *py_namespace_query(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    struct namespace_object *self = (struct namespace_object *)object;
    struct dp_query query = {.size = sizeof query};
    struct array vector = {.held = false};
    PyObject *answer = NULL;

    if (!has_arguments(given, 8, "query"))
        return NULL;
    if (read_query(args, &query, &vector) && handle_enter(&self->handle, "this namespace")) {
        bool needs_model = args[0] != Py_None;
        if (needs_model)
            query.model = model_enter(args[0]);
        if (!needs_model || query.model)
            answer = py_namespace_run_query(self, &query, args[7]);
        if (query.model)
            model_leave(args[0]);
        if (handle_leave(&self->handle))
            py_namespace_free(self);
    }
    array_return(&vector);
    return answer;
}

/* ---- requests as JSON ---------------------------------------------------------------------------------- */

/* A request on its way. */
struct namespace_request {
    struct dp_namespace *ns;
    const char *body, *key;
    struct dp_limits limits;
    struct dp_answer *answer;
    struct dp_error error;
};

static enum dp_status run_write(struct namespace_request *r)
{
    const struct dp_write write = {
        .size = sizeof write, .limits = r->limits, .request = r->body, .idempotency_key = r->key};

    return dp_namespace_write(r->ns, &write, &r->answer, &r->error);
}

static enum dp_status run_ask(struct namespace_request *r)
{
    const struct dp_call_options options = {.size = sizeof options, .limits = r->limits};

    return dp_namespace_ask(r->ns, r->body, &options, &r->answer, &r->error);
}

static enum dp_status run_info(struct namespace_request *r)
{
    const struct dp_call_options options = {.size = sizeof options, .limits = r->limits};

    return dp_namespace_info(r->ns, &options, &r->answer, &r->error);
}

static enum dp_status run_delete(struct namespace_request *r)
{
    const struct dp_call_options options = {.size = sizeof options, .limits = r->limits};

    return dp_namespace_delete(r->ns, &options, &r->error);
}

/* Runs a request and returns its answer as a str; "" if it has none. */
static PyObject *run_namespace_request(PyObject *object, enum dp_status (*run)(struct namespace_request *),
                                       const char *body, const char *key, PyObject *timeout)
{
    struct namespace_object *self = (struct namespace_object *)object;
    struct namespace_request request = {.body = body, .key = key};
    struct blocking blocking;
    PyObject *text = NULL;

    if (!handle_enter(&self->handle, "this namespace"))
        return NULL;
    request.ns = self->ns;
    if (blocking_begin(&blocking, timeout)) {
        request.limits = blocking.limits;
        enum dp_status status = run(&request);
        if (blocking_end(&blocking, status, &request.error))
            text = PyUnicode_FromString(dp_answer_json(request.answer));
    }
    dp_answer_free(request.answer);
    if (handle_leave(&self->handle))
        py_namespace_free(self);
    return text;
}

/* write(request, key | None, timeout) */
static PyObject *py_namespace_write(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    const char *body, *key = NULL;

    return has_arguments(given, 3, "write") && text_argument(args[0], "the request", &body) &&
                   (args[1] == Py_None || text_argument(args[1], "idempotency_key", &key))
               ? run_namespace_request(object, run_write, body, key, args[2])
               : NULL;
}

/* ask(request, timeout) */
static PyObject *py_namespace_ask(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    const char *body;

    return has_arguments(given, 2, "ask") && text_argument(args[0], "the request", &body)
               ? run_namespace_request(object, run_ask, body, NULL, args[1])
               : NULL;
}

static PyObject *py_namespace_info(PyObject *object, PyObject *timeout)
{
    return run_namespace_request(object, run_info, NULL, NULL, timeout);
}

static PyObject *py_namespace_delete(PyObject *object, PyObject *timeout)
{
    return run_namespace_request(object, run_delete, NULL, NULL, timeout);
}

/* compact(when_due, timeout) → (folded, merged, removed, waiting) */
static PyObject *py_namespace_compact(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    struct namespace_object *self = (struct namespace_object *)object;
    struct dp_compact_options options = {.size = sizeof options};
    struct dp_compact_summary done = {.size = sizeof done};
    struct blocking blocking;
    struct dp_error error;
    bool good = false;

    if (!has_arguments(given, 2, "compact") || !handle_enter(&self->handle, "this namespace"))
        return NULL;
    options.when_due = args[0] == Py_True;
    if (blocking_begin(&blocking, args[1])) {
        options.limits = blocking.limits;
        enum dp_status status = dp_namespace_compact(self->ns, &options, &done, &error);
        good = blocking_end(&blocking, status, &error);
    }
    if (handle_leave(&self->handle))
        py_namespace_free(self);
    if (!good)
        return NULL;
    return Py_BuildValue("(KKKK)", (unsigned long long)done.folded, (unsigned long long)done.merged,
                         (unsigned long long)done.removed, (unsigned long long)done.waiting);
}

/* ---- the module ---------------------------------------------------------------------------------------- */

/* load_file(model, root, name, path of JSON lines, timeout) → (rows, replaced, long_texts, total_rows, bytes) */
PyObject *load_file(PyObject *module, PyObject *const *args, Py_ssize_t given)
{
    struct dp_load_summary summary = {.size = sizeof summary};
    struct blocking blocking;
    struct dp_error error;
    static const char *const names[] = {"root", "name", "path"};
    const char *words[3];
    bool good = false;

    (void)module;
    if (!has_arguments(given, 5, "load_file"))
        return NULL;
    for (int i = 0; i < 3; i++)
        if (!text_argument(args[1 + i], names[i], &words[i]))
            return NULL;
    struct dp_model *model = model_enter(args[0]);
    if (!model)
        return NULL;
    if (blocking_begin(&blocking, args[4])) {
        const struct dp_load_options options = {.size = sizeof options, .limits = blocking.limits};
        enum dp_status status =
            dp_namespace_load_file(model, words[0], words[1], words[2], &options, &summary, &error);
        good = blocking_end(&blocking, status, &error);
    }
    model_leave(args[0]);
    if (!good)
        return NULL;
    return Py_BuildValue("(KKKKK)", (unsigned long long)summary.rows, (unsigned long long)summary.replaced,
                         (unsigned long long)summary.long_texts, (unsigned long long)summary.total_rows,
                         (unsigned long long)summary.bytes);
}

bool namespace_add_type(PyObject *module)
{
    static PyMethodDef methods[] = {
        {"close", py_namespace_close, METH_NOARGS,
         "Closes the namespace; it is freed when no thread queries it any more."},
        {"query", (PyCFunction)(void (*)(void))py_namespace_query, METH_FASTCALL,
         "The nearest rows, and the cost."},
        {"write", (PyCFunction)(void (*)(void))py_namespace_write, METH_FASTCALL,
         "Writes rows; JSON in, JSON out."},
        {"ask", (PyCFunction)(void (*)(void))py_namespace_ask, METH_FASTCALL, "Asks a query; JSON in, JSON out."},
        {"info", py_namespace_info, METH_O, "The namespace's metadata as JSON."},
        {"delete", py_namespace_delete, METH_O, "Deletes the namespace."},
        {"compact", (PyCFunction)(void (*)(void))py_namespace_compact, METH_FASTCALL, "Folds, merges and tidies."},
        {NULL, NULL, 0, NULL}};
    static PyType_Slot slots[] = {
        {Py_tp_new, py_namespace_new}, {Py_tp_dealloc, py_namespace_dealloc}, {Py_tp_methods, methods}, {0, NULL}};
    static PyType_Spec spec = {"dipper._dipper.Namespace", sizeof(struct namespace_object), 0, Py_TPFLAGS_DEFAULT,
                               slots};
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    bool good = type && PyModule_AddObjectRef(module, "Namespace", type) == 0;

    Py_XDECREF(type);
    return good;
}
