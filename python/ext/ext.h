/* ext.h: what the files of the extension module dipper._dipper share.
 *
 * The module wraps the public C API (include/dipper/dipper.h) as Python objects; python/dipper/ makes the users' classes
 * of them. It uses the limited API of Python 3.11. Arrays are passed as buffers, so the build does not need numpy.
 *
 * blocking_begin and blocking_end bracket every call that may block: other Python threads run meanwhile, and so do
 * Python's signal handlers. An exception of a handler (KeyboardInterrupt) ends the call.
 */
#ifndef DIPPER_EXT_H
#define DIPPER_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dipper/dipper.h>

/* ---- blocking calls (blocking.c) ---- */

struct blocking {
    PyThreadState *thread;   /* our thread's state, while others use the interpreter */
    struct dp_limits limits; /* for the call */
};

/* timeout: seconds, or None. Returns false, with an exception set, if it is neither. */
bool blocking_begin(struct blocking *b, PyObject *timeout);
/* Returns true if the call succeeded and no exception was raised meanwhile; otherwise sets an exception. */
bool blocking_end(struct blocking *b, enum dp_status status, const struct dp_error *error);

/* Sets the exception of dipper.errors for a status. */
void raise_status(enum dp_status status, const char *message);

/* ---- handles (handle.c) ---- */

/* Keeps a handle of the library open while a thread uses it, and refuses it in a child process, which lacks the
 * handle's threads. The interpreter's lock guards this struct. */
struct handle {
    unsigned users, process;
    bool closed;
};

void handle_watch_forks(void); /* once, when the module is loaded */
void handle_init(struct handle *h);
/* Returns false, with an exception set, if the handle is closed or another process's. what: "this index" */
bool handle_enter(struct handle *h, const char *what);
/* Returns true if the caller must free the handle now: it was closed meanwhile, and this was its last user. */
bool handle_leave(struct handle *h);
/* Returns true if the caller must free the handle now. */
bool handle_close(struct handle *h);
/* Returns false in a child process, where the handle cannot be freed. */
bool handle_is_ours(const struct handle *h);

/* ---- arguments (arguments.c) ---- */

/* The memory of an array, borrowed from a Python object. */
struct array {
    Py_buffer buffer;
    void *data;
    size_t count; /* items */
    bool held;
};

/* Borrows a contiguous array of items of `item` bytes. None gives no array if it is `optional`. Returns false with an
 * exception set. */
bool array_borrow(struct array *a, PyObject *object, size_t item, bool writable, bool optional, const char *name);
void array_return(struct array *a);

/* The strings of a tuple of str, borrowed from the tuple. The caller frees texts->strings with PyMem_Free. */
struct texts {
    const char **strings;
    size_t *lengths;
    size_t count;
};
bool texts_borrow(struct texts *texts, PyObject *tuple);

bool has_arguments(Py_ssize_t given, Py_ssize_t wanted, const char *function);
/* These return false with an exception set that names the parameter. */
bool size_argument(PyObject *object, const char *name, size_t *out);
bool text_argument(PyObject *object, const char *name, const char **out); /* borrowed from the object */

/* ---- types, added to the module ---- */

bool index_add_type(PyObject *module);
bool model_add_types(PyObject *module);
bool namespace_add_type(PyObject *module);

struct dp_runtime *runtime_of(PyObject *object); /* of an object of type Runtime */

/* Returns the model of an object of type Model, or NULL with an exception set. It stays open until model_leave. */
struct dp_model *model_enter(PyObject *object);
void model_leave(PyObject *object);

PyObject *cost_tuple(const struct dp_cost *cost); /* (rounds, requests, bytes, ms) */

/* ---- functions of the module ---- */

PyObject *build_ivf(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *load_file(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
