"""A search of every kind of FAISS file that Dipper reads gives FAISS's own answers."""
import json
import subprocess
import sys
from pathlib import Path

import faiss
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "golden"))
from make_faiss_golden import search as their_search  # noqa: E402
from test_faiss_agree import K, METRICS, assert_agree, made_up, tool  # noqa: F401 (tool is a fixture)

QUERIES = 200
faiss.omp_set_num_threads(1)  # FAISS's threads spin when they share cores

# factory string, dimensions, vectors, maximum of rounds to open (blocks, transforms, graphs and id maps need more)
KINDS = [
    ("IVF40,Flat", 24, 2000, 2), ("IVF7,Flat", 33, 900, 2), ("IVF300,Flat", 5, 100, 2),
    ("IVF40,SQ8", 33, 2000, 2), ("IVF40,SQ4", 31, 2000, 2), ("IVF40,SQ6", 33, 2000, 2), ("IVF40,SQfp16", 17, 2000, 2),
    ("IVF300,SQ6", 9, 100, 2), ("IVF300,SQ4", 8, 100, 2),
    ("IVF40,PQ8x4", 32, 2000, 2), ("IVF16,PQ3x5", 33, 2000, 2), ("IVF16,PQ4x8", 16, 1500, 2), ("IVF300,PQ2x3", 8, 100, 2),
    ("IVF16,PQ2x9", 4, 1000, 2),
    ("IVF40,RaBitQ", 40, 2000, 2), ("IVF16,RaBitQ", 33, 2000, 2), ("IVF300,RaBitQ", 9, 100, 2),
    ("IVF40,RaBitQ2", 35, 2000, 2), ("IVF40,RaBitQ4", 40, 2000, 2), ("IVF16,RaBitQ9", 17, 2000, 2),
    ("IVF40,RaBitQfs", 35, 2000, 5), ("IVF40,RaBitQfs_64", 40, 2000, 5), ("IVF300,RaBitQfs", 12, 100, 5),
    ("IVF40,RaBitQfs2", 35, 2000, 5), ("IVF40,RaBitQfs4", 40, 2000, 5), ("IVF300,RaBitQfs3", 12, 100, 5),
    ("IDMap,IVF40,Flat", 16, 2000, 3), ("IDMap2,IVF40,SQ8", 16, 2000, 3), ("IDMap,IVF300,RaBitQ", 16, 100, 3),
    ("PCA16,IVF40,Flat", 32, 2000, 5), ("PCAW8,IVF40,SQ8", 24, 2000, 5), ("PCAR8,IVF16,PQ4x4", 24, 2000, 5),
    ("OPQ4,IVF16,PQ4x4", 16, 2000, 5), ("OPQ4_8,IVF16,PQ4x4", 24, 2000, 5), ("RR24,IVF40,RaBitQ", 24, 2000, 5),
    ("RR16,IVF40,SQ6", 24, 2000, 5), ("L2norm,IVF40,Flat", 24, 2000, 5), ("HR,IVF40,Flat", 30, 2000, 5),
    ("Pad40,IVF40,SQ8", 24, 2000, 5), ("IVF40_HNSW8,Flat", 24, 2000, 5), ("IVF40_HNSW8,SQ8", 24, 2000, 5),
    ("IVF40_HNSW8,RaBitQ4", 24, 2000, 5), ("IDMap,PCA16,IVF40_HNSW8,PQ8x4", 32, 2000, 6),
]


# RaBitQ rounds queries. Dipper fuses multiplications and additions at the same places as FAISS's AVX-512 code
# (rabitq.c). FAISS's other code fuses them at other places, so the last bit of a float may differ, and now and then a
# component of a query is rounded the other way.
ROUNDED_OTHERWISE = 0 if "AVX512" in faiss.get_compile_options() else 4


def the_ivf(index):
    return faiss.downcast_index(faiss.extract_index_ivf(index))


