"""The forms that arguments and answers have."""

import os
from typing import NamedTuple, Union

import numpy as np

Path = Union[str, "os.PathLike[str]"]


class Cost(NamedTuple):
    """What a call cost: all its queries together."""

    rounds: int  # dependency steps that went to the store
    requests: int  # ranges read
    bytes: int  # bytes read
    ms: float  # wall time


def vectors(x, dim=None, name="x"):
    """x as float32[n, dim], C order; a single vector becomes a row. No copy where it is that already."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.ndim == 1:
        x = x.reshape(1, -1)
    if x.ndim != 2 or (dim is not None and x.shape[1] != dim):
        wanted = "(n, d)" if dim is None else f"(n, {dim})"
        raise ValueError(f"{name} has the shape {x.shape}; it must be {wanted}, or one vector")
    return x


def ids(values, name):
    """ids as int64[n]."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a flat array of whole numbers")
    return np.ascontiguousarray(array, dtype=np.int64)
