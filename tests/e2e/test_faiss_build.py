"""`dipper faiss build`: stock FAISS opens the files, and their recall is as good as after FAISS's own training."""
import json
import os
import pty
import signal
import subprocess
import sys
import time

import faiss
import numpy as np
import pytest

from program import json_lines

K, NLIST = 10, 64
faiss.omp_set_num_threads(1)  # FAISS's threads spin while they wait


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
def test_recall_is_as_good_as_after_faiss_training(run, tmp_path, sift, kind, metric):
    """Over twenty seeds our mean recall is at most 0.5 points below FAISS's. Single clusterings vary by about as much."""
    base, queries = (unit(x).astype("float32") for x in sift) if metric == "cosine" else sift
    exact = faiss.IndexFlatL2(128) if metric == "l2" else faiss.IndexFlatIP(128)
    exact.add(base)
    truth = exact.search(queries, K)[1]
    np.save(tmp_path / "v.npy", sift[0])
    nprobes, ours, theirs = (8, 16), [], []
    for seed in range(20):
        done = json.loads(run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "v.npy", "--nlist", NLIST,
                              "--kind", kind, "--metric", metric, "--seed", seed, "--no-recall", "--json").stdout)
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
    """Builds from .npy and .fvecs, with the caller's ids and in little memory, give equal files. FAISS answers as we do."""
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


def test_a_metric_has_one_name_in_answers(run, tmp_path):
    np.save(tmp_path / "x.npy", np.eye(4, dtype="f4"))
    for given, told in (("inner_product", "inner_product"), ("ip", "inner_product"), ("l2", "l2")):
        (built,) = json_lines(run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "x.npy", "--nlist", 1,
                                  "--metric", given, "--json").stdout)
        (info,) = json_lines(run("faiss", "info", tmp_path / "x.ivf", "--json").stdout)
        assert built["metric"] == info["metric"] == told


def test_bad_input_leaves_nothing(run, tmp_path, sift):
    x = sift[0][:100].copy()
    x[42, 3] = np.nan
    np.save(tmp_path / "nan.npy", x)
    np.save(tmp_path / "texts.npy", np.array([["a"], ["b"]]))
    np.save(tmp_path / "ok.npy", sift[0][:100])
    (tmp_path / "junk.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff junk")
    before = sorted(os.listdir(tmp_path))

    def refused(*arguments, status=1):
        done = run("faiss", "build", tmp_path / "x.ivf", *arguments, status=status)
        assert sorted(os.listdir(tmp_path)) == before
        return done.stderr

    assert "vector 42 is not a number in dimension 3" in refused("--vectors", tmp_path / "nan.npy")
    assert "texts" in refused("--vectors", tmp_path / "texts.npy")
    assert "cut short" in refused("--vectors", tmp_path / "junk.npy")
    assert "No such file" in refused("--vectors", tmp_path / "none.npy")
    ok = ("--vectors", tmp_path / "ok.npy")
    assert "101 lists cannot be made of 100 vectors" in refused(*ok, "--nlist", 101)
    assert "--nlist is 'many'" in refused(*ok, "--nlist", "many")
    assert "--kind is 'pq'" in refused(*ok, "--kind", "pq")
    assert "--metric is 'L1'" in refused(*ok, "--metric", "L1")
    assert "faiss build URL --vectors FILE" in refused(status=2)
    run("faiss", "build", tmp_path / "no" / "x.ivf", *ok, status=1)