def make(factory, d, n, metric, x=None):
    x = made_up(n, d, metric) if x is None else x
    index = faiss.index_factory(d, factory, METRICS[metric])
    ivf = the_ivf(index)
    ivf.cp.min_points_per_centroid = 1
    train = made_up(max(n, 800), d, metric, seed=9)
    if hasattr(ivf, "pq"):
        ivf.pq.cp.niter, ivf.pq.cp.min_points_per_centroid = 2, 1
        if ivf.pq.nbits >= 8:  # quicker than training: parts of vectors
            parts = train[:1 << ivf.pq.nbits].reshape(-1, ivf.pq.M, ivf.pq.dsub).swapaxes(0, 1)
            ivf.quantizer.add(train[:ivf.nlist])
            faiss.copy_array_to_vector(parts.ravel(), ivf.pq.centroids)
            ivf.is_trained = True
    if "OPQ" in factory:
        opq = faiss.downcast_VectorTransform(faiss.downcast_index(index).chain.at(0))
        opq.niter = opq.niter_pq = opq.niter_pq_0 = 1
    if not ivf.is_trained:
        index.train(train)
    if "IDMap" in factory:
        index.add_with_ids(x, np.random.default_rng(3).permutation(len(x)) * 7 + 11)
    else:
        index.add(x)
    return index


def write(index, path):
    faiss.write_index(index, str(path))
    return faiss.read_index(str(path))


def our_search(tool, path, queries, nprobe, tmp_path, k=K, k_factor=None):
    """Distances, ids, and (rounds to open, bytes to open, most rounds of a search)."""
    queries.tofile(tmp_path / "queries.f32")
    out = subprocess.run([tool, "search", path, tmp_path / "queries.f32", str(nprobe), str(k),
                          *([str(k_factor)] if k_factor else [])], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    rows = np.frombuffer(out.stdout, dtype=[("ids", "<i8", k), ("scores", "<f4", k)])
    assert len(rows) == len(queries)
    return (rows["scores"], rows["ids"]), tuple(int(n) for n in out.stderr.split())


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory,d,n,rounds", KINDS)
def test_kind_agrees(tool, tmp_path, factory, d, n, rounds, metric):
    x = made_up(n, d, metric)
    path = tmp_path / "theirs.ivf"
    index = write(make(factory, d, n, metric, x), path)
    queries = made_up(QUERIES, d, metric, seed=8)
    queries[:5] = x[:5]
    largest = float((x * x).sum(1).max())
    nlist = the_ivf(index).nlist
    for nprobe in sorted({min(p, nlist) for p in (1, 8, 64, nlist)}):
        ours, (opened, _, searched) = our_search(tool, path, queries, nprobe, tmp_path)
        assert_agree(ours, their_search(index, queries, nprobe), queries, largest,
                     ROUNDED_OTHERWISE if "RaBitQ" in factory else 0)
        assert opened <= rounds
        assert searched <= 1


def with_bad_rows(x, metric):
    x = x.copy()
    x[7], x[100, 1], x[-1, 0] = np.nan, np.nan if metric == "ip" else np.inf, np.nan  # inner products keep infinities
    return x


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory,d", [("IVF20,Flat", 16), ("IVF20,SQ8", 16), ("IVF20,PQ4x4", 16), ("IDMap,IVF20,SQfp16", 16),
                                       ("PCA8,IVF20,Flat", 16), ("IVF20,RaBitQ", 16), ("IVF20_HNSW8,Flat", 16)])
