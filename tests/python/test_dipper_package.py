"""The Python package, dipper, as users see it: arrays in and out, errors, threads, signals, forks.

`make check` runs this file against the build folder. `make check-python` runs it against the wheel, in a venv with
nothing else (DIPPER_PYTHON says so).
"""
import gc
import json
import os
import re
import socket
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import faiss
import numpy as np
import pytest

from package_fixtures import dipper, embedder  # noqa: F401

# The tests load the library into Python's own process, which is impossible for a sanitizer's build.
pytestmark = pytest.mark.tree

ROWS = [{"id": 1, "text": "The ferry to the island leaves at nine", "kind": "travel"},
        {"id": "two", "text": "Bread needs flour, water, salt and patience", "kind": "food"},
        {"id": 3, "text": "The train was late again this morning", "kind": "travel"}]


@pytest.fixture
def path(test_data):
    return test_data / "faiss" / "flat-l2-d16.ivf"


@pytest.fixture
def index(dipper, path):
    with dipper.open_index(path) as index:
        yield index


@pytest.fixture
def queries():
    return np.random.default_rng(1).random((5, 16), dtype=np.float32)


# ---- FAISS files --------------------------------------------------------------------------------------------


def test_search_answers_as_faiss_does(index, path, queries):
    stock = faiss.read_index(str(path))
    assert (index.d, index.ntotal, index.nlist, len(index)) == (stock.d, stock.ntotal, stock.nlist, stock.ntotal)
    for nprobe in (1, 3, stock.nlist):
        stock.nprobe = nprobe
        D, I = stock.search(queries, 4)
        ours = index.search(queries, 4, nprobe=nprobe)
        assert ours[0].dtype == np.float32 and ours[1].dtype == np.int64
        assert np.array_equal(ours[1], I)
        assert np.allclose(ours[0], D, rtol=1e-4)


def test_search_takes_what_numpy_can_convert(index, queries):
    D, I = index.search(queries, 2, 8)
    for same in (queries.astype("f8"), np.asfortranarray(queries), queries.tolist(), np.repeat(queries, 2, 0)[::2]):
        assert np.array_equal(index.search(same, 2, 8)[1], I)
    one = index.search(queries[0], 2, 8)
    assert one[0].shape == one[1].shape == (1, 2) and np.array_equal(one[1][0], I[0])
    none = index.search(queries[:0], 2)
    assert none[0].shape == none[1].shape == (0, 2)


def test_search_keeps_and_skips_ids(index, queries):
    everything = index.search(queries, index.ntotal, nprobe=index.nlist)[1]
    best = everything[0, 0]
    kept = index.search(queries[:1], 3, nprobe=index.nlist, filter=[int(best), int(everything[0, 5])])[1]
    assert kept.tolist() == [[best, everything[0, 5], -1]]
    assert (index.search(queries, 2, filter=[])[1] == -1).all()
    assert (index.search(queries, 2, filter=np.array([], dtype="i4"))[1] == -1).all()
    skipped = index.search(queries[:1], 3, nprobe=index.nlist, skip={int(best)})[1]
    assert skipped[0].tolist() == everything[0, 1:4].tolist()
    with pytest.raises(TypeError, match="whole numbers"):
        index.search(queries, 2, filter=[0.5])


def test_search_reports_its_cost(index, queries):
    index.search(queries, 1, nprobe=2)
    cost = index.last_cost
    assert cost.rounds == len(queries) and 0 < cost.requests <= 2 * len(queries) and cost.bytes > 0 and cost.ms > 0
    index.search(queries[:1], 1, nprobe=1)
    assert index.last_cost.rounds <= 1


