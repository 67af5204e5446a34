"""Namespaces hold rows of text in a folder or a bucket and find them by meaning."""

import json
import tempfile
import threading
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Union

import numpy as np

from . import _dipper
from ._forms import Cost, Path, place, vectors, whole
from .embedder import Embedder


class Row(NamedTuple):
    """A row of an answer."""

    id: Union[int, str]
    dist: float  # 1 - cosine
    attributes: Dict[str, Any]


class Rows(List[Row]):
    """Rows, best first, and the cost of the query."""

    __slots__ = ("cost",)
    cost: Cost


class LoadSummary(NamedTuple):
    """The result of loading rows."""

    rows: int
    replaced: int  # loaded rows that replaced an older row with their id
    long_texts: int  # texts over the model's limit, stored as overlapping windows
    total_rows: int  # rows of the namespace after the load
    bytes: int  # bytes that the load wrote


def _plain(value):
    """Converts numpy's arrays and numbers for json."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"an attribute cannot be a {type(value).__name__}")


def _checked(number, row):
    if isinstance(row, Mapping):
        return row
    raise TypeError(f"row {number} is {row!r:.60}: a row is a dict. Give a list of dicts; for a DataFrame, df.to_dict('records')")


class Namespace:
    """A namespace under a root. Any number of threads may use it at once.

    root      a folder, or s3://bucket/prefix
    name      letters, digits, '.', '_' and '-'
    embedder  the Embedder for texts; None: Embedder(), made when it is first needed
    """

    __slots__ = ("_root", "_name", "_embedder", "_handle", "_lock", "__weakref__")

    def __init__(self, root: Path, name: str, *, embedder: Optional[Embedder] = None):
        if not isinstance(name, str):
            raise TypeError(f"name is {name!r}: a namespace's name is a str")
        self._root = place(root)
        self._name = name
        self._embedder = embedder
        self._handle = None
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        return self._root

    @property
    def name(self) -> str:
        return self._name

    @property
    def embedder(self) -> Embedder:
        with self._lock:
            if self._embedder is None:
                self._embedder = Embedder()
            return self._embedder

    def load(self, rows: Iterable[Dict[str, Any]], *, timeout: Optional[float] = None) -> LoadSummary:
        """Adds rows: {"id": 7 or "seven", "text": …, …attributes}, or "vector" in place of "text".

        It adds all rows or none. A row replaces an older one with its id. Rows pass through a temporary file, so they need
        not fit in memory.
        """
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".jsonl") as file:
            for number, row in enumerate(rows):
                json.dump(_checked(number, row), file, ensure_ascii=False, allow_nan=False, default=_plain)
                file.write("\n")
            file.flush()
            return self.load_file(file.name, timeout=timeout)

    def load_file(self, path: Path, *, timeout: Optional[float] = None) -> LoadSummary:
        """Adds the rows of a JSON-lines file, as load does."""
        return LoadSummary(*_dipper.load_file(self.embedder._handle, self._root, self._name, place(path), timeout))

    def query(self, what, k: int = 10, *, timeout: Optional[float] = None) -> Rows:
        """Finds the k rows nearest to a text, or to a vector float32[d]. It sees every load that ended before it began."""
        model = None
        if isinstance(what, str):
            model = self.embedder._handle
        else:
            if isinstance(what, (list, tuple)) and what and isinstance(what[0], str):
                raise TypeError(f"what is a {type(what).__name__} of texts: a query is one text or one vector")
            what = vectors(what, name="what")
            if len(what) != 1:
                raise ValueError(f"what has the shape {what.shape}: a query is one text or one vector")
        found, cost = self._open(timeout).query(model, what, whole(k, "k", 1), timeout)
        rows = Rows(Row(id, dist, json.loads(attributes)) for id, dist, attributes in found)
        rows.cost = Cost(*cost)
        return rows

    def _open(self, timeout):
        handle = self._handle
        if handle is None:
            handle = _dipper.Namespace(self._root, self._name, timeout)
            with self._lock:
                if self._handle is None:
                    self._handle = handle
        return handle

    def close(self) -> None:
        """Closes the namespace; the next query opens it again. The embedder stays open."""
        with self._lock:
            handle, self._handle = self._handle, None
        if handle is not None:
            handle.close()

    def __repr__(self) -> str:
        return f"<dipper.Namespace {self._name} in {self._root}>"

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_) -> None:
        self.close()
