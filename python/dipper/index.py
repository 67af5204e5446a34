"""Searches FAISS files where they lie."""

from typing import Callable, Iterable, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from . import _dipper
from ._forms import Cost, Path, ids, missing, part, place, vectors, whole

AUTO_RECALL = 0.95
METRICS = ("inner_product", "l2")  # FAISS's METRIC_INNER_PRODUCT and METRIC_L2 are 0 and 1

# One search of a small file takes a few microseconds, so names and types are looked up once.
_empty, _ndarray, _FLOAT, _INT = np.empty, np.ndarray, np.dtype(np.float32), np.dtype(np.int64)

Reader = Callable[[Sequence[Tuple[int, int]]], Sequence[bytes]]


def _lists(nprobe):
    """Returns nprobe if it is a whole number or "auto"."""
    return nprobe if isinstance(nprobe, str) and nprobe == "auto" else whole(nprobe, "nprobe", 1)


class Info(NamedTuple):
    """The description of a FAISS file."""

    kind: str  # FAISS's fourcc of the inverted file ("IwFl", …) or of a flat file
    dim: int
    metric: str  # "l2" (squared, smaller is nearer) or "inner_product" (larger is nearer)
    vectors: int
    lists: int
    default_nprobe: int
    cluster_data_offset: int  # bytes before the list data
    file_bytes: int
    open_rounds: int  # rounds of reads that opening took
    open_bytes: int
    in_no_list: int  # vectors that contain NaN: FAISS counts them, but no search finds them
    flat: bool  # no lists: each search reads all vectors
    k_factor: float  # candidates for each neighbour, in a file with a flat part (",RFlat"); 0: no flat part


# Other attributes of FAISS's indexes, and what to use here.
_FAISS_HAS = {
    **dict.fromkeys(("add", "add_with_ids", "train", "remove_ids", "reset", "merge_from"),
                    "the file is read only; dipper.build_ivf makes another"),
    **dict.fromkeys(("reconstruct", "reconstruct_n", "search_and_reconstruct", "range_search", "assign"),
                    "dipper.Index can only search"),
    "k_factor": "this file has no flat part (RFlat)",
}


