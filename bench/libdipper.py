"""libdipper through ctypes: the structs and functions of include/dipper/dipper.h that the benchmarks need."""
import ctypes
import pathlib

pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t


class Error(ctypes.Structure):
    """struct dp_error"""
    _fields_ = [("status", ctypes.c_int), ("message", ctypes.c_char * 512)]


class Cost(ctypes.Structure):
    """struct dp_cost"""
    _fields_ = [("rounds", ctypes.c_uint64), ("requests", ctypes.c_uint64), ("bytes", ctypes.c_uint64),
                ("ms", ctypes.c_double)]


class Limits(ctypes.Structure):
    """struct dp_limits"""
    _fields_ = [("timeout_ms", ctypes.c_uint64), ("cancelled", pointer), ("ctx", pointer)]


class Options(ctypes.Structure):
    """An options struct: it begins with its size."""

    def __init__(self, **fields):
        super().__init__(size=ctypes.sizeof(self), **fields)


class RuntimeOptions(Options):
    """struct dp_runtime_options"""
    _fields_ = [("size", size), ("threads", size)]


class ModelOptions(Options):
    """The first fields of struct dp_model_options; the size says how many there are."""
    _fields_ = [("size", size), ("precision", ctypes.c_int)]


class IndexOptions(Options):
    """struct dp_index_options; the fields from file_bytes to free_ctx are its reader."""
    _fields_ = [("size", size), ("limits", Limits), ("cluster_data_offset", ctypes.c_uint64), ("n_clusters", ctypes.c_uint64),
                ("recall_table", text), ("name", text), ("bytes", pointer), ("bytes_len", size),
                ("file_bytes", ctypes.c_uint64), ("read_ranges", pointer), ("ctx", pointer), ("free_ctx", pointer),
                ("merge_none", ctypes.c_bool), ("cache_bytes", ctypes.c_uint64)]


class IndexSearchOptions(Options):
    """The first fields of struct dp_index_search_options."""
    _fields_ = [("size", size), ("limits", Limits), ("nprobe", size)]


class Write(Options):
    """struct dp_write"""
    _fields_ = [("size", size), ("limits", Limits), ("kind", ctypes.c_int), ("count", size), ("ids", pointer), ("names", pointer),
                ("vectors", pointer), ("dim", size), ("attributes", pointer), ("request", text), ("no_fold", ctypes.c_bool),
                ("idempotency_key", text)]


def load(build):
    """Loads the library of a build folder."""
    lib = ctypes.CDLL(str(pathlib.Path(build) / "libdipper.so"))
    texts, out, error = ctypes.POINTER(text), ctypes.POINTER(pointer), ctypes.POINTER(Error)
    for name, arguments, answer in (
            ("dp_version", [], text),
            ("dp_runtime_new", [ctypes.POINTER(RuntimeOptions), out, error], ctypes.c_int),
            ("dp_runtime_free", [pointer], None),
            ("dp_model_open", [pointer, text, ctypes.POINTER(ModelOptions), out, error], ctypes.c_int),
            ("dp_model_close", [pointer], None),
            ("dp_model_dim", [pointer], size),
            ("dp_embed", [pointer, texts, size, pointer, pointer, error], ctypes.c_int),
            ("dp_tokenize", [pointer, texts, size, pointer, size, pointer, error], ctypes.c_int),
            ("dp_namespace_open", [text, text, pointer, out, error], ctypes.c_int),
            ("dp_namespace_close", [pointer], None),
            ("dp_namespace_write", [pointer, ctypes.POINTER(Write), out, error], ctypes.c_int),
            ("dp_namespace_ask", [pointer, text, pointer, out, error], ctypes.c_int),
            ("dp_answer_json", [pointer], text),
            ("dp_answer_free", [pointer], None),
            ("dp_index_open", [text, ctypes.POINTER(IndexOptions), out, error], ctypes.c_int),
            ("dp_index_close", [pointer], None),
            ("dp_index_search", [pointer, pointer, size, size, size, ctypes.POINTER(IndexSearchOptions), pointer, pointer,
                                 pointer, error], ctypes.c_int)):
        function = getattr(lib, name)
        function.argtypes, function.restype = arguments, answer
    return lib