def test_rows_in_no_list_are_passed_over(tool, tmp_path, factory, d, metric):
    """FAISS counts rows with a NaN, or with L2 an infinity, but puts them in no list."""
    x, queries = made_up(1000, d, metric), made_up(50, d, metric, seed=8)
    path = tmp_path / "theirs.ivf"
    index = write(make(factory, d, 1000, metric, with_bad_rows(x, metric)), path)
    assert index.ntotal == 1000 and the_ivf(index).invlists.compute_ntotal() == 997
    for nprobe in (1, 20):
        ours, _ = our_search(tool, path, queries, nprobe, tmp_path)
        assert_agree(ours, their_search(index, queries, nprobe), queries, float((x * x).sum(1).max()),
                     ROUNDED_OTHERWISE if "RaBitQ" in factory else 0)
    # More neighbours than there are rows to find.
    (_, found), _ = our_search(tool, path, queries[:2], 20, tmp_path, k=1000)
    assert ((found >= 0).sum(1) == 997).all()


def removed(index):
    index.remove_ids(np.arange(100, 300))


def all_removed(index):
    index.remove_ids(np.arange(1000))


def merged(index):
    other = faiss.clone_index(index)
    other.reset()
    other.add(made_up(100, 16, "l2", seed=5))
    index.merge_from(other, 5000)


def direct_map(index):
    index.make_direct_map()


def hash_map(index):
    the_ivf(index).set_direct_map_type(faiss.DirectMap.Hashtable)


def far_ids(index):
    index.add_with_ids(made_up(100, 16, "l2", seed=5), np.arange(100) * 10**15 + 10**6)


@pytest.mark.parametrize("change", [removed, all_removed, merged, direct_map, hash_map, far_ids])
def test_changed_files_agree(tool, tmp_path, change):
    index = make("IVF20,Flat", 16, 1000, "l2", with_bad_rows(made_up(1000, 16, "l2"), "l2") if change is not hash_map else None)
    change(index)
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    queries = made_up(50, 16, "l2", seed=8)
    for nprobe in (1, 20):
        ours, _ = our_search(tool, path, queries, nprobe, tmp_path)
        assert_agree(ours, their_search(index, queries, nprobe), queries, 1e3)


def on_a_grid(x):
    """Rounds numbers so that sums of their products are exact in floats, in any order. Few of these sums tie."""
    return (np.round(x * 32) / 32).astype("float32")


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory,d", [("IVF20,PQ8x4fs", 32), ("IVF20,PQ5x4fs", 15), ("IVF20,PQ4x4fs_64", 16),
                                       ("IVF20,PQ8x4fsr", 16), ("IVF20,PQ3x4fsr", 15), ("IVF20,PQ4x4fsr_96", 8),
                                       ("IVF20_HNSW8,PQ4x4fsr", 16), ("IVF200,PQ2x4fs", 8)])
def test_fast_scan_is_the_same_to_the_step(tool, tmp_path, factory, d, metric):
    """With exact floats our tables of bytes equal FAISS's, and so does every distance."""
    n = 100 if "IVF200" in factory else 2000
    index = make(factory, d, n, "l2" if "fsr" in factory else metric, made_up(4, d, metric))
    index.reset()
    index.metric_type = METRICS[metric]
    ivf = the_ivf(index)
    quantizer = faiss.downcast_index(ivf.quantizer)
    storage = faiss.downcast_index(quantizer.storage) if isinstance(quantizer, faiss.IndexHNSW) else quantizer
    centroids = on_a_grid(storage.reconstruct_n(0, ivf.nlist))
    new = faiss.IndexFlat(d, METRICS[metric])
    if storage is not quantizer:
        new = faiss.IndexHNSWFlat(d, 8, METRICS[metric])
    new.add(centroids)
    ivf.quantizer, ivf.own_fields = new, False
    faiss.copy_array_to_vector(on_a_grid(faiss.vector_to_array(ivf.pq.centroids)), ivf.pq.centroids)
    index.add(on_a_grid(made_up(n, d, "l2")))
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    queries = on_a_grid(made_up(QUERIES, d, "l2", seed=8))
    for nprobe in (1, 8, 20):
        (our_d, our_i), _ = our_search(tool, path, queries, nprobe, tmp_path)
        near = queries.astype("f8") @ centroids.T  # among lists that tie, Dipper chooses
        if metric == "l2":
            near = 2 * near - (queries ** 2).sum(1)[:, None] - (centroids ** 2).sum(1)
        lists = np.argsort(-near, axis=1, kind="stable")[:, :nprobe]
        near = np.take_along_axis(near if metric == "ip" else -near, lists, 1).astype("f4")
        the_ivf(index).nprobe = nprobe
        their_d, their_i = the_ivf(index).search_preassigned(queries, K, lists, near)
        assert np.array_equal(our_i >= 0, their_i >= 0)
        # A step is 1/255 of a part's range; FAISS may fuse its last multiply-add, or not.
        assert np.allclose(our_d[our_i >= 0], their_d[our_i >= 0], rtol=5e-7, atol=1e-6)
        assert_agree((our_d, our_i), (their_d, their_i), queries, 0.0)


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory,d", [("IVF40,PQ16x4fs", 32), ("IVF40,PQ8x4fsr", 32), ("IVF16,PQ5x4fs", 15),
                                       ("PCA16,IVF40,PQ8x4fs", 32), ("IDMap,IVF40,PQ8x4fsr", 32),
                                       ("IDMap,RR24,IVF40,RaBitQfs", 24), ("RR32,IVF40,RaBitQfs3", 32)])