@pytest.mark.parametrize("arguments, says", [
    ({"x": np.zeros((2, 15), "f4")}, r"shape \(2, 15\)"),
    ({"x": np.zeros((1, 1, 16), "f4")}, "shape"),
    ({"k": 0}, "k"),
    ({"k": -1}, "."),
    ({"nprobe": 0}, "nprobe is 0"),
    ({"nprobe": -3}, "nprobe is -3"),
    ({"recall": 0}, "recall is 0"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": True}, "timeout"),
    ({"filter": np.array([2**63], "u8")}, "ids are at most"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_search_refuses_invalid_values(index, arguments, says):
    good = {"x": np.zeros((1, 16), "f4"), "k": 1}
    with pytest.raises(ValueError, match=says):
        index.search(**{**good, **arguments})


@pytest.mark.parametrize("arguments, says", [
    ({"k": 2.0}, "k is 2.0: it must be a whole number"),
    ({"k": True}, "k is True"),
    ({"k": "2"}, "k is '2'"),
    ({"k": np.float64(2)}, "k is "),
    ({"k": None}, "k is None"),
    ({"nprobe": 4.0}, "nprobe is 4.0"),
    ({"nprobe": "4"}, "nprobe is '4'"),
    ({"nprobe": False}, "nprobe is False"),
    ({"x": [["a"] * 16]}, "must hold numbers"),
    ({"x": [[None] * 16]}, "must hold numbers"),
    ({"x": np.zeros((1, 16), "c8")}, "must hold numbers"),
    ({"nprob": 3}, "nprob"),
    ({"filter": np.array([True])}, "whole numbers"),
], ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_search_refuses_other_types(index, arguments, says):
    with pytest.raises(TypeError, match=re.escape(says)):
        index.search(**{"x": np.zeros((1, 16), "f4"), "k": 1, **arguments})


def test_numpys_integers_are_accepted(dipper, index, queries, tmp_path):
    want = index.search(queries, 3, 4)[1]
    for kind in (np.int64, np.int32, np.uint8, np.array):
        assert np.array_equal(index.search(queries, kind(3), kind(4))[1], want)
    dipper.build_ivf(np.eye(8), tmp_path / "x.ivf", np.int64(2), seed=np.uint64(2**63), threads=np.int32(1))
    with dipper.open_index(tmp_path / "x.ivf", n_clusters=np.int64(2), cluster_data_offset=np.uint64(0)) as built:
        assert built.nlist == 2
    assert dipper.Embedder(threads=np.int64(1)).encode(["a"], batch_size=np.int16(1)).shape == (1, 384)


def test_nprobe_is_an_attribute_as_in_faiss(index, path, queries):
    stock = faiss.read_index(str(path))
    assert index.nprobe == stock.nprobe == 1 and (index.metric_type, index.is_trained) == (stock.metric_type, True)
    for nprobe in (3, np.int64(stock.nlist)):
        index.nprobe = stock.nprobe = int(nprobe)
        assert index.nprobe == nprobe
        assert np.array_equal(index.search(queries, 4)[1], stock.search(queries, 4)[1])
    everything = index.last_cost.bytes
    index.search(queries, 4, 1)  # the argument counts, not the attribute
    assert index.last_cost.bytes < everything and index.nprobe == stock.nlist
    for wrong in (0, -1, 2.0, True, "16", None):
        with pytest.raises((TypeError, ValueError), match="nprobe is"):
            index.nprobe = wrong
    assert index.nprobe == stock.nlist


def test_unknown_attributes_cannot_be_set(dipper, embedder, index, tmp_path):
    rows = dipper.Rows()
    for thing in (index, embedder, dipper.Namespace(tmp_path, "n"), rows, index.info, index.last_cost):
        with pytest.raises(AttributeError):
            thing.nprob = 3
        with pytest.raises(AttributeError, match="nprob"):
            _ = thing.nprob
    for thing, name in ((index, "d"), (index, "info"), (embedder, "max_seq_length"), (dipper.Namespace(tmp_path, "n"), "root")):
        with pytest.raises(AttributeError):
            setattr(thing, name, 3)
    with pytest.raises(AttributeError, match="build_ivf"):
        index.add(np.zeros((1, 16)))
    with pytest.raises(AttributeError, match="encode"):
        embedder.start_multi_process_pool()
    assert not hasattr(index, "k_factor") and not hasattr(embedder, "similarity")


def test_a_missing_file_is_a_FileNotFoundError(dipper, tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        dipper.open_index(tmp_path / "none.ivf")
    assert isinstance(caught.value, dipper.errors.NotFoundError) and isinstance(caught.value, dipper.Error)
    assert caught.value.status == "not_found" and "none.ivf" in str(caught.value)


def test_a_file_of_another_kind_is_named(dipper, tmp_path):
    (tmp_path / "text").write_text("this is no index at all, but a text that is long enough to be read")
    with pytest.raises(dipper.Error) as caught:
        dipper.open_index(tmp_path / "text")
    assert caught.value.status in ("corrupt", "unsupported")


def test_a_closed_index_says_so(dipper, path, queries):
    index = dipper.open_index(str(path))
    index.close()
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.search(queries, 1)
    assert index.ntotal == 400  # the facts about the file stay


def test_open_takes_known_facts(dipper, path):
    with dipper.open_index(path) as index:
        offset = index.info.cluster_data_offset
    with dipper.open_index(path, cluster_data_offset=offset, n_clusters=8) as index:
        assert index.info.open_rounds == 1 and index.info.open_bytes == offset
    with pytest.raises(ValueError, match="8 lists|n_clusters|9"):
        dipper.open_index(path, n_clusters=9)


def test_a_flat_file_and_one_with_a_flat_part(dipper, tmp_path):
    x = np.random.default_rng(2).standard_normal((2000, 16)).astype("f4")
    for factory in ("Flat", "IVF10,SQ4,RFlat"):
        stock = faiss.index_factory(16, factory)
        stock.train(x)
        stock.add(x)
        faiss.write_index(stock, str(tmp_path / "theirs.index"))
        with dipper.open_index(tmp_path / "theirs.index") as ours:
            assert ours.info.flat == (factory == "Flat") and ours.info.k_factor == (factory != "Flat")
            assert ours.ntotal == 2000
            if factory == "Flat":
                assert np.array_equal(ours.search(x[:70], 5, scan_all=True)[1], stock.search(x[:70], 5)[1])
                assert ours.last_cost.bytes == 2 * 2000 * 64  # read once for 64 queries, and once for the other 6
                with pytest.raises(ValueError, match="no flat part"):
                    ours.search(x[:1], 5, k_factor=2)
            else:
                stock.k_factor, faiss.extract_index_ivf(stock.base_index).nprobe = 4, 3
                assert np.array_equal(ours.search(x[:20] + 0.1, 5, 3, k_factor=4)[1], stock.search(x[:20] + 0.1, 5)[1])
                with pytest.raises(ValueError, match="k_factor"):
                    ours.search(x[:1], 5, k_factor=0.5)
                assert ours.k_factor == 1
                ours.k_factor = 4
                assert np.array_equal(ours.search(x[:20] + 0.1, 5, 3)[1], stock.search(x[:20] + 0.1, 5)[1])


# ---- building files ------------------------------------------------------------------------------------------


def test_faiss_opens_files_of_build_ivf(dipper, tmp_path):
    x = np.random.default_rng(3).standard_normal((3000, 24)).astype("f4")
    ids, told = np.arange(3000) * 3 + 1, []
    for kind, fourcc in (("flat", "IwFl"), ("sq8", "IwSq")):
        for metric in ("l2", "inner_product", "cosine"):
            path = tmp_path / f"{kind}-{metric}.ivf"
            dipper.build_ivf(x, path, 20, kind=kind, metric=metric, ids=ids, progress=lambda *now: told.append(now))
            stock = faiss.read_index(str(path))
            stock.nprobe = 5
            assert (stock.nlist, stock.ntotal, stock.d) == (20, 3000, 24)
            assert stock.metric_type == (faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
            with dipper.open_index(path) as ours:
                assert ours.info.kind == fourcc and ours.metric == ("l2" if metric == "l2" else "inner_product")
                D, I = ours.search(x[:20], 4, 5)
                assert np.array_equal(I, stock.search(x[:20], 4)[1])
            if metric == "l2":
                assert (I[:, 0] == ids[:20]).all()
    assert {stage for stage, _ in told} >= {"clustering", "writing"} and all(0 <= done <= 1 for _, done in told)


def test_search_by_recall(dipper, tmp_path):
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((40, 16))[rng.integers(0, 40, 5000)] + rng.standard_normal((5000, 16)) / 2).astype("f4")
    queries = (x[:200] + rng.standard_normal((200, 16)) / 8).astype("f4")
    dipper.build_ivf(x, tmp_path / "x.ivf", 50)
    exact = faiss.IndexFlatL2(16)
    exact.add(x)
    truth = exact.search(queries, 10)[1]

    def recall(found):
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth)])

    with dipper.open_index(tmp_path / "x.ivf") as index:
        auto = index.search(queries, 10, nprobe="auto")[1]
        scanned = index.last_cost.requests
        assert recall(auto) > 0.92 and scanned < 25 * len(queries)
        assert np.array_equal(index.search(queries, 10, recall=0.95)[1], auto)
        assert recall(index.search(queries, 10, recall=0.5)[1]) > 0.45 and index.last_cost.requests < scanned
        with pytest.raises(ValueError):
            index.search(queries, 10, recall=1.5)
        with pytest.raises(ValueError):
            index.search(queries, 10, 4, recall=0.9)
    data = (tmp_path / "x.ivf").read_bytes()
    with dipper.open_index(reader=lambda ranges: [data[at:at + n] for at, n in ranges], size=len(data),
                           recall_table=tmp_path / "x.ivf.recall.json") as index:
        assert np.array_equal(index.search(queries, 10, "auto")[1], auto)
    dipper.build_ivf(x, tmp_path / "y.ivf", 50, recall=False)
    with dipper.open_index(tmp_path / "y.ivf") as index, pytest.raises(FileNotFoundError):
        index.search(queries, 10, "auto")


def test_build_ivf_says_what_is_wrong(dipper, tmp_path):
    x = np.zeros((10, 4), "f4")
    for metric, fourcc in (("ip", "inner_product"), (0, "inner_product"), (1, "l2"), (np.int64(1), "l2")):
        dipper.build_ivf(np.eye(4), tmp_path / "x.ivf", 1, metric=metric, recall=False)
        with dipper.open_index(tmp_path / "x.ivf") as built:
            assert built.metric == fourcc
    (tmp_path / "x.ivf").unlink()
    for arguments in ({"metric": 2}, {"metric": None}, {"metric": True}, {"kind": 1}, {"nlist": 1.0}, {"nlist": True}, {"recall": 0.9},
                      {"seed": 1.0}, {"threads": 0.5}, {"path": 3}):
        with pytest.raises(TypeError):
            dipper.build_ivf(**{"x": x, "path": tmp_path / "x.ivf", **arguments})
    for arguments in ({"kind": "pq"}, {"metric": "hamming"}, {"nlist": 11}, {"ids": range(9)}, {"x": x[:0]},
                      {"x": np.full((3, 4), np.nan)}, {"nlist": -1}):
        with pytest.raises(ValueError):
            dipper.build_ivf(**{"x": x, "path": tmp_path / "x.ivf", **arguments})
    with pytest.raises(FileNotFoundError):
        dipper.build_ivf(x, tmp_path / "none" / "x.ivf", 1)

    def stop(_stage, _done):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        dipper.build_ivf(x, tmp_path / "x.ivf", 1, progress=stop)
    assert not list(tmp_path.iterdir())


def test_build_ivf_reports_progress(dipper, tmp_path, capsys):
    dipper.build_ivf(np.eye(8), tmp_path / "x.ivf", 2, progress=True)
    assert re.search(r"writing 100%.*\n$", capsys.readouterr().err)


# ---- a caller's reader --------------------------------------------------------------------------------


def test_a_reader_is_asked_for_all_ranges_at_once(dipper, path, queries):
    data, asked = path.read_bytes(), []

    def reader(ranges):
        asked.append(ranges)
        return [memoryview(data)[offset:offset + length] for offset, length in ranges]

    with dipper.open_index(reader=reader, size=len(data)) as ours, dipper.open_index(path) as other:
        opening = len(asked)
        D, I = ours.search(queries[:1], 3, nprobe=8)
        assert len(asked) == opening + 1 and len(asked[-1]) == ours.last_cost.requests == 7  # one list is empty
        assert np.array_equal(I, other.search(queries[:1], 3, nprobe=8)[1])


def test_the_call_raises_the_readers_exception(dipper, path):
    data = path.read_bytes()

    class Mine(Exception):
        pass

    def reader(ranges):
        if broken:
            raise Mine("no bytes today")
        return [data[offset:offset + length] for offset, length in ranges]

    broken = True
    with pytest.raises(Mine, match="no bytes today"):
        dipper.open_index(reader=reader, size=len(data))
    broken = False
    with dipper.open_index(reader=reader, size=len(data)) as index:
        broken = True
        with pytest.raises(Mine):
            index.search(np.zeros((1, 16), "f4"), 1)
        broken = False
        index.search(np.zeros((1, 16), "f4"), 1)


@pytest.mark.parametrize("answer, kind, says", [
    (lambda ranges: [b"short"] * len(ranges), OSError, "answered 5 bytes"),
    (lambda ranges: [b"x" * (length + 1) for _, length in ranges], OSError, "answered"),
    (lambda ranges: [], ValueError, "returned 0 ranges"),
    (lambda ranges: None, TypeError, "."),
    (lambda ranges: ["text"] * len(ranges), TypeError, "."),
], ids=["short", "long", "none", "None", "str"])
def test_wrong_answers_of_a_reader_are_errors(dipper, answer, kind, says):
    with pytest.raises(kind, match=says):
        dipper.open_index(reader=answer, size=1000)


def test_an_index_with_a_cache_keeps_lists(dipper, path, tmp_path, queries):
    copy = tmp_path / "long.ivf"
    copy.write_bytes(path.read_bytes() + bytes(1 << 20))  # bytes behind the lists are ignored; small files are not kept
    with dipper.open_index(path) as stock, dipper.open_index(copy, cache=1 << 20) as kept:
        wanted = stock.search(queries, 4, nprobe=3)
        deadline = time.monotonic() + 30
        while True:
            got = kept.search(queries, 4, nprobe=3)
            assert np.array_equal(got[0], wanted[0]) and np.array_equal(got[1], wanted[1])
            if kept.last_cost.requests == 0 or time.monotonic() > deadline:
                break
        assert kept.last_cost[:3] == (0, 0, 0)  # rounds, requests, bytes
        os.truncate(copy, 1 << 19)
        with pytest.raises(dipper.errors.StaleError):
            kept.search(queries, 4, nprobe=3)
    with pytest.raises(TypeError, match="only for a url"):
        dipper.open_index(reader=lambda ranges: [], size=1, cache=1)
    with pytest.raises(ValueError, match="cache is -1"):
        dipper.open_index(path, cache=-1)


def test_open_takes_a_url_or_a_reader(dipper, path):
    for arguments in ({}, {"url": path, "reader": len, "size": 1}, {"reader": len}, {"reader": 3, "size": 1},
                      {"url": path, "size": 1}, {"reader": len, "size": 1.5}, {"url": path, "n_clusters": 8.0},
                      {"url": path, "cluster_data_offset": True}, {"url": 3}):
        with pytest.raises(TypeError):
            dipper.open_index(**arguments)


def test_negative_sizes_are_refused(dipper, path):
    for arguments in ({"reader": len, "size": -1}, {"url": path, "n_clusters": -1}, {"url": path, "cluster_data_offset": -1}):
        with pytest.raises(ValueError, match="must be at least 0"):
            dipper.open_index(**arguments)


def test_a_reader_goes_with_its_index(dipper, path):
    data = path.read_bytes()

    class Reader:
        def __call__(self, ranges):
            return [data[offset:offset + length] for offset, length in ranges]

    reader = Reader()
    reader.index = dipper.open_index(reader=reader, size=len(data))  # a cycle
    gone = weakref.ref(reader)
    del reader
    gc.collect()
    assert gone() is None


# ---- embeddings ------------------------------------------------------------------------------------------------


def test_encode_has_sentence_transformers_shapes(embedder):
    both = embedder.encode(["How to find a job", "getting employed"])
    assert both.shape == (2, embedder.dim) == (2, 384) and both.dtype == np.float32
    one = embedder.encode("How to find a job")
    assert one.shape == (384,) and np.array_equal(one, both[0])
    assert np.allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    raw = embedder.encode("How to find a job", normalize=False)
    assert np.allclose(raw / np.linalg.norm(raw), one, atol=1e-5)
    assert embedder.encode([]).shape == (0, 384)
    assert embedder.encode(iter(["a"])).shape == (1, 384)
    assert embedder.name == "all-MiniLM-L6-v2" and embedder.max_tokens == 256


def test_encode_gives_the_vectors_of_the_program(dipper, embedder, build):
    text = "naïve café, 日本 \u00e9"
    done = subprocess.run([build / "dipper", "embed"], input=text + "\n", capture_output=True, encoding="utf-8",
                          check=True)
    line = json.loads(done.stdout)
    vector = line["embedding"] if isinstance(line, dict) else line
    assert np.array_equal(np.array(vector, dtype="f4"), embedder.encode(text))


def test_encode_takes_any_str(embedder):
    """A text may hold NUL characters, which the tokenizer drops."""
    assert np.array_equal(embedder.encode("a\0b cat"), embedder.encode("ab cat"))
    assert embedder.encode("").shape == (384,)
    with pytest.raises(TypeError, match=r"texts\[1\]"):
        embedder.encode(["a", 3])
    with pytest.raises(UnicodeEncodeError):
        embedder.encode("\ud800")


@pytest.mark.parametrize("arguments, named, says", [
    (("query",), {}, "'query' is a second one: name it, normalize=, show_progress=, batch_size=, timeout="),
    ((32,), {}, "32 is a second"),
    ((False,), {}, "False is a second"),
    ((), {"normalize": "query"}, "normalize is 'query'"),
    ((), {"normalize_embeddings": True}, "normalize="),
    ((), {"prompt_name": "query"}, "before each text"),
    ((), {"show_progress_bar": False}, "show_progress="),
    ((), {"convert_to_tensor": True}, "numpy"),
    ((), {"batch_size": 32.0}, "batch_size is 32.0"),
    ((), {"other": 1}, "other"),
], ids=str)
def test_encode_explains_parameters_of_sentence_transformers(embedder, arguments, named, says):
    with pytest.raises(TypeError, match=re.escape(says)):
        embedder.encode(["a"], *arguments, **named)


def test_the_packages_model_has_a_name(dipper, embedder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
        with dipper.Embedder(name) as same:
            assert same.name == embedder.name and np.array_equal(same.encode("a"), embedder.encode("a"))
    (tmp_path / "all-MiniLM-L6-v2").mkdir()  # a folder of that name comes first
    with pytest.raises(dipper.Error):
        dipper.Embedder("all-MiniLM-L6-v2")
    with pytest.raises(FileNotFoundError):
        dipper.Embedder("all-MiniLM-L12-v2")


def test_objects_say_what_they_are(dipper, embedder, index, tmp_path):
    assert repr(embedder) == "<dipper.Embedder all-MiniLM-L6-v2, 384 dimensions, int8>"
    assert repr(index) == "<dipper.Index IwFl of 400 vectors × 16, l2, 8 lists>"
    assert repr(dipper.Namespace(tmp_path, "notes")) == f"<dipper.Namespace notes in {tmp_path}>"
    closed = dipper.Embedder()
    closed.close()
    assert "all-MiniLM-L6-v2" in repr(closed)


def test_encode_reports(embedder, capsys):
    texts, told = ["cat %d" % i for i in range(25)], []
    same = embedder.encode(texts, show_progress=lambda done, total: told.append((done, total)), batch_size=10)
    assert told == [(10, 25), (20, 25), (25, 25)]
    assert np.array_equal(same, embedder.encode(texts))
    embedder.encode(texts, show_progress=True)
    assert "25 of 25 texts" in capsys.readouterr().err


def test_a_missing_model_is_named(dipper, tmp_path):
    with pytest.raises(FileNotFoundError):
        dipper.Embedder(tmp_path / "no-model")
    with pytest.raises(ValueError, match="precision"):
        dipper.Embedder(precision="fp16")


# ---- namespaces ----------------------------------------------------------------------------------------------


def test_a_namespace_loads_and_finds(dipper, embedder, tmp_path):
    with dipper.Namespace(tmp_path / "bucket", "notes", embedder=embedder) as notes:
        done = notes.load({**row, "n": np.int64(4)} for row in ROWS)
        assert (done.rows, done.total_rows, done.replaced) == (3, 3, 0) and done.bytes > 0
        found = notes.query("how do I bake a loaf", 2)
        assert [type(row.id) for row in found][0] is str and found[0].id == "two"
        assert found[0].attributes == {"text": ROWS[1]["text"], "kind": "food", "n": 4}
        assert 0 < found[0].dist < found[1].dist and found.cost.rounds >= 1 and found.cost.bytes > 0
        again = notes.query(embedder.encode("how do I bake a loaf"), 2)
        assert [row.id for row in again] == [row.id for row in found]
        assert notes.load([{"id": 3, "text": "A loaf of bread"}]).replaced == 1
        assert notes.query("bread", 1)[0].attributes.keys() == {"text"}
    assert notes.query("bread", 1)[0].id in (3, "two")  # opened anew


def test_a_namespace_ranks_by_words_and_by_both(dipper, embedder, tmp_path):
    notes = dipper.Namespace(tmp_path, "notes", embedder=embedder)
    notes.load([{"id": 1, "text": "A kitten sleeps", "n": 1}, {"id": 2, "text": "The big cat and the kitten", "n": 2},
                {"id": 3, "text": "Young cats play", "n": 3}, {"id": 4, "text": "Flour and water", "n": 4}])

    def ids(**how):
        return [row.id for row in notes.query("kitten", **how)]

    words, meaning, both = ids(rank="words"), ids(rank="meaning"), notes.query("kitten", rank="hybrid")
    assert words == [1, 2] and sorted(meaning) == [1, 2, 3, 4] and ids() == meaning
    places = [[row.id for row in both], words, meaning]
    scores = {i: sum(1 / (61 + lane.index(i)) for lane in (words, meaning) if i in lane) for i in meaning}
    assert places[0] == sorted(meaning, key=lambda i: (-scores[i], i))
    assert all(abs(row.dist - scores[row.id]) < 1e-6 for row in both)
    assert ids(rank="words", filters=("n", "Gt", 1)) == [2]
    assert set(ids(rank="hybrid", filters=("n", "In", [1, 3]))) == {1, 3}
    convex = notes.query("kitten", 4, rank="hybrid", fusion="convex", words_share=0.9)
    assert [row.id for row in convex][:2] == [1, 2] and 0.9 < convex[0].dist <= 1
    words_alone = dipper.Namespace(tmp_path, "notes", embedder=None)
    assert [row.id for row in words_alone.query("flour", rank="words")] == [4] and words_alone._embedder is None
    for how, message in (({"rank": "best"}, "rank is 'best'"), ({"fusion": "sum"}, "fusion is 'sum'"),
                         ({"rank": "hybrid", "words_share": 1}, "words_share is 1")):
        with pytest.raises(ValueError, match=message):
            notes.query("kitten", **how)
    for what, how in ((np.zeros(384), {"rank": "hybrid"}), ("kitten", {"rank": "words", "exact": True})):
        with pytest.raises(TypeError, match="is for a text"):
            notes.query(what, **how)


def test_a_namespace_takes_vectors(dipper, embedder, tmp_path):
    notes = dipper.Namespace(tmp_path, "v", embedder=embedder)
    x = np.eye(8, dtype="f4")
    notes.load({"id": i, "vector": x[i]} for i in range(8))
    assert notes.query(x[5], 1)[0].id == 5


def test_a_namespace_says_what_is_wrong(dipper, embedder, tmp_path):
    notes = dipper.Namespace(tmp_path, "notes", embedder=embedder)
    with pytest.raises(FileNotFoundError):
        notes.query("bread")
    with pytest.raises(dipper.errors.InvalidError, match="line 2"):
        notes.load([ROWS[0], {"id": 4}])
    with pytest.raises(ValueError):
        notes.load([{"id": 1, "text": "a", "n": float("nan")}])
    with pytest.raises(FileNotFoundError):
        notes.query("bread")  # nothing was committed
    with pytest.raises(ValueError):
        dipper.Namespace(tmp_path, "../up", embedder=embedder).load(ROWS)


def test_a_namespace_takes_rows_and_one_question(dipper, embedder, tmp_path):
    notes = dipper.Namespace(tmp_path, "notes", embedder=embedder)
    for rows in ("text", {"id": 1, "text": "a"}, [ROWS[0], "text"], [["id", 1]]):
        with pytest.raises(TypeError, match="a row is a dict"):
            notes.load(rows)
    notes.load([{"id": np.int64(1), "text": "a"}])
    assert [row.id for row in notes.query("a", np.int32(1))] == [1]
    for what in (["a"], np.zeros((2, 384)), ["a", "b"]):
        with pytest.raises((TypeError, ValueError), match="one text or one vector"):
            notes.query(what)
    for k in (0, -1, 1.0, True):
        with pytest.raises((TypeError, ValueError), match="k is"):
            notes.query("a", k)
    with pytest.raises(TypeError, match="name is 5"):
        dipper.Namespace(tmp_path, 5)
    with pytest.raises(ValueError, match="NUL"):
        dipper.Namespace(tmp_path, "notes\0more", embedder=embedder).load(ROWS)
    assert not [path for path in tmp_path.iterdir() if path.name not in ("notes", ".dipper")]


# ---- threads, signals, forks ---------------------------------------------------------------------------------


def test_threads_share_an_index(dipper, index, queries):
    want = index.search(queries, 3, 8)[1]
    failures = []

    def search():
        for _ in range(200):
            if not np.array_equal(index.search(queries, 3, 8)[1], want):
                failures.append("another answer")

    threads = [threading.Thread(target=search) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_closing_waits_for_searches(dipper, path):
    """The last search frees the file."""
    data = path.read_bytes()
    reading, go_on = threading.Event(), threading.Event()

    def reader(ranges):
        if reading_lists:
            reading.set()
            assert go_on.wait(60)
        return [data[offset:offset + length] for offset, length in ranges]

    reading_lists = False
    index = dipper.open_index(reader=reader, size=len(data))
    reading_lists, found = True, []
    thread = threading.Thread(target=lambda: found.append(index.search(np.zeros((1, 16), "f4"), 1)))
    thread.start()
    assert reading.wait(60)
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.search(np.zeros((1, 16), "f4"), 1)
    go_on.set()
    thread.join()
    assert found[0][1].shape == (1, 1)


def test_other_threads_run_while_the_library_computes(embedder):
    """If the library held the interpreter's lock, the counter would stand still until the end."""
    counted = []

    def count():
        for _ in range(50):
            counted.append(time.monotonic())
            time.sleep(0)
        counting.set()

    counting = threading.Event()
    thread = threading.Thread(target=count)
    texts, ended = ["how do birds fly over the sea in winter"] * 300, 0
    thread.start()
    while not counting.is_set():
        embedder.encode(texts)
        ended += 1
    thread.join()
    assert ended <= 2


INTERRUPTED = """
import os, signal, sys, threading, time
import numpy as np
import dipper

def interrupt_when(ready):
    def wait():
        ready.wait()
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=wait, daemon=True).start()

ready = threading.Event()
{code}
"""


def interrupted(dipper, code):
    """Runs code that a KeyboardInterrupt ends, and returns the lines that it printed."""
    folder = os.path.dirname(os.path.dirname(dipper.__file__))
    done = subprocess.run([sys.executable, "-c", INTERRUPTED.format(code=textwrap.dedent(code))], timeout=120,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": folder}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split()


def test_ctrl_c_ends_embedding(dipper):
    assert interrupted(dipper, """
        e = dipper.Embedder()
        texts = ["a text of some length, to be embedded again and again"] * 400000
        interrupt_when(ready)
        try:
            ready.set()
            e.encode(texts)
        except KeyboardInterrupt:
            print("interrupted", e.encode("still").shape[0])
        """) == ["interrupted", "384"]


def test_ctrl_c_ends_waiting_for_a_server(dipper):
    """The server accepts the connection and never answers."""
    assert interrupted(dipper, """
        import socket
        server = socket.create_server(("127.0.0.1", 0))
        def accept():
            server.accept()[0].recv(100)
            ready.set()
            threading.Event().wait()
        threading.Thread(target=accept, daemon=True).start()
        interrupt_when(ready)
        try:
            dipper.open_index("http://127.0.0.1:%d/x.ivf" % server.getsockname()[1])
        except KeyboardInterrupt:
            print("interrupted")
        """) == ["interrupted"]


def test_a_signals_handler_runs_meanwhile(dipper):
    """A handler that does not raise does not end the call."""
    assert interrupted(dipper, """
        signal.signal(signal.SIGALRM, lambda *_: print("alarm", flush=True))
        e = dipper.Embedder()
        texts = ["a text of some length, to be embedded again and again"] * 600
        signal.setitimer(signal.ITIMER_REAL, 0.03)
        print(len(e.encode(texts)))
        """) == ["alarm", "600"]


def test_a_timeout_is_a_TimeoutError(dipper, embedder):
    with pytest.raises(TimeoutError) as caught:
        embedder.encode(["a text of some length, to be embedded again and again"] * 5000, timeout=0.02)
    assert caught.value.status == "deadline"
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(TimeoutError):
            dipper.open_index(f"http://127.0.0.1:{server.getsockname()[1]}/x.ivf", timeout=0.1)


def test_a_child_process_is_told_to_open_its_own(dipper, embedder, index, queries):
    """The child lacks the parent's threads; new handles work."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            for use in (lambda: embedder.encode("a"), lambda: index.search(queries, 1)):
                try:
                    use()
                except RuntimeError as error:
                    assert "fork" in str(error)
                else:
                    raise AssertionError("no error")
            assert dipper.Embedder().encode("a").shape == (384,)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


# ---- the package ---------------------------------------------------------------------------------------------


def test_every_status_has_an_exception(dipper, source):
    header = (source / "include" / "dipper" / "status.h").read_text(encoding="utf-8")
    named = dict(re.findall(r"case DP_(\w+): return \"(\w+)\"", (source / "src" / "base" / "error.c").read_text()))
    for name in re.findall(r"^    DP_(\w+) = -", header, re.M):
        kind = dipper.errors.of_status(named[name])
        assert issubclass(kind, dipper.Error), name
        assert kind is not dipper.Error or name == "EXISTS", name
        assert str(kind("a sentence")) == "a sentence"


def test_the_package_is_typed_and_of_one_version(dipper, source):
    folder = os.path.dirname(dipper.__file__)
    assert os.path.exists(os.path.join(folder, "py.typed"))
    version = re.search(r"version: '([^']+)'", (source / "meson.build").read_text()).group(1)
    assert dipper.__version__ == version
    assert f'version = "{version}"' in (source / "pyproject.toml").read_text()


def test_examples_of_the_documentation_run(dipper, source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (source / "docs" / "python.md").read_text(encoding="utf-8")
    names = {}
    search, write = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", page, re.S)
    exec(compile(search, "docs/python.md", "exec"), names)
    said = capsys.readouterr().out
    assert said.startswith("What to eat for lunch Cost(rounds=1,")
    exec(compile(write, "docs/python.md", "exec"), names)
    assert capsys.readouterr().out == "[3, 1, 5]\n"
    guide = (source / "docs" / "guide-python.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"<!-- run by the tests -->\n```python\n(.*?)```", guide, re.S)
    exec(compile(example, "docs/guide-python.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Bread needs flour")
    readme = (source / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", readme, re.S)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Bread needs flour")


def test_every_library_comes_with_the_package_or_with_python(dipper):
    """Only for the wheel: the build folder's extension links the system's libraries. Python itself needs zlib."""
    if os.environ.get("DIPPER_PYTHON") != "installed":
        return
    extension = os.path.join(os.path.dirname(dipper.__file__), "_dipper.abi3.so")
    lines = subprocess.run(["ldd", extension], capture_output=True, text=True, check=True).stdout.splitlines()
    outside = [line.split()[0] for line in lines if "=>" in line and "dipper_search.libs" not in line]
    assert outside and all(name.split(".")[0] in {"libc", "libm", "libpthread", "libdl", "librt", "libresolv", "libz"}
                           or name.startswith("ld-linux") for name in outside), outside
