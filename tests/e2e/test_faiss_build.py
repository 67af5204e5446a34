"""`dipper faiss build`: files that stock FAISS opens, and that find what FAISS's own training finds."""
import json
import os
import pty
import signal
import subprocess
import time

import faiss
import numpy as np
import pytest

from program import json_lines

K, NLIST = 10, 64
faiss.omp_set_num_threads(1)  # its threads spin while they wait


@pytest.fixture(scope="module")
def sift(test_data):
    x = np.fromfile(test_data / "vectors" / "sift-5k.u8", dtype="u1").reshape(-1, 128).astype("float32")
    return x[:-200], x[-200:]


def write_fvecs(path, x):
    rows = np.empty((len(x), x.shape[1] + 1), dtype="<f4")
    rows[:, 0] = np.frombuffer(np.int32(x.shape[1]).tobytes(), dtype="<f4")
    rows[:, 1:] = x
    rows.tofile(path)
    return path


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def recall(index, queries, truth, nprobe):
    index.nprobe = nprobe
    _, found = index.search(queries, K)
    return np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found, truth)])


@pytest.mark.parametrize("kind,metric", [("flat", "l2"), ("sq8", "cosine")])
def test_recall_is_that_of_faiss_training(run, tmp_path, sift, kind, metric):
    """Within 0.5 points over twenty seeds: one clustering is luckier than another, by about as much (of either)."""
    base, queries = (unit(x).astype("float32") for x in sift) if metric == "cosine" else sift
    exact = faiss.IndexFlatL2(128) if metric == "l2" else faiss.IndexFlatIP(128)
    exact.add(base)
    truth = exact.search(queries, K)[1]
    np.save(tmp_path / "v.npy", sift[0])
    nprobes, ours, theirs = (8, 16), [], []
    for seed in range(20):
        done = json.loads(run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "v.npy", "--nlist", NLIST,
                              "--kind", kind, "--metric", metric, "--seed", seed, "--json").stdout)
        assert done["vectors"] == 4800 and done["nlist"] == NLIST and done["kind"] == kind
        assert done["bytes"] == (tmp_path / "x.ivf").stat().st_size
        index = faiss.read_index(str(tmp_path / "x.ivf"))
        assert (index.ntotal, index.d, index.nlist) == (4800, 128, NLIST)
        ours += [recall(index, queries, truth, nprobe) for nprobe in nprobes]
        measure = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        stock = faiss.index_factory(128, f"IVF{NLIST},{'Flat' if kind == 'flat' else 'SQ8'}", measure)
        stock.cp.seed = 1234 + seed
        stock.train(base)
        stock.add(base)
        theirs += [recall(stock, queries, truth, nprobe) for nprobe in nprobes]
    print(f"{kind} {metric}: ours {np.mean(ours):.4f}, FAISS {np.mean(theirs):.4f}")
    assert np.mean(ours) >= np.mean(theirs) - 0.005


def test_build_and_search_agree_with_faiss(run, tmp_path, sift):
    """From .npy and .fvecs, with ids of the caller's, in little memory: one file, the answers of stock FAISS."""
    ids = np.arange(4800, dtype="i8") * 7 + 10**12
    np.save(tmp_path / "v.npy", sift[0].astype("f8"))
    np.save(tmp_path / "ids.npy", ids)
    write_fvecs(tmp_path / "v.fvecs", sift[0])
    np.save(tmp_path / "q.npy", sift[1][:20])
    run("faiss", "build", tmp_path / "a.ivf", "--vectors", tmp_path / "v.npy", "--ids", tmp_path / "ids.npy")
    shown = run("faiss", "build", tmp_path / "b.ivf", "--vectors", tmp_path / "v.fvecs", "--ids", tmp_path / "ids.npy",
                "--memory", 3).stdout
    assert "4800 vectors of 128 dimensions in 123 lists" in shown
    assert (tmp_path / "a.ivf").read_bytes() == (tmp_path / "b.ivf").read_bytes()
    index = faiss.read_index(str(tmp_path / "a.ivf"))
    index.nprobe = 5
    distances, found = index.search(sift[1][:20], K)
    answers = json_lines(run("faiss", "search", tmp_path / "a.ivf", "--queries", tmp_path / "q.npy", "--nprobe", 5,
                             "--json").stdout)
    assert [a["ids"] for a in answers] == found.tolist()
    assert np.allclose([a["distances"] for a in answers], distances, rtol=1e-4)
    assert found.min() >= 10**12


def test_bad_input_leaves_nothing(run, tmp_path, sift):
    x = sift[0][:100].copy()
    x[42, 3] = np.nan
    np.save(tmp_path / "nan.npy", x)
    np.save(tmp_path / "ints.npy", np.zeros((3, 4), dtype="<i4"))
    np.save(tmp_path / "ok.npy", sift[0][:100])
    (tmp_path / "junk.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff junk")
    before = sorted(os.listdir(tmp_path))

    def refused(*arguments, status=1):
        done = run("faiss", "build", tmp_path / "x.ivf", *arguments, status=status)
        assert sorted(os.listdir(tmp_path)) == before
        return done.stderr

    assert "vector 42 is not a number in dimension 3" in refused("--vectors", tmp_path / "nan.npy")
    assert "float32" in refused("--vectors", tmp_path / "ints.npy")
    assert "cut short" in refused("--vectors", tmp_path / "junk.npy")
    assert "No such file" in refused("--vectors", tmp_path / "none.npy")
    ok = ("--vectors", tmp_path / "ok.npy")
    assert "101 lists cannot be made of 100 vectors" in refused(*ok, "--nlist", 101)
    assert "--nlist is 'many'" in refused(*ok, "--nlist", "many")
    assert "--kind is 'pq'" in refused(*ok, "--kind", "pq")
    assert "--metric is 'L1'" in refused(*ok, "--metric", "L1")
    assert "faiss build URL --vectors FILE" in refused(status=2)
    run("faiss", "build", tmp_path / "no" / "x.ivf", *ok, status=1)


def test_progress_and_interrupt(dipper, tmp_path):
    """A bar on a terminal; Ctrl-C ends the build, and no file is left."""
    np.save(tmp_path / "v.npy", np.random.default_rng(1).standard_normal((60000, 64)).astype("f4"))
    terminal, other = pty.openpty()
    build = subprocess.Popen([dipper, "faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "v.npy",
                              "--nlist", "4000"], stderr=other, stdout=subprocess.PIPE)
    os.close(other)
    seen, deadline = b"", time.monotonic() + 60
    while b"vectors clustered" not in seen:
        assert time.monotonic() < deadline
        seen += os.read(terminal, 4096)
    assert b"[" in seen and b"%" in seen
    build.send_signal(signal.SIGINT)
    try:
        while True:
            seen += os.read(terminal, 4096)
    except OSError:  # the terminal's other end is closed
        pass
    os.close(terminal)
    assert build.wait(60) == -signal.SIGINT
    build.stdout.close()
    assert b"no file was written" in seen
    assert os.listdir(tmp_path) == ["v.npy"]
