/* model.c: the types Runtime (compute threads) and Model (an embedding model). */
#include "ext.h"

#include <structmember.h>

struct runtime_object {
    PyObject_HEAD struct dp_runtime *runtime;
    struct handle handle;
};

struct model_object {
    PyObject_HEAD struct dp_model *model;
    struct handle handle;
    PyObject *runtime;
    size_t dim, max_tokens;
};

/* ---- Runtime(threads): 0: one thread for each processor --------------------------------------- */

static PyObject *py_runtime_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct dp_runtime_options options = {.size = sizeof options};
    unsigned threads;
    struct runtime_object *self;
    struct dp_error error;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "I", &threads))
        return NULL;
    options.threads = threads;
    self = (struct runtime_object *)allocate(type, 0);
    if (!self)
        return NULL;
    handle_init(&self->handle);
    if (dp_runtime_new(&options, &self->runtime, &error) != DP_OK) {
        raise_status(error.status, error.message);
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    return (PyObject *)self;
}

static void py_runtime_dealloc(PyObject *object)
{
    struct runtime_object *self = (struct runtime_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    if (handle_close(&self->handle)) {
        Py_BEGIN_ALLOW_THREADS /* dp_runtime_free waits for the compute threads */
            dp_runtime_free(self->runtime);
        Py_END_ALLOW_THREADS
    }
    release(object);
    Py_DECREF((PyObject *)type);
}

struct dp_runtime *runtime_of(PyObject *object)
{
    return ((struct runtime_object *)object)->runtime;
}

/* ---- Model ------------------------------------------------------------------------------------------------- */

static void py_model_free(struct model_object *self)
{
    dp_model_close(self->model);
    self->model = NULL;
    Py_CLEAR(self->runtime);
}

static void py_model_dealloc(PyObject *object)
{
    struct model_object *self = (struct model_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    if (handle_close(&self->handle))
        py_model_free(self);
    release(object);
    Py_DECREF((PyObject *)type);
}

/* Model(runtime, path | None, fp32): None is the model that comes with Dipper. */
static PyObject *py_model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct dp_model_options options = {.size = sizeof options};
    struct model_object *self;
    struct dp_error error;
    enum dp_status status;
    PyObject *runtime;
    const char *path;
    int fp32;

    (void)kwargs;
    if (!PyArg_ParseTuple(args, "Ozp", &runtime, &path, &fp32))
        return NULL;
    options.precision = fp32 ? DP_PRECISION_FP32 : DP_PRECISION_INT8;
    self = (struct model_object *)allocate(type, 0);
    if (!self)
        return NULL;
    handle_init(&self->handle);
    self->runtime = Py_NewRef(runtime);
    struct dp_runtime *threads = runtime_of(runtime);
    Py_BEGIN_ALLOW_THREADS status = path ? dp_model_open(threads, path, &options, &self->model, &error)
                                         : dp_model_open_default(threads, &options, &self->model, &error);
    Py_END_ALLOW_THREADS if (status != DP_OK)
    {
        raise_status(status, error.message);
        Py_DECREF((PyObject *)self);
        return NULL;
    }
    self->dim = dp_model_dim(self->model);
    self->max_tokens = dp_model_max_tokens(self->model);
    return (PyObject *)self;
}

struct dp_model *model_enter(PyObject *object)
{
    struct model_object *self = (struct model_object *)object;

    return handle_enter(&self->handle, "this model") ? self->model : NULL;
}

void model_leave(PyObject *object)
{
    struct model_object *self = (struct model_object *)object;

    if (handle_leave(&self->handle))
        py_model_free(self);
}

static PyObject *py_model_close(PyObject *object, PyObject *none)
{
    struct model_object *self = (struct model_object *)object;

    (void)none;
    if (handle_close(&self->handle))
        py_model_free(self);
    Py_RETURN_NONE;
}

static PyObject *py_model_name(PyObject *object, PyObject *none)
{
    struct dp_model *model = model_enter(object);
    PyObject *name = model ? PyUnicode_FromString(dp_model_name(model)) : NULL;

    (void)none;
    if (model)
        model_leave(object);
    return name;
}

/* encode(tuple of str, normalize, timeout, out, input): out is float32[texts][dim]; input is an enum dp_input. */
static PyObject *py_model_encode(PyObject *object, PyObject *const *args, Py_ssize_t given)
{
    struct model_object *self = (struct model_object *)object;
    struct texts texts = {.strings = NULL};
    struct blocking blocking;
    struct dp_error error;
    struct dp_model *model = NULL;
    struct array out;
    bool good = false;

    if (!has_arguments(given, 5, "encode"))
        return NULL;
    const int normalize = PyObject_IsTrue(args[1]);
    const long input = PyLong_AsLong(args[4]);
    if (PyErr_Occurred() || !array_borrow(&out, args[3], sizeof(float), true, false, "out"))
        return NULL;
    if (!texts_borrow(&texts, args[0]))
        goto out;
    if (out.count == texts.count * self->dim)
        model = model_enter(object);
    else
        PyErr_SetString(PyExc_ValueError, "out must have the shape (texts, dim)");
    if (model && blocking_begin(&blocking, args[2])) {
        const struct dp_embed_options options = {.size = sizeof options,
                                                 .limits = blocking.limits,
                                                 .lengths = texts.lengths,
                                                 .input = (enum dp_input)input,
                                                 .raw = normalize == 0};
        enum dp_status status = dp_embed(model, texts.strings, texts.count, &options, out.data, &error);
        good = blocking_end(&blocking, status, &error);
    }
    if (model)
        model_leave(object);
out:
    PyMem_Free((void *)texts.strings);
    array_return(&out);
    if (!good)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- The module's types ----------------------------------------------------------------------------------- */

static bool add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    bool good = type && PyModule_AddObjectRef(module, name, type) == 0;

    Py_XDECREF(type);
    return good;
}

bool model_add_types(PyObject *module)
{
    static PyType_Slot runtime_slots[] = {
        {Py_tp_new, py_runtime_new}, {Py_tp_dealloc, py_runtime_dealloc}, {0, NULL}};
    static PyType_Spec runtime = {"dipper._dipper.Runtime", sizeof(struct runtime_object), 0, Py_TPFLAGS_DEFAULT,
                                  runtime_slots};
    static PyMethodDef methods[] = {
        {"close", py_model_close, METH_NOARGS, "Closes the model; it is freed when no thread uses it any more."},
        {"encode", (PyCFunction)(void (*)(void))py_model_encode, METH_FASTCALL, "Embeds texts into an array."},
        {"name", py_model_name, METH_NOARGS, "The model's name."},
        {NULL, NULL, 0, NULL}};
    static PyMemberDef members[] = {
        {"dim", T_PYSSIZET, offsetof(struct model_object, dim), READONLY, "floats of an embedding"},
        {"max_tokens", T_PYSSIZET, offsetof(struct model_object, max_tokens), READONLY,
         "maximum tokens of a text; longer texts are cut"},
        {NULL, 0, 0, 0, NULL}};
    static PyType_Slot model_slots[] = {{Py_tp_new, py_model_new},
                                        {Py_tp_dealloc, py_model_dealloc},
                                        {Py_tp_methods, methods},
                                        {Py_tp_members, members},
                                        {0, NULL}};
    static PyType_Spec model = {"dipper._dipper.Model", sizeof(struct model_object), 0, Py_TPFLAGS_DEFAULT,
                                model_slots};

    return add_type(module, &runtime, "Runtime") && add_type(module, &model, "Model");
}
