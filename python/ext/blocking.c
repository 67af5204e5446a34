/* blocking.c: runs long calls of the library without the interpreter's lock, so that signals can interrupt them. */
#include "ext.h"

#include <math.h>
#include <string.h>

/* Runs Python's pending signal handlers. Python runs them only on the main thread, so on others the call does nothing. */
static bool was_interrupted(void *ctx)
{
    struct blocking *b = ctx;
    bool raised;

    PyEval_RestoreThread(b->thread);
    raised = PyErr_Occurred() || PyErr_CheckSignals() != 0;
    b->thread = PyEval_SaveThread();
    return raised;
}

bool blocking_begin(struct blocking *b, PyObject *timeout)
{
    uint64_t timeout_ms = 0;

    if (timeout != Py_None) {
        double seconds = PyBool_Check(timeout) ? 0 : PyFloat_AsDouble(timeout);
        if (PyErr_Occurred())
            return false;
        if (!(seconds > 0) || seconds > 1e9) {
            PyErr_SetString(PyExc_ValueError, "timeout must be a number of seconds above 0, or None");
            return false;
        }
        timeout_ms = (uint64_t)ceil(seconds * 1000);
    }
    b->limits = (struct dp_limits){timeout_ms, was_interrupted, b};
    b->thread = PyEval_SaveThread();
    return true;
}

bool blocking_end(struct blocking *b, enum dp_status status, const struct dp_error *error)
{
    PyEval_RestoreThread(b->thread);
    if (PyErr_Occurred()) /* raised by a signal handler, or by the caller's reader */
        return false;
    if (status == DP_OK)
        return true;
    if (PyErr_CheckSignals() != 0) /* a signal ended a system call before was_interrupted ran */
        return false;
    raise_status(status, error->message);
    return false;
}

void raise_status(enum dp_status status, const char *message)
{
    PyObject *errors = PyImport_ImportModule("dipper.errors");
    PyObject *type = errors ? PyObject_CallMethod(errors, "of_status", "s", dp_status_name(status)) : NULL;
    PyObject *text = type ? PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace") : NULL;

    if (text)
        PyErr_SetObject(type, text);
    Py_XDECREF(text);
    Py_XDECREF(type);
    Py_XDECREF(errors);
}
