"""Builds FAISS files from vectors."""

import sys
from typing import Callable, Iterable, Optional, Union

from . import _dipper
from ._forms import Path, ids as ids_of, place, vectors, whole, yes_or_no
from .embedder import runtime
from .index import METRICS


def _line(stage, done):
    sys.stderr.write(f"\r{stage} {done:4.0%}   ")
    sys.stderr.flush()


def _metric(metric):
    """Returns the metric's name. Accepts FAISS's numbers, and "ip" for inner products."""
    if isinstance(metric, str):
        return "inner_product" if metric == "ip" else metric
    if hasattr(metric, "__index__") and not isinstance(metric, bool) and metric in (0, 1):
        return METRICS[metric]
    raise TypeError(f"metric is {metric!r}: it must be one of {', '.join(METRICS)} and cosine")


def build_ivf(
    x,
    path: Path,
    nlist: Optional[int] = None,
    *,
    kind: str = "flat",
    metric: Union[str, int] = "l2",
    ids: Optional[Iterable[int]] = None,
    seed: int = 0,
    recall: bool = True,
    threads: int = 0,
    progress: Union[bool, Callable[[str, float], object], None] = None,
) -> None:
    """Builds an IVF file, which stock FAISS and open_index open. The file appears whole or not at all.

    x         float32[n, d]
    path      where the file goes: a path, s3://bucket/key, gs://bucket/key or az://container/key
    nlist     clusters; None: about twice the square root of n
    kind      "flat", or "sq8": a quarter of the size
    metric    "l2", "inner_product" (also "ip", and FAISS's numbers for the two), or "cosine": vectors are scaled to
              length 1 and compared by inner product
    ids       int64[n]; None: 0, 1, …
    seed      the seed of the clustering
    recall    measure which nprobe reaches which recall, for searches by recall; written to path + ".recall.json"
    threads   computing threads; 0: one for each processor
    progress  True: a line on the terminal; a function: called with (stage, part of it that is done)

    The same arguments make the same bytes on any machine.
    """
    x = vectors(x)
    numbers = None if ids is None else ids_of(ids, "ids")
    tell = _line if progress is True else (progress or None)
    lists = 0 if nlist is None else whole(nlist, "nlist")
    try:
        _dipper.build_ivf(runtime(threads), x, x.shape[1], numbers, place(path), lists, kind, _metric(metric),
                          whole(seed, "seed", most=2**64 - 1), yes_or_no(recall, "recall"), tell)
    finally:
        if tell is _line:
            sys.stderr.write("\n")
