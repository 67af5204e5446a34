"""A segment's .ivf is a FAISS file: stock FAISS opens it, and its answers equal those of our own queries."""
import json
import subprocess

import faiss
import numpy as np
import pytest

K = 10
CANDIDATES = 2 * K + 10  # rows that a query for K re-ranks
HEAD = 16  # bytes of a .dpr object before its vectors (docs/internals/segment.md)


@pytest.fixture(scope="module")
def tools(build):
    subprocess.run(["ninja", "-C", str(build), "tests/index_tool", "tests/ivf_tool"], check=True,
                   stdout=subprocess.DEVNULL)
    return build / "tests"


def clustered(n, d, seed):
    rng = np.random.default_rng(seed)
    middle = np.random.default_rng(1).standard_normal((30, d)) * 2
    return (middle[rng.integers(0, 30, n)] + rng.standard_normal((n, d))).astype("float32")


def load(tools, tmp_path, x, metric, windows):
    x.tofile(tmp_path / "x.f32")
    subprocess.run([tools / "index_tool", "load", tmp_path / "root", "ns", tmp_path / "x.f32", str(x.shape[1]), metric,
                    str(windows)], check=True)
    manifest = json.loads((tmp_path / "root" / "ns" / "manifest.json").read_text())
    segment, = manifest["segments"]
    folder = tmp_path / "root" / "ns" / manifest["incarnation"] / "seg"
    return segment, folder / f"{segment['id']}.1.ivf", folder / f"{segment['id']}.dpr"


def our_answers(tools, tmp_path, q, nprobe, k=K):
    q.tofile(tmp_path / "q.f32")
    out = subprocess.run([tools / "index_tool", "query", tmp_path / "root", "ns", tmp_path / "q.f32", str(q.shape[1]),
                          str(nprobe), str(k)], check=True, stdout=subprocess.PIPE).stdout
    rows = np.frombuffer(out, dtype=[("id", "<i8"), ("dist", "<f4")]).reshape(len(q), k)
    return rows["id"], rows["dist"]


def distances(metric, q, x):
    if metric == "cosine":
        return 1 - q @ x.T
    return ((q[:, None, :] - x[None, :, :]) ** 2).sum(2)


def normalised(x):
    return x / np.linalg.norm(x.astype("float64"), axis=1, keepdims=True).astype("float32")


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("n,d,windows", [(1, 8, 1), (500, 16, 1), (6000, 48, 1), (2000, 48, 3)])
def test_faiss_opens_a_segment_and_agrees(tools, tmp_path, metric, n, d, windows):
    x, q = clustered(n * windows, d, seed=3), clustered(40, d, seed=4)
    segment, ivf, dpr = load(tools, tmp_path, x, metric, windows)
    if metric == "cosine":
        q = normalised(q)
    index = faiss.read_index(str(ivf))
    assert isinstance(index, faiss.IndexIVFScalarQuantizer)
    assert (index.ntotal, index.d) == (n * windows, d)
    assert index.metric_type == (faiss.METRIC_INNER_PRODUCT if metric == "cosine" else faiss.METRIC_L2)
    assert (segment["rows"], segment["vectors"]) == (n, n * windows)

    # The .dpr has the vectors as they were given; the file's codes are of vectors of length 1 for cosine. Rows are
    # numbered list by list: each list owns a contiguous range of the rows whose first vector it holds.
    stored = np.fromfile(dpr, dtype="u1", offset=HEAD, count=n * windows * (4 * d + 8)).reshape(n * windows, -1)
    stored = stored[:, :4 * d].copy().view("<f4").reshape(n, windows, d)
    first = x.reshape(n, windows, d)[:, 0]
    ids = np.argmax(2 * stored[:, 0] @ first.T - (first * first).sum(1), axis=1)  # the nearest given row
    np.testing.assert_array_equal(stored, x.reshape(n, windows, d)[ids])
    assert sorted(ids) == list(range(n))

    if metric == "cosine":
        stored = normalised(stored.reshape(-1, d)).reshape(n, windows, d)

    for nprobe in sorted({1, 5, index.nlist}):
        if nprobe > index.nlist:
            continue
        index.nprobe = nprobe
        # The rows that we re-rank: the nearest by their codes. Then exact distances decide, as in our second round.
        want = min(CANDIDATES * windows, index.ntotal)
        _, rows = index.search(q, want)
        ours, ours_dist = our_answers(tools, tmp_path, q, nprobe)
        for one, theirs, our_ids, our_dist in zip(q, rows, ours, ours_dist):
            theirs = np.array(list(dict.fromkeys(theirs[theirs >= 0]))[:CANDIDATES])
            exact = distances(metric, one[None], stored[theirs].reshape(-1, d)).reshape(len(theirs), windows).min(1)
            best = np.sort(exact)[:K]
            found = our_dist[our_ids >= 0]
            assert len(found) == min(K, len(theirs))
            np.testing.assert_allclose(found, best, rtol=1e-4, atol=1e-5 * (1 + float(one @ one)))
            by_id = dict(zip(ids[theirs], exact))
            for our_id, dist in zip(our_ids[:len(found)], found):
                assert abs(by_id[our_id] - dist) <= 1e-4 * abs(dist) + 1e-5 * (1 + float(one @ one))


def test_our_search_of_the_file_alone_agrees_with_faiss(tools, tmp_path):
    d = 32
    _, ivf, _ = load(tools, tmp_path, clustered(5000, d, seed=5), "cosine", 1)
    q = normalised(clustered(50, d, seed=6))
    q.tofile(tmp_path / "q.f32")
    index = faiss.read_index(str(ivf))
    index.nprobe = 7
    out = subprocess.run([tools / "ivf_tool", "search", ivf, tmp_path / "q.f32", "7", str(K)], check=True,
                         stdout=subprocess.PIPE).stdout
    rows = np.frombuffer(out, dtype=[("ids", "<i8", K), ("scores", "<f4", K)])
    scores, ids = index.search(q, K)
    np.testing.assert_allclose(rows["scores"], scores, rtol=1e-4, atol=1e-5)
    assert (rows["ids"] == ids).mean() > 0.99  # the rest are ties
