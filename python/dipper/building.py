"""Vectors into FAISS files."""

import os
import sys
from typing import Callable, Iterable, Optional, Union

from . import _dipper
from ._forms import Path, ids as ids_of, vectors
from .embedder import runtime


def _line(stage, done):
    sys.stderr.write(f"\r{stage} {done:4.0%}   ")
    sys.stderr.flush()


def build_ivf(
    x,
    path: Path,
    nlist: Optional[int] = None,
    *,
    kind: str = "flat",
    metric: str = "l2",
    ids: Optional[Iterable[int]] = None,
    seed: int = 0,
    recall: bool = True,
    threads: int = 0,
    progress: Union[bool, Callable[[str, float], object], None] = None,
) -> None:
    """Builds an IVF file, which stock FAISS opens, and open_index. It appears whole or not at all.

    x         float32[n, d]
    path      where the file goes: a path, or s3://bucket/key
    nlist     clusters; None: about twice the square root of n
    kind      "flat", or "sq8": a quarter of the size
    metric    "l2", "inner_product", or "cosine": vectors are scaled to length 1 and compared by inner product
    ids       int64[n]; None: 0, 1, …
    recall    measure which nprobe reaches which recall, for searches that ask for one; written to path + ".recall.json"
    progress  True: a line on the terminal; a function is called with (stage, part of it that is done)

    The same bytes come of the same arguments, on any machine.
    """
    x = vectors(x)
    numbers = None if ids is None else ids_of(ids, "ids")
    tell = _line if progress is True else (progress or None)
    try:
        _dipper.build_ivf(runtime(threads), x, x.shape[1], numbers, os.fspath(path), nlist or 0, kind, metric, seed, recall,
                          tell)
    finally:
        if tell is _line:
            sys.stderr.write("\n")
