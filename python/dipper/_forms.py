"""Checks and converts arguments; the types that several modules return."""

import functools
import operator
import os
from typing import Callable, NamedTuple, TypeVar, Union

import numpy as np

Path = Union[str, "os.PathLike[str]"]

_NUMBERS = "fiub"  # numpy's kinds: floats, whole numbers with and without a sign, booleans
_INT64_MAX = 2**63 - 1

Function = TypeVar("Function", bound=Callable)


class Cost(NamedTuple):
    """The cost of a call, for all its queries together."""

    rounds: int  # steps that had to wait for the store, one after another
    requests: int  # ranges read
    bytes: int  # bytes read
    ms: float  # wall time in milliseconds


def whole(value, name, least=0, most=_INT64_MAX):
    """Returns value as an int. Accepts Python's and numpy's integers, but neither bool nor float."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} is {value!r}: it must be a whole number")
    number = operator.index(value)
    if not least <= number <= most:
        raise ValueError(f"{name} is {number}: it must be " + (f"at least {least}" if number < least else f"at most {most}"))
    return number


def part(value, name):
    """Returns value as a float above 0 and up to 1."""
    if isinstance(value, (bool, str)) or not 0 < (number := float(value)) <= 1:
        raise ValueError(f"{name} is {value!r}: it must be a number above 0 and up to 1")
    return number


def yes_or_no(value, name):
    """Returns value as a bool. Refuses other types: an argument in the wrong place would count as True."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}: it must be True or False")
    return bool(value)


def place(value):
    """Returns a path or URL as str."""
    return os.fsdecode(os.fspath(value))


def vectors(x, dim=None, name="x"):
    """Returns x as float32[n, dim] in C order; a single vector becomes one row. Copies only if it must."""
    x = np.asarray(x)
    if x.dtype.kind not in _NUMBERS:
        raise TypeError(f"{name} holds {x.dtype}: it must hold numbers")
    x = np.ascontiguousarray(x, dtype=np.float32)
    if x.ndim == 1:
        x = x.reshape(1, -1)
    if x.ndim != 2 or (dim is not None and x.shape[1] != dim):
        wanted = "(n, d)" if dim is None else f"(n, {dim})"
        raise ValueError(f"{name} has the shape {x.shape}; it must be {wanted}, or one vector")
    return x


def ids(values, name):
    """Returns ids as int64[n]."""
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values))
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a flat array of whole numbers")
    if array.dtype.kind == "u" and array.size and array.max() > _INT64_MAX:
        raise ValueError(f"{name} holds {array.max()}: ids are at most {_INT64_MAX}")
    return np.ascontiguousarray(array, dtype=np.int64)


def knows(**others: str) -> Callable[[Function], Function]:
    """Makes a method's TypeError helpful. `others` maps parameters of other libraries to what to write here. Only the
    first argument may be positional, because the second one of other libraries has another meaning."""

    def wrap(method: Function) -> Function:
        @functools.wraps(method)
        def checked(self, *args, **named):
            if len(args) > 1:
                raise TypeError(f"{method.__name__}() takes one positional argument; {args[1]!r:.60} is a second one: name it, "
                                f"{', '.join(f'{name}=' for name in method.__kwdefaults__)}")
            for name in named:
                if name in others:
                    raise TypeError(f"{method.__name__}() has no {name}: {others[name]}")
            return method(self, *args, **named)

        return checked  # type: ignore[return-value]

    return wrap


def missing(kind, name, others):
    """Makes the AttributeError for an attribute that `kind` lacks. others: {name: what to use here}."""
    hint = f": {others[name]}" if name in others else ""
    return AttributeError(f"{kind.__name__!r} object has no attribute {name!r}{hint}", name=name)
