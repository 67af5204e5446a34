"""Dipper: semantic search served straight from the bucket.

    import dipper

    index = dipper.open_index("s3://bucket/vectors.ivf")     # a FAISS file, read where it lies
    D, I = index.search(dipper.Embedder().encode(["How to find a job"]), 3)

open_index   opens a FAISS file at a path, in a bucket, at a (presigned) URL or behind a function of yours
build_ivf    builds such a file from vectors
Embedder     turns texts into vectors
Namespace    holds rows, which can be written, changed and deleted, and finds them by meaning
Error        the base class of all exceptions of this package; dipper.errors has the others
"""

from . import errors
from ._dipper import version as __version__
from ._forms import Cost
from .building import build_ivf
from .embedder import Embedder
from .errors import Error
from .index import Index, Info, open_index
from .namespace import Compacted, LoadSummary, Namespace, Row, Rows, Written

__all__ = ["Compacted", "Cost", "Embedder", "Error", "Index", "Info", "LoadSummary", "Namespace", "Row", "Rows", "Written",
           "build_ivf", "errors", "open_index"]
