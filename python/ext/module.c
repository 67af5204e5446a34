/* module.c: the extension module dipper._dipper. */
#include "ext.h"

static int module_fill(PyObject *module)
{
    handle_watch_forks();
    if (!index_add_type(module) || !model_add_types(module) || !namespace_add_type(module) ||
        PyModule_AddStringConstant(module, "version", dp_version()) != 0)
        return -1;
    return 0;
}

PyMODINIT_FUNC PyInit__dipper(void);

PyMODINIT_FUNC PyInit__dipper(void)
{
    static PyMethodDef functions[] = {
        {"build_ivf", (PyCFunction)(void (*)(void))build_ivf, METH_FASTCALL, "Vectors into a FAISS file."},
        {"load_file", (PyCFunction)(void (*)(void))load_file, METH_FASTCALL, "JSON lines into a namespace."},
        {NULL, NULL, 0, NULL}};
    static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_fill}, {0, NULL}};
    static PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "dipper._dipper",
                                 .m_doc = "The public C API of Dipper as Python objects; use dipper instead.",
                                 .m_methods = functions, .m_slots = slots};

    return PyModuleDef_Init(&module);
}
