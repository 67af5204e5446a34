"""Prints the requests of a namespace as JSON: rows with numpy's arrays and numbers, dates, UUIDs and bytes."""

import base64
import datetime
import json
import uuid
from typing import Mapping

import numpy as np

from ._forms import vectors


def encoded(array):
    """Returns the bytes of float32 as base 64, which loses no digit and is faster than decimals."""
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode("ascii")


def plain(value):
    """Converts what json cannot print."""
    if isinstance(value, np.datetime64) or (isinstance(value, np.ndarray) and value.dtype.kind == "M"):
        return np.datetime_as_string(value).tolist()
    if hasattr(value, "tolist"):  # numpy's arrays and numbers, pandas' columns
        return value.tolist()
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(f"an attribute cannot be a {type(value).__name__}")


def checked(number, row):
    """Returns a row if it is a dict."""
    if isinstance(row, Mapping):
        return row
    raise TypeError(f"row {number} is {row!r:.60}: a row is a dict. Give a list of dicts; for a DataFrame, df.to_dict('records')")


def rows_of(rows, field):
    """Returns the rows of a field that takes rows."""
    if isinstance(rows, Mapping):
        raise TypeError(f"{field} is a dict: it takes a list of rows, and {field.replace('_rows', '_columns')} takes a dict of columns")
    return [_with_vector(number, checked(number, row)) for number, row in enumerate(rows)]


def _with_vector(number, row):
    if not isinstance(row, dict):
        row = dict(row)
    vector = row.get("vector")
    if vector is None or isinstance(vector, str):
        return row
    x = vectors(vector, name=f"the vector of row {number}")
    if len(x) != 1:
        raise ValueError(f"the vector of row {number} has the shape {x.shape}; a row has one vector")
    return {**row, "vector": encoded(x)}


def columns_of(columns, field):
    """Returns the columns of a field that takes columns: {"id": …, "vector": float32[n, d], …}."""
    if not isinstance(columns, Mapping):
        raise TypeError(f"{field} is {columns!r:.60}: it takes a dict of columns")
    out = {name: column if isinstance(column, (list, str)) else list(column) if isinstance(column, tuple) else plain(column)
           for name, column in columns.items() if name != "vector"}
    vector = columns.get("vector")
    if vector is not None:
        out["vector"] = vector
        mixed = isinstance(vector, (list, tuple)) and any(isinstance(item, str) or item is None for item in vector)
        if not isinstance(vector, str) and not mixed:
            x = vectors(vector, name="the column of vectors")
            out["vector"] = [encoded(row) for row in x]
    return out


_TAKES = {"upsert_rows": rows_of, "patch_rows": rows_of, "upsert_columns": columns_of, "patch_columns": columns_of}


def request(fields):
    """Prints the fields of a write that are not None."""
    known = {name: _TAKES[name](value, name) if name in _TAKES else value for name, value in fields.items() if value is not None}
    return printed(known)


def printed(value):
    """Prints a value as JSON. NaN and infinity are a ValueError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=plain)


def dumped(value, file):
    """Prints a value into a file, as printed does."""
    json.dump(value, file, ensure_ascii=False, allow_nan=False, default=plain)
