"""Namespaces hold rows of text in a folder or a bucket and find them by meaning."""

import json
import tempfile
import threading
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import _dipper, _rows
from ._forms import Cost, Path, place, vectors, whole, yes_or_no
from .embedder import Embedder
from .errors import UnsupportedError

_RANKS = {None: 0, "meaning": 1, "words": 2, "hybrid": 3}
_FUSIONS = {"rrf": 0, "convex": 1}

_CACHE = 64 << 20

Filter = Sequence[Any]  # ("year", "Gt", 2000), ("And", [filter, filter]), …


class Row(NamedTuple):
    """A row of an answer."""

    id: Union[int, str]
    # 1 - cosine, or the squared distance; None in the order of an attribute; a score, largest first, by words and by both
    dist: Optional[float]
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


class Written(NamedTuple):
    """The result of a write."""

    rows: int  # rows that the write changed
    upserted: int
    patched: int
    deleted: int
    answer: Dict[str, Any]  # the whole answer, as the HTTP API gives it


class Compacted(NamedTuple):
    """The result of Namespace.compact."""

    folded: int  # log entries that went into segments
    merged: int  # segments that merges replaced
    removed: int  # objects that were removed from the root
    waiting: int  # objects that a call may remove 15 minutes later


class Namespace:
    """A namespace under a root. Any number of threads may use it at once.

    root      a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix
    name      letters, digits, '.', '_' and '-'
    embedder  the Embedder for texts; None: Embedder(), made when it is first needed
    cache     maximum bytes of memory for what queries read from a bucket; 0: none. A folder needs none
    """

    __slots__ = ("_root", "_name", "_embedder", "_cache", "_handle", "_handle_embeds", "_lock", "__weakref__")

    def __init__(self, root: Path, name: str, *, embedder: Optional[Embedder] = None, cache: int = _CACHE):
        if not isinstance(name, str):
            raise TypeError(f"name is {name!r}: a namespace's name is a str")
        self._root = place(root)
        self._name = name
        self._embedder = embedder
        self._cache = whole(cache, "cache")
        self._handle = None
        self._handle_embeds = False  # the handle has the embedder's model
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
                _rows.dumped(_rows.checked(number, row), file)
                file.write("\n")
            file.flush()
            return self.load_file(file.name, timeout=timeout)

    def load_file(self, path: Path, *, timeout: Optional[float] = None) -> LoadSummary:
        """Adds the rows of a JSON-lines file, as load does."""
        return LoadSummary(*_dipper.load_file(self.embedder._handle, self._root, self._name, place(path), timeout))

    # ---- writing

    def upsert(
        self,
        rows: Union[Iterable[Mapping[str, Any]], Mapping[str, Any]],
        *,
        condition: Optional[Filter] = None,
        schema: Optional[Mapping[str, Any]] = None,
        distance_metric: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """Writes rows; a row replaces the whole row with its id. Creates the namespace if it does not exist.

        rows             {"id": 7 or "seven", "vector": …, …attributes} each; or a dict of columns: {"id": array, "vector":
                         float32[n, d], "title": list, …}
        condition        a filter over the stored row: ("version", "Lt", {"$ref_new": "version"}). A stored row that fails it
                         stays as it is
        schema           types of new attributes: {"seen": "datetime", "text": {"type": "string", "embed": "all-MiniLM-L6-v2"}}
        distance_metric  "cosine_distance" or "euclidean_squared", with the first vectors of a namespace

        When it returns, the rows are durable, and every later query in any process sees them: all of them or, after an
        exception, none (but see UnknownOutcomeError).
        """
        field = "upsert_columns" if isinstance(rows, Mapping) else "upsert_rows"
        return self.write(**{field: rows}, upsert_condition=condition, schema=schema, distance_metric=distance_metric,
                          timeout=timeout)

    def patch(
        self,
        rows: Union[Iterable[Mapping[str, Any]], Mapping[str, Any]],
        *,
        condition: Optional[Filter] = None,
        schema: Optional[Mapping[str, Any]] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """Changes the attributes that a row brings beside its id; None removes one. Skips ids without a row."""
        field = "patch_columns" if isinstance(rows, Mapping) else "patch_rows"
        return self.write(**{field: rows}, patch_condition=condition, schema=schema, timeout=timeout)

    def delete(
        self,
        ids: Any = None,
        *,
        condition: Optional[Filter] = None,
        filters: Optional[Filter] = None,
        timeout: Optional[float] = None,
    ) -> Written:
        """Deletes rows: an id, or a list, set or array of ids. Skips ids without a row.

        condition  a filter: deletes only those of the rows that match it
        filters    in place of ids: deletes all rows that match; the write looks at every row
        """
        if (ids is None) == (filters is None):
            raise TypeError("delete takes ids or filters" + (": delete_all() deletes the namespace" if ids is None else ", not both"))
        if filters is not None:
            if condition is not None:
                raise TypeError("condition is only for ids: put it into filters")
            return self.write(delete_by_filter=filters, timeout=timeout)
        many = not isinstance(ids, str) and hasattr(ids, "__iter__")
        return self.write(deletes=list(ids) if many else [ids], delete_condition=condition, timeout=timeout)

    def write(self, *, idempotency_key: Optional[str] = None, timeout: Optional[float] = None, **fields: Any) -> Written:
        """Makes a write with the fields of the HTTP API: upsert_rows, upsert_columns, patch_rows, patch_columns, deletes,
        upsert_condition, schema, … Queries see all of the write or nothing. A field that is None counts as absent.

        idempotency_key  the same write with the same key counts once in 24 hours: you may repeat it after an error
        """
        body = _rows.request(fields)
        schema = fields.get("schema")
        handle = self._open(timeout, create=True, embeds=schema is not None and _embeds(schema))
        try:
            answer = handle.write(body, idempotency_key, timeout)
        except UnsupportedError:
            if self._handle_embeds or not _embeds(self.info(timeout=timeout)["schema"]):
                raise
            answer = self._open(timeout, create=True, embeds=True).write(body, idempotency_key, timeout)
        said = json.loads(answer)
        return Written(said.get("rows_affected", 0), said.get("rows_upserted", 0), said.get("rows_patched", 0), said.get("rows_deleted", 0),
                       said)

    def branch(self, name: str, *, timeout: Optional[float] = None) -> "Namespace":
        """Makes another namespace of this root with the rows of this one. That takes a moment, whatever its size. The two
        share the present objects; a later change of one does not change the other."""
        return self._clone(name, "branch_from_namespace", timeout)

    def copy(self, name: str, *, timeout: Optional[float] = None) -> "Namespace":
        """Makes another namespace of this root with copies of the rows of this one. The two share no objects."""
        return self._clone(name, "copy_from_namespace", timeout)

    def _clone(self, name, field, timeout):
        other = Namespace(self._root, name, embedder=self._embedder, cache=self._cache)
        other.write(**{field: self._name}, timeout=timeout)
        return other

    def delete_all(self, *, timeout: Optional[float] = None) -> None:
        """Deletes the namespace with all its rows. Its name is free at once: the next write creates it anew."""
        self._open(timeout).delete(timeout)

    def compact(self, *, when_due: bool = False, timeout: Optional[float] = None) -> Compacted:
        """Moves the log into segments, merges small segments, and removes objects that nobody needs any more.

        Nothing does this in the background, unless `dipper serve` or `dipper index-worker` runs on the root.
        when_due  True: does only what is already worth its price, and sends no request if there is nothing to do. You may
                  call it after every write
        """
        return Compacted(*self._open(timeout).compact(yes_or_no(when_due, "when_due"), timeout))

    def info(self, *, timeout: Optional[float] = None) -> Dict[str, Any]:
        """Describes the namespace: its schema, approx_row_count, distance_metric, dimensions, …"""
        return json.loads(self._open(timeout).info(timeout))

    # ---- reading

    def query(
        self,
        what: Any = None,
        k: int = 10,
        *,
        filters: Optional[Filter] = None,
        order: Optional[Tuple[str, str]] = None,
        exact: bool = False,
        rank: Optional[str] = None,
        fusion: str = "rrf",
        words_share: Optional[float] = None,
        timeout: Optional[float] = None,
    ) -> Rows:
        """Finds the k rows nearest to a text, or to a vector float32[d]. The query sees every load and every write that ended
        before it began.

        filters      only rows that match: ("year", "Gt", 2000), ("And", [filter, filter]), ("Not", filter), …
        order        in place of `what`: ("year", "desc"), or "asc"
        exact        compare every vector
        rank         "meaning" (default): by distance; "words": by BM25 of the attribute "text", which needs full_text_search;
                     "hybrid": both rankings, fused. By words and by both, `what` is a text, and Row.dist is a score
        fusion       of "hybrid": "rrf" counts ranks, "convex" counts scores
        words_share  of "hybrid": the words' share of the score, between 0 and 1; None: 0.5 by ranks, 0.3 by scores
        With filters, order, exact or words the query looks at every row, and the namespace may have at most 1,000,000 rows.
        """
        k = whole(k, "k", 1)
        if what is None and order is None:
            raise TypeError("what is None: give a text, a vector, or an order")
        if what is not None and order is not None:
            raise TypeError("what and order are both given: give one of them")
        if rank not in _RANKS:
            raise ValueError(f"rank is {rank!r}: it must be 'meaning', 'words' or 'hybrid'")
        if fusion not in _FUSIONS:
            raise ValueError(f"fusion is {fusion!r}: it must be 'rrf' or 'convex'")
        if what is not None and not isinstance(what, str):
            what = _one_vector(what)
        words = rank in ("words", "hybrid")
        if words and (not isinstance(what, str) or yes_or_no(exact, "exact")):
            raise TypeError(f"rank={rank!r} is for a text, without order and exact")
        if words or (filters is None and order is None and not yes_or_no(exact, "exact")):
            model = self.embedder._handle if isinstance(what, str) and rank != "words" else None
            share = 0.0 if words_share is None else _share(words_share)
            found, cost = self._open(timeout).query(model, what, k, _RANKS[rank], _FUSIONS[fusion], share,
                                                    _rows.printed(filters) if filters else None, timeout)
            return _answer((Row(id, dist, json.loads(attributes)) for id, dist, attributes in found), cost)
        by: Any = order
        if what is not None:
            by = ("vector", "kNN" if exact else "ANN", ("Embed", what) if isinstance(what, str) else _rows.encoded(what))
        body = _rows.printed({"rank_by": by, "filters": filters or None, "top_k": k, "exclude_attributes": ["vector"]})
        said = json.loads(self._open(timeout, embeds=isinstance(what, str)).ask(body, timeout))
        spent = said["performance"]
        return _answer((Row(row.pop("id"), row.pop("$dist", None), row) for row in said["rows"]),
                       (spent["rounds"], spent["requests"], spent["bytes"], spent["ms"]))

    def _open(self, timeout, create=False, embeds=False):
        with self._lock:
            if self._handle is not None and (self._handle_embeds or not embeds):
                return self._handle
        model = self.embedder._handle if embeds else None
        handle = _dipper.Namespace(self._root, self._name, create, self._cache, model, timeout)
        with self._lock:
            old = self._handle
            if old is None or (embeds and not self._handle_embeds):
                self._handle, self._handle_embeds = handle, embeds
            else:
                old, handle = None, old
        if old is not None:
            old.close()
        return handle

    def close(self) -> None:
        """Closes the namespace; the next query opens it again. The embedder stays open."""
        with self._lock:
            handle, self._handle = self._handle, None
            self._handle_embeds = False
        if handle is not None:
            handle.close()

    def __repr__(self) -> str:
        return f"<dipper.Namespace {self._name} in {self._root}>"

    def __enter__(self) -> "Namespace":
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _share(number):
    """A share between 0 and 1, as a float."""
    share = float(number)
    if not 0 < share < 1:
        raise ValueError(f"words_share is {number!r}: it must be between 0 and 1")
    return share


def _embeds(schema):
    """Whether an attribute of the schema has texts that are embedded."""
    return any(isinstance(kind, Mapping) and kind.get("embed") for kind in schema.values())


def _one_vector(what):
    if isinstance(what, (list, tuple)) and what and isinstance(what[0], str):
        raise TypeError(f"what is a {type(what).__name__} of texts: a query is one text or one vector")
    what = vectors(what, name="what")
    if len(what) != 1:
        raise ValueError(f"what has the shape {what.shape}: a query is one text or one vector")
    return what


def _answer(found, cost):
    rows = Rows(found)
    rows.cost = Cost(*cost)
    return rows
