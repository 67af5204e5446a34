"""Turns texts into vectors on the processors of this machine."""

import os
import pathlib
import sys
import threading
import time
from typing import Callable, Iterable, Optional, Union

import numpy as np

from . import _dipper
from ._forms import Path, knows, missing, place, whole, yes_or_no

OWN_MODEL = pathlib.Path(__file__).parent / "all-MiniLM-L6-v2.dipper"  # the extension looks for it in its own folder
OWN_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")

# Other attributes of a SentenceTransformer, and what to use here.
_OTHERS_HAVE = {
    **dict.fromkeys(("similarity", "similarity_pairwise"), "embeddings are unit vectors: multiply them, x @ y.T"),
    **dict.fromkeys(("start_multi_process_pool", "encode_multi_process"), "encode uses all processors"),
}

# Other parameters of SentenceTransformer.encode, and what to write here.
_ENCODE_KNOWS = dict(
    normalize_embeddings="it is normalize= here, and True by default",
    show_progress_bar="it is show_progress= here",
    sentences="give the texts as the first argument",
    prompt="put it before each text yourself",
    prompt_name="encode_query and encode_document use the model's prompts; put another before each text yourself",
    convert_to_numpy="the result is always a numpy array",
    convert_to_tensor="the result is always a numpy array: torch.from_numpy(…) takes it",
    device="processors compute; Embedder(threads=…) says how many",
    precision="it is a parameter of Embedder(precision=…)",
    truncate_dim="cut the result, x[:, :n], and scale it to length 1 again",
    output_value="encode embeds sentences, not tokens",
)

_TEXT, _QUERY, _DOCUMENT = range(3)  # enum dp_input

_lock = threading.Lock()
_shared = None  # the threads of all embedders with threads=0; made at first use


def _forget_shared():
    global _shared, _lock
    _shared, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget_shared)


def runtime(threads=0):
    """Returns computing threads. 0: one for each processor, shared."""
    global _shared
    threads = whole(threads, "threads", most=2**31 - 1)
    if threads:
        return _dipper.Runtime(threads)
    with _lock:
        if _shared is None:
            _shared = _dipper.Runtime(0)
        return _shared


def _is_own(model, precision):
    """Returns whether `model` is None or the name of the default model. A folder of that name comes first. In fp32 the name
    means the model in the hub's cache, because the package carries it in int8 only."""
    return model is None or (model in OWN_NAMES and precision == "int8" and OWN_MODEL.exists() and not os.path.exists(model))


class _Line:
    """Draws the progress on one line of the terminal."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, done, total):
        seconds = time.monotonic() - self.began
        end = "\n" if done == total else ""
        sys.stderr.write(f"\r{done:,} of {total:,} texts, {done / max(seconds, 1e-9):,.0f} a second{end}")
        sys.stderr.flush()


class Embedder:
    """A model that embeds texts. Any number of threads may use it at once.

    model      a folder in the Hugging Face / sentence-transformers layout, the name of a model in the offline hub cache,
               or a packed model's file; None or "all-MiniLM-L6-v2": the model in this package, in int8
    precision  "int8", or "fp32", which is slower and the reference
    threads    computing threads; 0: one for each processor, shared with other embedders
    """

    __slots__ = ("_handle", "_name", "_precision", "__weakref__")

    def __init__(self, model: Optional[Path] = None, *, precision: str = "int8", threads: int = 0):
        if precision not in ("int8", "fp32"):
            raise ValueError(f'precision is {precision!r}: it must be "int8" or "fp32"')
        path = None if _is_own(model, precision) else place(model)
        self._handle = _dipper.Model(runtime(threads), path, precision == "fp32")
        self._name, self._precision = self._handle.name(), precision

    def __getattr__(self, name):
        raise missing(Embedder, name, _OTHERS_HAVE)

    @property
    def name(self) -> str:
        return self._name

    @property
    def dim(self) -> int:
        """Floats of an embedding."""
        return self._handle.dim

    @property
    def max_tokens(self) -> int:
        """Tokens of a text; longer texts are cut to this length."""
        return self._handle.max_tokens

    @property
    def max_seq_length(self) -> int:
        """Sentence-transformers' name for max_tokens."""
        return self._handle.max_tokens

    def get_sentence_embedding_dimension(self) -> int:
        """Sentence-transformers' name for dim."""
        return self._handle.dim

    @knows(**_ENCODE_KNOWS)
    def encode(
        self,
        texts: Union[str, Iterable[str]],
        *,
        normalize: bool = True,
        show_progress: Union[bool, Callable[[int, int], object], None] = None,
        batch_size: int = 1024,
        timeout: Optional[float] = None,
    ) -> np.ndarray:
        """Embeds texts: float32[n, dim]; a single str gives float32[dim].

        normalize      scale vectors to length 1; False: as the model makes them
        show_progress  True: a line on the terminal; a function: called with (done, total)
        batch_size     texts between two reports; it changes no vector
        timeout        seconds for the whole call

        A text's vector does not depend on other texts, on threads or on the machine.
        """
        return self._embed(_TEXT, texts, normalize, show_progress, batch_size, timeout)

    @knows(**_ENCODE_KNOWS)
    def encode_query(
        self,
        texts: Union[str, Iterable[str]],
        *,
        normalize: bool = True,
        show_progress: Union[bool, Callable[[int, int], object], None] = None,
        batch_size: int = 1024,
        timeout: Optional[float] = None,
    ) -> np.ndarray:
        """Embeds questions as Namespace.query does: with the model's query prompt before each. Parameters: see encode."""
        return self._embed(_QUERY, texts, normalize, show_progress, batch_size, timeout)

    @knows(**_ENCODE_KNOWS)
    def encode_document(
        self,
        texts: Union[str, Iterable[str]],
        *,
        normalize: bool = True,
        show_progress: Union[bool, Callable[[int, int], object], None] = None,
        batch_size: int = 1024,
        timeout: Optional[float] = None,
    ) -> np.ndarray:
        """Embeds documents as Namespace.load does: with the model's document prompt before each. Parameters: see encode."""
        return self._embed(_DOCUMENT, texts, normalize, show_progress, batch_size, timeout)

    def _embed(self, kind, texts, normalize, show_progress, batch_size, timeout):
        normalize, batch_size = yes_or_no(normalize, "normalize"), whole(batch_size, "batch_size", 1)
        if isinstance(texts, str):
            out = np.empty(self._handle.dim, np.float32)
            self._handle.encode((texts,), normalize, timeout, out, kind)
            return out
        texts = tuple(texts)
        out = np.empty((len(texts), self._handle.dim), np.float32)
        if not texts:
            return out
        if not show_progress:
            self._handle.encode(texts, normalize, timeout, out, kind)
            return out
        tell = show_progress if callable(show_progress) else _Line()
        until = None if timeout is None else time.monotonic() + timeout
        for begin in range(0, len(texts), batch_size):
            left = None if until is None else max(until - time.monotonic(), 1e-3)
            part = slice(begin, begin + batch_size)
            self._handle.encode(texts[part], normalize, left, out[part], kind)
            tell(min(begin + batch_size, len(texts)), len(texts))
        return out

    def close(self) -> None:
        """Closes the model; it is freed when no thread uses it any more. A second call does nothing."""
        self._handle.close()

    def __repr__(self) -> str:
        return f"<dipper.Embedder {self._name}, {self._handle.dim} dimensions, {self._precision}>"

    def __enter__(self) -> "Embedder":
        return self

    def __exit__(self, *_) -> None:
        self.close()