def test_fast_scan_agrees(tool, tmp_path, factory, d, metric):
    """With other floats a last digit may move one entry of a table by one step, so a distance may differ by a step."""
    n = 2000
    x, queries = made_up(n, d, metric), made_up(QUERIES, d, metric, seed=8)
    path = tmp_path / "theirs.ivf"
    index = write(make(factory, d, n, metric, x), path)
    nlist = the_ivf(index).nlist
    largest = float((x * x).sum(1).max())
    for nprobe in (1, 8, nlist):
        (our_d, our_i), _ = our_search(tool, path, queries, nprobe, tmp_path)
        their_d, their_i = their_search(index, queries, nprobe)
        found = (our_i >= 0) & (their_i >= 0)
        assert np.mean((our_i >= 0) == (their_i >= 0)) > 0.999
        off = np.abs(our_d - their_d)[found]
        allowed = (1e-4 * np.abs(their_d) + 1e-5 * ((queries ** 2).sum(1)[:, None] + largest))[found]
        assert np.mean(off <= allowed) > 0.99
        assert off.max() <= allowed.max() + 0.02 * np.abs(their_d[found]).max()  # a step


@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_rabitq_in_large_blocks_reads_its_own_bits(tool, tmp_path, metric):
    """Codes of several bits are the same in blocks of 32 and 64, so the answers are too. (FAISS 1.15 reads other vectors' sign
    bits behind the first 32 of a block.)"""
    x, queries = made_up(2000, 24, metric), made_up(QUERIES, 24, metric, seed=8)
    answers = []
    for blocks in ("", "_64"):
        path = tmp_path / f"theirs{blocks}.ivf"
        index = write(make(f"IVF16,RaBitQfs4{blocks}", 24, 2000, metric, x), path)
        answers.append(our_search(tool, path, queries, 16, tmp_path)[0])
        if not blocks:
            theirs = their_search(index, queries, 16)
    largest = float((x * x).sum(1).max())
    assert_agree(answers[0], theirs, queries, largest)
    same = np.mean([len(set(a) & set(b)) / K for a, b in zip(answers[0][1], answers[1][1])])
    assert same > 0.99  # the order of the lists decides which vectors get all bits scored


@pytest.mark.parametrize("bits", [0, 1, 3, 4, 8])
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_rabitq_query_bits_are_the_files(tool, tmp_path, bits, metric):
    x, queries = made_up(2000, 37, metric), made_up(QUERIES, 37, metric, seed=8)
    largest = float((x * x).sum(1).max())
    for factory in ("IVF16,RaBitQ", "IVF16,RaBitQ3", "IVF16,RaBitQfs", "IVF16,RaBitQfs3"):
        for centered in (False, True):
            index = make(factory, 37, 2000, metric, x)
            if "fs" in factory:
                if bits == 0:
                    continue
                index.centered = centered
            elif centered:
                continue
            index.qb = bits
            path = tmp_path / "theirs.ivf"
            index = write(index, path)
            ours, _ = our_search(tool, path, queries, 8, tmp_path)
            assert_agree(ours, their_search(index, queries, 8), queries, largest)