def test_search_by_recall(run, tmp_path, sift):
    """Queries that the build did not see reach the recall that they ask for, with few lists."""
    exact = faiss.IndexFlatL2(128)
    exact.add(sift[0])
    truth = exact.search(sift[1], K)[1]
    np.save(tmp_path / "v.npy", sift[0])
    np.save(tmp_path / "q.npy", sift[1])
    shown = run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "v.npy", "--nlist", NLIST).stdout
    assert "recall@10 of 0.95 with nprobe" in shown
    table = json.loads((tmp_path / "x.ivf.recall.json").read_text())
    assert table["k"] == K and table["queries"] == 400 and table["points"][0]["nprobe"] == 1

    def search(*how, status=0, url=tmp_path / "x.ivf"):
        return run("faiss", "search", url, "--queries", tmp_path / "q.npy", "--json", *how, status=status)

    asked = {}
    for recall in (0.7, 0.9, 0.95):
        asked[recall] = json_lines(search("--recall", recall).stdout)
        found = np.mean([len(np.intersect1d(a["ids"], t)) / K for a, t in zip(asked[recall], truth)])
        nprobe = min(p["nprobe"] for p in table["points"] if p["recall"] >= recall)
        print(f"recall {recall} asked, {found:.4f} found with nprobe {nprobe}")
        assert found >= recall - 0.02
        assert [a["ids"] for a in json_lines(search("--nprobe", nprobe).stdout)] == [a["ids"] for a in asked[recall]]
    assert [a["ids"] for a in json_lines(search("--nprobe", "auto").stdout)] == [a["ids"] for a in asked[0.95]]
    assert "the highest that was measured is" in search("--recall", 1, status=1).stderr
    assert "must be a number above 0" in search("--recall", "most", status=2).stderr
    assert "--nprobe is 'few'" in search("--nprobe", "few", status=2).stderr
    assert "give one of them" in search("--nprobe", 3, "--recall", 0.9, status=2).stderr
    # `calibrate` measures a file that others made, with the user's queries, against a search of all its lists.
    stock = faiss.index_factory(128, "IVF50,PQ16x4fs")
    stock.train(sift[0])
    stock.add(sift[0])
    faiss.write_index(stock, str(tmp_path / "x.ivf"))
    assert "is the table of another file" in search("--nprobe", "auto", status=1).stderr
    (tmp_path / "x.ivf.recall.json").unlink()
    assert "dipper faiss calibrate" in search("--nprobe", "auto", status=1).stderr
    shown = run("faiss", "calibrate", tmp_path / "x.ivf", "--queries", tmp_path / "q.npy").stdout
    assert "recall@10 of 200 queries" in shown
    truth = [a["ids"] for a in json_lines(search("--nprobe", 50).stdout)]
    answers = [a["ids"] for a in json_lines(search("--recall", 0.9).stdout)]
    assert np.mean([len(np.intersect1d(a, t)) / K for a, t in zip(answers, truth)]) >= 0.9
    # A presigned URL opens one object, so the table needs a second URL.
    (tmp_path / "x.ivf.recall.json").rename(tmp_path / "table.json")
    assert search("--recall", 0.9, "--recall-table", tmp_path / "table.json").stdout


@pytest.mark.tree  # all builds give equal vectors, and with a sanitizer this takes long
def test_recall_of_embeddings(run, tmp_path, source):
    """The index has the first twelve words of Cranfield's documents. Queries with held-out documents reach the recall. The
    collection's questions are unlike the documents. After calibration with half of the questions, the other half reaches the recall too."""
    example = [sys.executable, source / "examples" / "cranfield" / "jsonl"]
    lines = subprocess.run([*example, "rows"], check=True, capture_output=True, text=True).stdout.splitlines()
    texts = [" ".join(json.loads(line)["text"].split()[:12]) or "-" for line in lines]
    texts += subprocess.run([*example, "queries"], check=True, capture_output=True, text=True).stdout.splitlines()
    x = np.array([a["embedding"] for a in json_lines(run("embed", input="\n".join(texts) + "\n").stdout)], dtype="f4")
    base, held_out, questions = np.split(x, [len(lines) - 200, len(lines)])
    exact = faiss.IndexFlatIP(384)
    exact.add(base)
    for name, vectors in (("v", base), ("docs", held_out), ("ask", questions[1::2]), ("measure", questions[::2])):
        np.save(tmp_path / f"{name}.npy", vectors)

    def reached(name, vectors, recall):
        answers = json_lines(run("faiss", "search", tmp_path / "x.ivf", "--queries", tmp_path / f"{name}.npy", "--recall",
                                 recall, "--json").stdout)
        truth = exact.search(vectors, K)[1]
        found = np.mean([len(np.intersect1d(a["ids"], t)) / K for a, t in zip(answers, truth)])
        print(f"{name}: recall {recall} asked, {found:.4f} found, {answers[0]['bytes'] / 1024:.0f} KB")
        return found

    run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "v.npy", "--metric", "cosine", "--kind", "flat",
        "--nlist", 40)
    for recall in (0.8, 0.9, 0.95):
        assert reached("docs", held_out, recall) >= recall - 0.03  # of 200 queries: two standard errors
    run("faiss", "calibrate", tmp_path / "x.ivf", "--queries", tmp_path / "measure.npy")
    for recall in (0.8, 0.9, 0.95):
        assert reached("ask", questions[1::2], recall) >= recall - 0.03


