"""Stock FAISS opens files that Dipper writes, Dipper opens files that FAISS writes, and both give the same answers."""
import subprocess

import faiss
import numpy as np
import pytest

K = 10
METRICS = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}


@pytest.fixture(scope="module")
def tool(build):
    subprocess.run(["ninja", "-C", str(build), "tests/ivf_tool"], check=True, stdout=subprocess.DEVNULL)
    return build / "tests" / "ivf_tool"


@pytest.fixture(scope="module")
def sift(test_data):
    x = np.fromfile(test_data / "vectors" / "sift-5k.u8", dtype="u1").reshape(-1, 128).astype("float32")
    return x[:-200], x[-200:]


def made_up(n, d, metric, seed=7):
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((20, d)) * 2
    x = (middle[rng.integers(0, 20, n)] + rng.standard_normal((n, d))).astype("float32")
    if metric == "ip":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def our_search(tool, path, queries, nprobe, tmp_path):
    queries.tofile(tmp_path / "queries.f32")
    out = subprocess.run([tool, "search", path, tmp_path / "queries.f32", str(nprobe), str(K)], check=True,
                         stdout=subprocess.PIPE).stdout
    rows = np.frombuffer(out, dtype=[("ids", "<i8", K), ("scores", "<f4", K)])
    assert len(rows) == len(queries)
    return rows["scores"], rows["ids"]


def our_build(tool, x, metric, kind, nlist, path, tmp_path):
    x.tofile(tmp_path / "vectors.f32")
    subprocess.run([tool, "build", tmp_path / "vectors.f32", str(x.shape[1]), metric, kind, str(nlist), path],
                   check=True)


def assert_agree(ours, theirs, queries, largest, rounded_otherwise=0):
    """Distances within 1e-4 relative or 1e-5 (|q|² + |x|²); ids as sets where distances tie.

    rounded_otherwise: queries that may disagree, because the last bit of a float decides how they are rounded."""
    disagreed = 0
    for (our_d, our_i), (their_d, their_i), query in zip(zip(*ours), zip(*theirs), queries):
        found = their_i >= 0
        assert np.array_equal(our_i >= 0, found)
        our_d, our_i, their_d, their_i = our_d[found], our_i[found], their_d[found], their_i[found]
        allowed = 1e-4 * np.abs(their_d) + 1e-5 * (float(query @ query) + largest)
        if disagreed < rounded_otherwise and np.any(np.abs(our_d - their_d) > allowed):
            assert np.all(np.abs(our_d - their_d) <= 0.02 * np.abs(their_d)), "more than a step of the rounding"
            disagreed += 1
            continue
        assert np.all(np.abs(our_d - their_d) <= allowed)
        for i, one in enumerate(our_i):
            where = np.nonzero(their_i == one)[0]
            other = their_d[where[0]] if len(where) else their_d[-1]
            assert abs(our_d[i] - other) <= allowed[i]


def check(tool, path, queries, largest, tmp_path):
    index = faiss.read_index(str(path))
    for nprobe in (1, 8, 64, index.nlist):
        index.nprobe = nprobe
        assert_agree(our_search(tool, path, queries, nprobe, tmp_path), index.search(queries, K), queries, largest)
    return index


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("kind", ["flat", "sq8"])
@pytest.mark.parametrize("n,d,nlist", [(1, 1, 1), (50, 3, 50), (2000, 24, 40), (3000, 65, 100)])
def test_faiss_opens_what_we_write(tool, tmp_path, metric, kind, n, d, nlist):
    x = made_up(n, d, metric)
    path = tmp_path / "ours.ivf"
    our_build(tool, x, metric, kind, nlist, path, tmp_path)
    index = check(tool, path, made_up(200, d, metric, seed=8), float((x * x).sum(1).max()), tmp_path)
    assert (index.ntotal, index.d, index.nlist, index.metric_type) == (n, d, nlist, METRICS[metric])
    assert type(index) is (faiss.IndexIVFFlat if kind == "flat" else faiss.IndexIVFScalarQuantizer)
    index.make_direct_map()
    assert np.allclose(index.reconstruct_n(0, n), x, atol=0 if kind == "flat" else 0.1)


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory", ["IVF64,Flat", "IVF64,SQ8"])
def test_we_open_what_faiss_writes(tool, tmp_path, sift, metric, factory):
    base, queries = sift
    if metric == "ip":
        base = base / np.linalg.norm(base, axis=1, keepdims=True)
        queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    index = faiss.index_factory(128, factory, METRICS[metric])
    index.train(base)
    index.add(base)
    path = tmp_path / "theirs.ivf"
    faiss.write_index(index, str(path))
    check(tool, path, queries, float((base * base).sum(1).max()), tmp_path)


@pytest.mark.parametrize("kind", ["flat", "sq8"])
def test_our_clusters_are_as_good_as_faiss(tool, tmp_path, sift, kind):
    base, queries = sift
    path = tmp_path / "ours.ivf"
    our_build(tool, base, "l2", kind, 64, path, tmp_path)
    ours = faiss.read_index(str(path))
    theirs = faiss.index_factory(128, "IVF64," + kind.upper().replace("FLAT", "Flat"))
    theirs.train(base)
    theirs.add(base)
    exact = faiss.IndexFlatL2(128)
    exact.add(base)
    truth = exact.search(queries, K)[1]

    def recall(index):
        index.nprobe = 8
        found = index.search(queries, K)[1]
        return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth)])

    assert recall(ours) >= recall(theirs) - 0.02


def test_our_codes_are_those_of_faiss(tool, tmp_path):
    """FAISS, given our centroids and ranges, makes the same codes byte by byte.

    We round the centroids after the vectors have their lists, so a vector between two lists may be in the other one."""
    x = made_up(1000, 19, "l2")
    path = tmp_path / "ours.ivf"
    our_build(tool, x, "l2", "sq8", 10, path, tmp_path)
    ours = faiss.read_index(str(path))
    again = faiss.clone_index(ours)
    again.reset()
    again.add(x)

    def by_id(index):
        found = {}
        for l in range(10):
            size = index.invlists.list_size(l)
            ids = faiss.rev_swig_ptr(index.invlists.get_ids(l), size).copy() if size else []
            codes = faiss.rev_swig_ptr(index.invlists.get_codes(l), size * 19).copy().reshape(size, 19) if size else []
            found.update({int(i): (l, code.tobytes()) for i, code in zip(ids, codes)})
        return found

    mine, theirs = by_id(ours), by_id(again)
    assert set(mine) == set(theirs) == set(range(1000))
    same = [i for i in mine if mine[i][0] == theirs[i][0]]
    assert len(same) >= 970
    assert all(mine[i] == theirs[i] for i in same)