def grown_quantizer(d, nlist, hnsw):
    rng = np.random.default_rng(5)
    quantizer = faiss.IndexHNSWFlat(d, 16) if hnsw else faiss.IndexFlatL2(d)
    if hnsw:
        quantizer.hnsw.efConstruction = 8
    quantizer.add(rng.standard_normal((nlist, d)).astype("float32"))
    return quantizer


@pytest.mark.parametrize("hnsw,transform,idmap,rounds", [(False, False, False, 2), (True, False, False, 5),
                                                         (False, True, False, 5), (True, True, True, 6)])
def test_large_heads_open_within_their_rounds(tool, tmp_path, hnsw, transform, idmap, rounds):
    """Heads far longer than the first read; opening reads little more than the head."""
    d, nlist = 64, 20000
    rng = np.random.default_rng(6)
    quantizer = grown_quantizer(d, nlist, hnsw)
    index = ivf = faiss.IndexIVFFlat(quantizer, d, nlist)
    x = rng.standard_normal((3000, 256 if transform else d)).astype("float32")
    if transform:
        pca = faiss.PCAMatrix(256, d)
        pca.train(x)
        index = faiss.IndexPreTransform(pca, index)
    if idmap:
        index = faiss.IndexIDMap(index)
        index.add_with_ids(x, np.arange(len(x)) + 5)
    else:
        index.add(x)
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    data = ivf.ntotal * (4 * d + 8)
    ours, (opened, read, searched) = our_search(tool, path, x[:20], 8, tmp_path)
    assert_agree(ours, their_search(index, x[:20], 8), x[:20], float((x * x).sum(1).max()))
    assert opened <= rounds and searched == 1
    assert read <= path.stat().st_size - data + 8 * nlist + (600_000 if transform or idmap else 0)


@pytest.mark.parametrize("m,bits", [(16, 4), (8, 6), (16, 8), (8, 10)])
@pytest.mark.parametrize("idmap", [False, True])
def test_sizes_of_product_quantizers_are_predicted(tool, tmp_path, m, bits, idmap):
    """A head longer than the first read takes one more round, with any number of bits, and reads no list data."""
    d, nlist, n = 32, 3000, 6000
    rng = np.random.default_rng(7)
    x = rng.standard_normal((n, d)).astype("float32")
    quantizer = faiss.IndexFlatL2(d)
    quantizer.add(x[:nlist])
    ivf = faiss.IndexIVFPQ(quantizer, d, nlist, m, bits)
    faiss.copy_array_to_vector(rng.standard_normal(d << bits).astype("float32"), ivf.pq.centroids)
    ivf.is_trained = True
    index = faiss.IndexIDMap(ivf) if idmap else ivf
    if idmap:
        index.add_with_ids(x, np.arange(n) + 5)
    else:
        index.add(x)
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    ours, (opened, read, _) = our_search(tool, path, x[:20], 8, tmp_path)
    assert_agree(ours, their_search(index, x[:20], 8), x[:20], float((x * x).sum(1).max()))
    assert opened <= 2 + idmap
    assert read == path.stat().st_size - n * (ivf.code_size + 8)


def test_sparse_sizes_and_a_direct_map(tool, tmp_path):
    x = made_up(60, 12, "l2")
    index = make("IVF400,PQ3x4", 12, 60, "l2", x)
    index.make_direct_map()
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    ours, (opened, _, _) = our_search(tool, path, x, 64, tmp_path)
    assert_agree(ours, their_search(index, x, 64), x, float((x * x).sum(1).max()))
    assert opened <= 2