def test_progress_and_interrupt(dipper, tmp_path):
    """A terminal gets a bar; Ctrl-C ends the build and leaves no file."""
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


def test_every_numeric_npy_can_be_built(run, tmp_path):
    """Numbers of any type and order give the index that float32 numbers give."""
    x = np.random.default_rng(1).integers(0, 100, (600, 5))
    ids = np.arange(600) * 2
    build = ["--nlist", 4, "--no-recall", "--ids", tmp_path / "ids.npy"]

    def made(array, ids_type="<i8"):
        np.save(tmp_path / "x.npy", array)
        np.save(tmp_path / "ids.npy", ids.astype(ids_type))
        run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "x.npy", *build)
        return (tmp_path / "x.ivf").read_bytes()

    want = made(x.astype("<f4"))
    for descr in ("<f2", ">f2", ">f4", "<f8", ">f8", "i1", "<i2", ">i4", "<i8", "u1", ">u2", "<u4", ">u8"):
        assert made(x.astype(descr)) == want, descr
    for descr in ("<f4", "<f8", "u1"):
        assert made(np.asfortranarray(x.astype(descr)), ">u2") == want, f"{descr} by columns"
    rows = np.empty((600, 9), "u1")
    rows[:, :4], rows[:, 4:] = np.frombuffer(np.int32(5).tobytes(), "u1"), x
    rows.tofile(tmp_path / "x.bvecs")
    run("faiss", "build", tmp_path / "x.ivf", "--vectors", tmp_path / "x.bvecs", *build)
    assert (tmp_path / "x.ivf").read_bytes() == want


def test_errors_about_vectors_say_what_to_do(run, tmp_path):
    def complaint(path):
        return run("faiss", "build", tmp_path / "x.ivf", "--vectors", path, status=1).stderr

    x = np.random.default_rng(1).random((40, 4)).astype("f4")
    for array, says in ((x.ravel(), "x.reshape(-1, DIMENSIONS)"), (x.reshape(10, 4, 4), "x.reshape(len(x), -1)"),
                        (x.astype("c8"), "complex"), (np.array([x[0], x[1][:2]], dtype=object), "numpy.stack"),
                        (x.astype("g"), "astype('<f4')"), (np.array(["a", "b"]), "dipper embed")):
        np.save(tmp_path / "x.npy", array, allow_pickle=True)
        assert says in complaint(tmp_path / "x.npy")
    np.savez(tmp_path / "x.npz", x=x)
    assert 'numpy.load(FILE)["NAME"]' in complaint(tmp_path / "x.npz")
    np.savetxt(tmp_path / "x.csv", x, delimiter=",")
    assert "numpy.loadtxt" in complaint(tmp_path / "x.csv")
    (tmp_path / "x.ivecs").write_bytes(b"\2\0\0\0" + b"\1\0\0\0" * 2)
    assert "ids of true neighbours" in complaint(tmp_path / "x.ivecs")
    assert "a FAISS index" in complaint(faiss_file(x, tmp_path / "x.faiss"))


def faiss_file(x, path):
    index = faiss.index_factory(x.shape[1], "IVF2,Flat")
    index.train(x)
    index.add(x)
    faiss.write_index(index, str(path))
    return path
