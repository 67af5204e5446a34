/* arguments.c: converts Python's arguments for the C API. */
#include "ext.h"

#include <string.h>

bool array_borrow(struct array *a, PyObject *object, size_t item, bool writable, bool optional, const char *name)
{
    *a = (struct array){.data = NULL};
    if (optional && object == Py_None)
        return true;
    if (PyObject_GetBuffer(object, &a->buffer, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO) != 0)
        return false;
    a->held = true;
    if ((size_t)a->buffer.itemsize != item) {
        PyErr_Format(PyExc_TypeError, "%s has items of %zd bytes: they must have %zu", name, a->buffer.itemsize,
                     item);
        array_return(a);
        return false;
    }
    a->data = a->buffer.buf;
    a->count = (size_t)a->buffer.len / item;
    return true;
}

void array_return(struct array *a)
{
    if (a->held)
        PyBuffer_Release(&a->buffer);
    a->held = false;
}

bool texts_borrow(struct texts *texts, PyObject *tuple)
{
    Py_ssize_t count = PyTuple_Size(tuple);

    *texts = (struct texts){.strings = NULL};
    if (count < 0)
        return false;
    /* One block: the pointers, then the lengths. */
    texts->strings = PyMem_Calloc((size_t)count + 1, sizeof *texts->strings + sizeof *texts->lengths);
    if (!texts->strings) {
        PyErr_NoMemory();
        return false;
    }
    texts->lengths = (size_t *)(void *)(texts->strings + count);
    texts->count = (size_t)count;
    for (Py_ssize_t i = 0; i < count; i++) {
        PyObject *text = PyTuple_GetItem(tuple, i);
        Py_ssize_t length = 0;
        if (!PyUnicode_Check(text))
            PyErr_Format(PyExc_TypeError, "texts[%zd] is %R, not a str", i, (PyObject *)Py_TYPE(text));
        else
            texts->strings[i] = PyUnicode_AsUTF8AndSize(text, &length);
        texts->lengths[i] = (size_t)length;
        if (!texts->strings[i]) {
            PyMem_Free(texts->strings);
            texts->strings = NULL;
            return false;
        }
    }
    return true;
}

bool has_arguments(Py_ssize_t given, Py_ssize_t wanted, const char *function)
{
    if (given != wanted)
        PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", function, wanted, given);
    return given == wanted;
}

bool size_argument(PyObject *object, const char *name, size_t *out)
{
    *out = PyLong_AsSize_t(object);
    if (!PyErr_Occurred())
        return true;
    if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s is %S: it must be from 0 to 2^64 - 1", name, object);
    }
    return false;
}

bool text_argument(PyObject *object, const char *name, const char **out)
{
    Py_ssize_t length = 0;

    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s is %R: it must be a str", name, object);
        return false;
    }
    *out = PyUnicode_AsUTF8AndSize(object, &length);
    if (*out && strlen(*out) != (size_t)length) {
        PyErr_Format(PyExc_ValueError, "%s is %R: it must not hold a NUL character", name, object);
        return false;
    }
    return *out != NULL;
}

PyObject *cost_tuple(const struct dp_cost *cost)
{
    return Py_BuildValue("(KKKd)", (unsigned long long)cost->rounds, (unsigned long long)cost->requests,
                         (unsigned long long)cost->bytes, cost->ms);
}
