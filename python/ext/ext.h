/* ext.h: what the files of the extension module dipper._dipper share.
 *
 * The module is the public C API (include/dipper/dipper.h) as Python objects, no more; what users see is made of it in
 * python/dipper/. Limited API of Python 3.11: arrays come and go as buffers, so that numpy is no part of the build.
 *
 * Every call that may block is bracketed by blocking_begin and blocking_end: other Python threads run meanwhile, and
 * so do Python's signal handlers; what these raise (KeyboardInterrupt) ends the call.
 */
#ifndef DIPPER_EXT_H
#define DIPPER_EXT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <dipper/dipper.h>

/* ---- blocking calls (blocking.c) ---- */

struct blocking {
    PyThreadState *thread;   /* ours, while the interpreter is others' */
    struct dp_limits limits; /* for the call */
};

/* timeout: seconds, or Python's None. False, with an exception set, when it is neither. */
bool blocking_begin(struct blocking *b, PyObject *timeout);
/* Whether the call succeeded and nothing was raised meanwhile; otherwise an exception is set. */
bool blocking_end(struct blocking *b, enum dp_status status, const struct dp_error *error);

/* Sets the exception of dipper.errors that stands for a status. */
void raise_status(enum dp_status status, const char *message);

/* ---- handles (handle.c) ---- */

/* What guards a handle of the library against being closed under a thread that uses it, and against use in a child
 * process, where its threads are not. The interpreter's lock guards it. */
struct handle {
    unsigned users, process;
    bool closed;
};

void handle_watch_forks(void); /* once, when the module is loaded */
void handle_init(struct handle *h);
/* False, with an exception set, when the handle is closed or another process's. `what`: "this index" */
bool handle_enter(struct handle *h, const char *what);
/* Whether the handle is to be freed now: it was closed meanwhile, and this was its last user. */
bool handle_leave(struct handle *h);
/* Whether it is to be freed now. */
bool handle_close(struct handle *h);
/* Whether freeing it is possible at all: not in a child process. */
bool handle_is_ours(const struct handle *h);

/* ---- arguments (arguments.c) ---- */

/* An array that a Python object lends. */
struct array {
    Py_buffer buffer;
    void *data;
    size_t count; /* items */
    bool held;
};

/* Borrows a contiguous array of items of `item` bytes; None: none, where `optional`. False with an exception set. */
bool array_borrow(struct array *a, PyObject *object, size_t item, bool writable, bool optional, const char *name);
void array_return(struct array *a);

/* A tuple of str as C strings with lengths, borrowed from the tuple; to be freed by PyMem_Free(texts->strings). */
struct texts {
    const char **strings;
    size_t *lengths;
    size_t count;
};
bool texts_borrow(struct texts *texts, PyObject *tuple);

bool has_arguments(Py_ssize_t given, Py_ssize_t wanted, const char *function);
/* Both name the parameter in the exception that they set where they answer false. */
bool size_argument(PyObject *object, const char *name, size_t *out);
bool text_argument(PyObject *object, const char *name, const char **out); /* borrowed from the object */

/* ---- types, added to the module ---- */

bool index_add_type(PyObject *module);
bool model_add_types(PyObject *module);
bool namespace_add_type(PyObject *module);

struct dp_runtime *runtime_of(PyObject *object); /* behind an object of type Runtime */

/* The embedding model behind an object of type Model; NULL with an exception set. Between the two it stays open. */
struct dp_model *model_enter(PyObject *object);
void model_leave(PyObject *object);

PyObject *cost_tuple(const struct dp_cost *cost); /* (rounds, requests, bytes, ms) */

/* ---- functions of the module ---- */

PyObject *build_ivf(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *load_file(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
