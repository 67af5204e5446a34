"""Dipper: semantic search served straight from the bucket.

    import dipper

    index = dipper.open_index("s3://bucket/vectors.ivf")     # a FAISS file, where it lies
    D, I = index.search(dipper.Embedder().encode(["How to find a job"]), 3)

open_index   a FAISS IVF file at a path, in a bucket, at a (presigned) URL or behind a function of yours
build_ivf    vectors into such a file
Embedder     texts into vectors
Namespace    rows of text, loaded and found by meaning
Error        what all exceptions of this package are; dipper.errors has the kinds
"""

from . import errors
from ._dipper import version as __version__
from ._forms import Cost
from .building import build_ivf
from .embedder import Embedder
from .errors import Error
from .index import Index, Info, open_index
from .namespace import LoadSummary, Namespace, Row, Rows

__all__ = ["Cost", "Embedder", "Error", "Index", "Info", "LoadSummary", "Namespace", "Row", "Rows", "build_ivf", "errors",
           "open_index"]