def test_a_stock_file_is_searched_by_text(dipper, tmp_path):
    """FAISS makes a file of embeddings from `dipper embed`; `dipper faiss search --text` finds them."""
    texts = ["a cat sleeps on the sofa", "a dog barks at night", "a boat sails with the wind", "the bread rises"]
    out = subprocess.run([dipper, "embed"], input="\n".join(texts), check=True, stdout=subprocess.PIPE, text=True).stdout
    x = np.array([json.loads(line)["embedding"] for line in out.splitlines()], dtype="float32")
    index = faiss.index_factory(x.shape[1], "IVF2,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(np.repeat(x, 20, axis=0))
    index.add(x)
    path = tmp_path / "texts.ivf"
    faiss.write_index(index, str(path))
    index.nprobe = 2
    distances, ids = index.search(x[2:3], 4)
    out = subprocess.run([dipper, "faiss", "search", path, "--text", texts[2], "-k", "4", "--nprobe", "2", "--json"],
                         check=True, stdout=subprocess.PIPE, text=True).stdout
    answer = json.loads(out)
    assert answer["ids"] == ids[0].tolist() and answer["ids"][0] == 2
    assert np.allclose(answer["distances"], distances[0], atol=1e-4)


SCALARS = ["QT_bf16", "QT_8bit_uniform", "QT_4bit_uniform", "QT_8bit_direct", "QT_8bit_direct_signed"]


def make_scalar(kind, d, metric, by_residual, n=1000, nlist=8):
    """Vectors in the range of the codes; queries in that range and outside it."""
    rng = np.random.default_rng(d)
    x, queries = made_up(n, d, metric), made_up(50, d, metric, seed=8)
    if "direct" in kind:  # whole numbers; an IVF of them is made without residuals, or codes wrap
        least = 0 if kind == "QT_8bit_direct" else -128
        x = rng.integers(least, least + 256, (n, d)).astype("f4")
        queries = np.vstack([x[:25], rng.integers(least, least + 256, (25, d)).astype("f4") + np.float32(0.4)])
    quantizer = faiss.IndexFlat(d, METRICS[metric])  # the index keeps it
    index = faiss.IndexIVFScalarQuantizer(quantizer, d, nlist, getattr(faiss.ScalarQuantizer, kind), METRICS[metric],
                                          by_residual)
    index.cp.min_points_per_centroid = 1
    index.train(x)
    index.add(x)
    return index, x, queries


@pytest.fixture
def faiss_avx2():
    """FAISS as on a processor with AVX2 alone. Its code for AVX2 cuts queries of direct codes to bytes, and so does Dipper on each
    processor; FAISS's code for AVX-512 does not, and that for AVX512-BF16 rounds queries of bf16 codes."""
    level = faiss.SIMDConfig.get_level()
    if level not in (faiss.SIMDLevel_AVX2, faiss.SIMDLevel_NONE) and faiss.SIMDConfig.is_simd_level_available(faiss.SIMDLevel_AVX2):
        faiss.SIMDConfig.set_level(faiss.SIMDLevel_AVX2)
    yield
    faiss.SIMDConfig.set_level(level)


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("by_residual", [False, True])
@pytest.mark.parametrize("d", [7, 16, 24, 33, 48])
@pytest.mark.parametrize("kind", SCALARS)
def test_scalar_kinds_agree(faiss_avx2, tool, tmp_path, kind, d, by_residual, metric):
    index, x, queries = make_scalar(kind, d, metric, by_residual)
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    for nprobe in (1, 8):
        ours, (opened, _, searched) = our_search(tool, path, queries, nprobe, tmp_path)
        assert_agree(ours, their_search(index, queries, nprobe), queries, float((x * x).sum(1).max()))
        assert opened <= 2 and searched <= 1


FLAT = [("Flat", 16, 1), ("Flat", 33, 1), ("SQ8", 16, 1), ("SQ4", 13, 1), ("SQbf16", 9, 1), ("SQ8_direct", 16, 1),
        ("IDMap,Flat", 16, 2), ("IDMap2,Flat", 16, 2), ("PCA8,Flat", 16, 4), ("OPQ4_8,SQ8", 16, 4), ("L2norm,Flat", 16, 4),
        ("PCA8,IDMap,Flat", 16, 5)]


def make_flat(factory, d, n, metric):
    x, queries = made_up(n, d, metric), made_up(60, d, metric, seed=8)
    if "direct" in factory:
        x, queries = np.abs(np.round(x * 20)), np.round(np.abs(queries) * 20)
    index = faiss.index_factory(d, factory, METRICS[metric])
    index.train(x)
    if "IDMap" in factory:
        index.add_with_ids(x, np.random.default_rng(3).permutation(n) * 7 + 11)
    else:
        index.add(x)
    return index, x, queries


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory,d,rounds", FLAT)
def test_flat_files_agree(tool, tmp_path, factory, d, rounds, metric):
    index, x, queries = make_flat(factory, d, 3000, metric)
    index = write(index, tmp_path / "theirs.index")
    ours, (opened, _, searched) = our_search(tool, tmp_path / "theirs.index", queries, 1, tmp_path)
    assert_agree(ours, index.search(queries, K), queries, float((x * x).sum(1).max()))
    assert opened <= rounds and searched <= 1


def test_an_empty_flat_file_finds_nothing(tool, tmp_path):
    faiss.write_index(faiss.IndexFlatL2(8), str(tmp_path / "none.index"))
    (_, found), _ = our_search(tool, tmp_path / "none.index", made_up(3, 8, "l2"), 1, tmp_path)
    assert (found == -1).all()


def refined_index(index):
    inner = faiss.downcast_index(index)
    return faiss.downcast_index(inner.index) if isinstance(inner, faiss.IndexIDMap) else inner


@pytest.mark.parametrize("metric", ["l2", "ip"])
@pytest.mark.parametrize("factory", ["IVF20,SQ8,RFlat", "IVF20,SQ4,RFlat", "IVF20,SQfp16,RFlat", "PCA8,IVF20,SQ8,RFlat",
                                     "IDMap,IVF20,SQ6,RFlat", "IDMap,OPQ4_8,IVF20,SQ8,RFlat", "SQ4,RFlat",
                                     "IVF20_HNSW8,SQ4,RFlat"])
def test_flat_parts_refine_as_faiss_does(tool, tmp_path, factory, metric):
    """The candidates and their exact scores equal FAISS's. The exact scores take one more round."""
    x, queries = made_up(2000, 16, metric), made_up(60, 16, metric, seed=8)
    x[17] = np.nan if "IVF" in factory else 0  # in no list, but in the flat part
    index = faiss.index_factory(16, factory, METRICS[metric])
    index.train(made_up(2000, 16, metric, seed=9))
    if "IDMap" in factory:
        index.add_with_ids(x, np.random.default_rng(3).permutation(len(x)) * 7 + 11)
    else:
        index.add(x)
    refined_index(index).k_factor = 3
    path = tmp_path / "theirs.ivf"
    index = write(index, path)
    ivf = faiss.try_extract_index_ivf(faiss.downcast_index(refined_index(index).base_index))
    largest = float(np.nansum(x * x, axis=1).max())
    for nprobe in (1, 8, 20) if ivf else (1,):
        for k_factor in (None, 1, 1.25, 10):
            refined_index(index).k_factor = k_factor or 3
            if ivf:
                ivf.nprobe = nprobe
            if ivf and "HNSW" in factory:  # its centroids are searched exactly here
                faiss.downcast_index(ivf.quantizer).hnsw.efSearch = 1000
            ours, (opened, _, searched) = our_search(tool, path, queries, nprobe, tmp_path, k_factor=k_factor)
            assert_agree(ours, index.search(queries, K), queries, largest)
            assert opened <= 7 and searched <= 2