class Index:
    """An open FAISS file, from open_index. Any number of threads may search it at once."""

    __slots__ = ("_handle", "_search", "_info", "_nprobe", "_k_factor", "__weakref__")

    def __init__(self, handle):
        self._handle = handle
        self._search = handle.search
        self._info = Info(*handle.info())
        self._nprobe = 0  # 0: the file's value
        self._k_factor = 0.0  # 0: the file's value

    def __getattr__(self, name):
        raise missing(Index, name, _FAISS_HAS)

    @property
    def info(self) -> Info:
        return self._info

    @property
    def d(self) -> int:
        return self._info.dim

    @property
    def ntotal(self) -> int:
        return self._info.vectors

    @property
    def nlist(self) -> int:
        return self._info.lists

    @property
    def metric(self) -> str:
        return self._info.metric

    @property
    def metric_type(self) -> int:
        """FAISS's number of the metric: faiss.METRIC_INNER_PRODUCT or faiss.METRIC_L2."""
        return METRICS.index(self._info.metric)

    @property
    def is_trained(self) -> bool:
        """Always True: open_index refuses a file that cannot be searched."""
        return True

    @property
    def nprobe(self) -> Union[int, str]:
        """Lists to scan for each query in searches without an nprobe, or "auto". The file's value until you set it. The
        setting belongs to this object and counts for all threads; the file does not change."""
        return self._nprobe or max(self._info.default_nprobe, 1)

    @nprobe.setter
    def nprobe(self, value: Union[int, str]) -> None:
        self._nprobe = _lists(value)

    @property
    def k_factor(self) -> float:
        """How many candidates a search re-ranks for each neighbour if it gets no k_factor. Only files with a flat part
        (",RFlat") have this attribute. The file's value until you set it."""
        if not self._info.k_factor:
            raise missing(Index, "k_factor", _FAISS_HAS)
        return self._k_factor or self._info.k_factor

    @k_factor.setter
    def k_factor(self, value: float) -> None:
        if not self._info.k_factor:
            raise missing(Index, "k_factor", _FAISS_HAS)
        if not value >= 1:
            raise ValueError(f"k_factor is {value}: it must be at least 1")
        self._k_factor = float(value)

    @property
    def last_cost(self) -> Cost:
        """The cost of the search that ended last, on any thread."""
        return Cost(*self._handle.last_cost)

    def search(
        self,
        x,
        k: int,
        nprobe: Union[int, str, None] = None,
        *,
        recall: Optional[float] = None,
        filter: Optional[Iterable[int]] = None,
        skip: Optional[Iterable[int]] = None,
        k_factor: Optional[float] = None,
        scan_all: bool = False,
        timeout: Optional[float] = None,
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Finds the k nearest vectors of each query, best first, as FAISS's search does.

        x         float32[n, d], or one vector (then n is 1); other arrays are converted
        nprobe    lists to scan for each query; None: the attribute nprobe; "auto": recall=0.95
        recall    instead of nprobe: the part of the true 10 nearest that the search should find on average. It scans the
                  fewest lists that reached this when the file was measured
        filter    ids to keep: the search returns no others
        skip      ids that the search must not return
        k_factor  for a file with a flat part (",RFlat"): re-rank k * k_factor candidates, in one more round; None: the
                  attribute k_factor
        scan_all  allow a flat file above 1 GiB, which each search reads whole
        timeout   seconds

        Returns (D, I): distances float32[n, k] and ids int64[n, k]; where fewer were found the id is -1.
        """
        if type(x) is not _ndarray or x.ndim != 2:
            x = vectors(x, self.d)
        if recall is not None:
            recall = part(recall, "recall")
        if nprobe is None:
            nprobe = self._nprobe if recall is None else 0
        elif type(nprobe) is not int or nprobe < 1:
            nprobe = _lists(nprobe)
        if nprobe == "auto":
            nprobe, recall = 0, recall or AUTO_RECALL
        if filter is not None:
            filter = ids(filter, "filter")
        if skip is not None:
            skip = ids(skip, "skip")
        if type(k) is not int or k < 1:
            k = whole(k, "k", 1)
        if k_factor is None:
            k_factor = self._k_factor
        elif not k_factor >= 1:
            raise ValueError(f"k_factor is {k_factor}: it must be at least 1")
        shape = (len(x), k)
        distances, found = _empty(shape, _FLOAT), _empty(shape, _INT)
        if not self._search(x, k, nprobe, recall or 0.0, filter, skip, timeout, distances, found, k_factor, scan_all):
            x = vectors(x, self.d)
            self._search(x, k, nprobe, recall or 0.0, filter, skip, timeout, distances, found, k_factor, scan_all)
        return distances, found

    def close(self) -> None:
        """Closes the file; searches on other threads finish first. A second call does nothing."""
        self._handle.close()

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __len__(self) -> int:
        return self._info.vectors

    def __repr__(self) -> str:
        i = self._info
        return f"<dipper.Index {i.kind} of {i.vectors} vectors × {i.dim}, {i.metric}, {i.lists} lists>"


def open_index(
    url: Optional[Path] = None,
    *,
    reader: Optional[Reader] = None,
    size: Optional[int] = None,
    name: Optional[str] = None,
    cluster_data_offset: int = 0,
    n_clusters: int = 0,
    merge: bool = True,
    recall_table: Optional[Path] = None,
    timeout: Optional[float] = None,
    cache: int = 0,
) -> Index:
    """Opens a FAISS file (IVF or flat) where it lies, and reads only its head.

    url                  a path, file:///path, s3://bucket/key, gs://bucket/key, az://container/key, or http(s)://… (also presigned)
    reader, size         instead of a URL: a function that reads ranges of a file of `size` bytes. It gets
                         ((offset, length), …), all ranges of a round at once, and returns a sequence of bytes, one for
                         each range. The call raises what the function raises
    name                 the name of the reader's file, for errors
    cluster_data_offset  info.cluster_data_offset of an earlier opening: then opening takes one read
    n_clusters           the number of lists that the file must have
    merge                False: one request for each probed list, however close they lie
    recall_table         the URL of the table that build_ivf measured, for searches by recall; None: url +
                         ".recall.json". With a presigned URL or a reader you must give it
    timeout              seconds that opening may take
    cache                bytes of lists that the index keeps in memory after it has read them; 0: none. Only with a url
    """
    if (url is None) == (reader is None):
        raise TypeError("open_index takes either a url or a reader")
    if reader is not None and (size is None or not callable(reader)):
        raise TypeError("reader must be a function, with size= the size of its file")
    if reader is None and size is not None:
        raise TypeError("size is only for a reader")
    if reader is not None:
        size = whole(size, "size")
    if reader is not None and cache:
        raise TypeError("cache is only for a url: a reader can keep what it read")
    offset, lists = whole(cluster_data_offset, "cluster_data_offset"), whole(n_clusters, "n_clusters")
    url = None if url is None else place(url)
    table = None if recall_table is None else place(recall_table)
    return Index(_dipper.Index(url, reader, size or 0, name, offset, lists, merge, table, timeout, whole(cache, "cache")))
