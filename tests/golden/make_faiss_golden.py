#!/usr/bin/env python3
"""Makes tests/data/faiss/: small FAISS files, and what faiss-cpu answers when it searches them.

    make_faiss_golden.py OUT_DIR [SEEDS_DIR]

Run by hand with the faiss-cpu of tests/requirements.txt; its product is committed. With SEEDS_DIR the smallest
files are also written there, as seeds of the fuzz target.

NAME.ivf is the file as faiss.write_index wrote it. NAME.answers, little-endian: "DPFAISS1", u32 queries, u32 d,
u32 k, u32 searches, f32 largest squared length of a vector, f32 queries[queries][d]; then per search: u32 nprobe,
i32 ids[queries][k] (-1: none), f32 distances[queries][k].
An index with an HNSW quantizer is searched exactly over its centroids, through search_preassigned.
NAME.refused holds a file of a kind that is not read.
"""
import os
import struct
import sys

import faiss
import numpy as np

QUERIES, K = 40, 10
L2, IP = faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT


def clustered(rng, n, d, centers):
    middle = rng.standard_normal((centers, d)) * 2
    return (middle[rng.integers(0, centers, n)] + rng.standard_normal((n, d))).astype("float32")


def make_index(kind, d, nlist, metric, x, train):
    index = faiss.index_factory(d, f"IVF{nlist},{kind.split('-')[0]}", metric)
    if kind == "SQ8-direct":
        index.by_residual = False
    index.cp.min_points_per_centroid = 1
    index.train(train)
    index.add(x)
    return index


def search(index, queries, nprobe, k=K):
    """FAISS's answers; over an HNSW quantizer those of an exact search of its centroids."""
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is None:
        return index.search(queries, k)
    ivf.nprobe = nprobe
    if not isinstance(faiss.downcast_index(ivf.quantizer), faiss.IndexHNSW):
        return index.search(queries, k)
    inner = faiss.downcast_index(index)
    ids = None
    if isinstance(inner, faiss.IndexIDMap):
        ids = faiss.vector_to_array(inner.id_map)
        inner = faiss.downcast_index(inner.index)
    if isinstance(inner, faiss.IndexPreTransform):
        for i in range(inner.chain.size()):
            queries = inner.chain.at(i).apply(queries)
    storage = faiss.downcast_index(faiss.downcast_index(ivf.quantizer).storage)
    near, lists = storage.search(queries, nprobe)
    distances, found = ivf.search_preassigned(queries, k, lists, near)
    return distances, found if ids is None else np.where(found >= 0, ids[found], -1)


def write_answers(path, index, x, queries):
    with open(path, "wb") as out:
        ivf = faiss.try_extract_index_ivf(index)
        nlist = ivf.nlist if ivf else 1
        nprobes = sorted({1, min(8, nlist), nlist})
        out.write(struct.pack("<8s4If", b"DPFAISS1", len(queries), index.d, K, len(nprobes),
                              float((x.astype("float64") ** 2).sum(1).max()) if len(x) else 0.0))
        out.write(queries.tobytes())
        for nprobe in nprobes:
            distances, ids = search(index, queries, nprobe)
            out.write(struct.pack("<I", nprobe))
            out.write(ids.astype("<i4").tobytes())
            out.write(distances.astype("<f4").tobytes())


def main():
    out_dir, seeds_dir = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None
    os.makedirs(out_dir, exist_ok=True)
    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(20240)
    cases = [
        # name, kind, d, nlist, metric, vectors, clusters of the vectors
        ("flat-l2-d1", "Flat", 1, 3, L2, 50, 3),
        ("flat-l2-d16", "Flat", 16, 8, L2, 400, 12),
        ("flat-ip-d33", "Flat", 33, 5, IP, 200, 8),
        ("flat-l2-sparse", "Flat", 7, 24, L2, 30, 2),      # most lists empty: sparse sizes
        ("flat-l2-empty", "Flat", 4, 4, L2, 0, 1),         # no vector at all
        ("sq8-l2-d16", "SQ8", 16, 8, L2, 600, 12),
        ("sq8-ip-d48", "SQ8", 48, 8, IP, 600, 12),
        ("sq8-l2-d31", "SQ8", 31, 6, L2, 300, 8),
        ("sq8-ip-sparse", "SQ8", 5, 20, IP, 25, 2),
        ("sq8-direct-l2-d20", "SQ8-direct", 20, 8, L2, 500, 12),
        ("sq8-direct-ip-d64", "SQ8-direct", 64, 6, IP, 400, 8),
    ]
    for name, kind, d, nlist, metric, n, centers in cases:
        train = clustered(rng, max(40 * nlist, 200), d, 3 * nlist)
        x = clustered(rng, n, d, centers)
        if metric == IP:
            train /= np.linalg.norm(train, axis=1, keepdims=True)
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        queries = clustered(rng, QUERIES, d, centers)
        if n >= QUERIES:  # some of the queries are vectors of the index
            queries[:5] = x[:5]
        index = make_index(kind, d, nlist, metric, x, train)
        path = os.path.join(out_dir, name)
        faiss.write_index(index, path + ".ivf")
        write_answers(path + ".answers", index, x, queries)
        if seeds_dir and os.path.getsize(path + ".ivf") < 4000:
            faiss.write_index(index, os.path.join(seeds_dir, name))

    x = clustered(rng, 400, 8, 4)
    index = make_index("Flat", 8, 4, L2, x, x)
    index.make_direct_map()
    faiss.write_index(index, os.path.join(out_dir, "flat-l2-direct-map.ivf"))
    write_answers(os.path.join(out_dir, "flat-l2-direct-map.answers"), index, x, x[:QUERIES] + np.float32(0.01))

    make_kinds(np.random.default_rng(20261), out_dir, seeds_dir)
    make_refused(np.random.default_rng(20262), out_dir)
    make_no_list(np.random.default_rng(20263), out_dir, seeds_dir)
    make_scalars(np.random.default_rng(20264), out_dir, seeds_dir)
    make_flat(np.random.default_rng(20265), out_dir, seeds_dir)


def make_kinds(rng, out_dir, seeds_dir):
    """One small file of each further kind."""
    cases = [
        # name, factory string, d, metric, vectors
        ("sq4-l2-d13", "IVF6,SQ4", 13, L2, 150),
        ("sq6-ip-d11", "IVF6,SQ6", 11, IP, 150),
        ("fp16-l2-d9", "IVF6,SQfp16", 9, L2, 120),
        ("pq-l2-d12", "IVF5,PQ3x4", 12, L2, 200),
        ("pq-ip-x5", "IVF5,PQ3x5", 12, IP, 200),
        ("pq-l2-x8", "IVF4,PQ2x8", 4, L2, 300),
        ("pqfs-l2", "IVF5,PQ6x4fs", 12, L2, 200),
        ("pqfs-ip-odd", "IVF5,PQ5x4fs", 10, IP, 200),
        ("pqfsr-l2-64", "IVF4,PQ4x4fsr_64", 8, L2, 200),
        ("pqfsr-ip", "IVF4,PQ4x4fsr", 8, IP, 200),
        ("rabitq-l2", "IVF5,RaBitQ", 19, L2, 150),
        ("rabitq-ip", "IVF5,RaBitQ", 24, IP, 150),
        ("rabitq4-l2", "IVF5,RaBitQ4", 19, L2, 150),
        ("rabitq3-ip", "IVF5,RaBitQ3", 16, IP, 150),
        ("rabitqfs-l2", "IVF5,RaBitQfs", 19, L2, 150),
        ("rabitqfs-ip-64", "IVF5,RaBitQfs_64", 16, IP, 150),
        ("rabitqfs4-l2", "IVF5,RaBitQfs4", 18, L2, 150),
        ("rabitqfs2-ip", "IVF5,RaBitQfs2", 16, IP, 150),
        ("rabitqfs-sparse", "IVF24,RaBitQfs", 8, L2, 20),
        ("idmap-flat", "IDMap,IVF5,Flat", 6, L2, 100),
        ("idmap2-sq8-ip", "IDMap2,IVF5,SQ8", 8, IP, 100),
        ("pca-flat", "PCA5,IVF5,Flat", 12, L2, 150),
        ("pcaw-sq8-ip", "PCAW5,IVF5,SQ8", 12, IP, 150),
        ("opq-pq", "OPQ3_6,IVF5,PQ3x4", 12, L2, 200),
        ("rr-rabitq", "RR16,IVF5,RaBitQ", 16, L2, 150),
        ("norm-remap-flat", "L2norm,Pad9,IVF5,Flat", 7, L2, 100),
        ("hadamard-sq4", "HR,IVF5,SQ4", 10, L2, 100),
        ("hnsw-flat", "IVF12_HNSW4,Flat", 6, L2, 100),
        ("hnsw-ip", "IVF12_HNSW4,SQ8", 6, IP, 100),
        ("idmap-pca-hnsw-pq", "IDMap,PCA6,IVF12_HNSW4,PQ3x4", 10, L2, 150),
    ]
    for name, factory, d, metric, n in cases:
        train = clustered(rng, 800, d, 12)
        x, queries = clustered(rng, n, d, 8), clustered(rng, QUERIES, d, 8)
        if n >= QUERIES:
            queries[:5] = x[:5]
        index = faiss.index_factory(d, factory, metric)
        faiss.extract_index_ivf(index).cp.min_points_per_centroid = 1
        index.train(train)
        if "IDMap" in factory:
            index.add_with_ids(x, rng.permutation(n) * 3 + 1000)
        else:
            index.add(x)
        path = os.path.join(out_dir, name)
        faiss.write_index(index, path + ".ivf")
        write_answers(path + ".answers", index, x, queries)
        if seeds_dir:
            index.reset()
            index.add_with_ids(x[:12], np.arange(12)) if "IDMap" in factory else index.add(x[:12])
            faiss.write_index(index, os.path.join(seeds_dir, name))


def make_no_list(rng, out_dir, seeds_dir):
    """Files whose headers count vectors that are in no list: what holds a NaN, or with L2 an infinity, is added but not kept."""
    for name, factory, metric in (("nan-flat", "IVF5,Flat", L2), ("nan-idmap-pq-ip", "IDMap,IVF5,PQ3x4", IP),
                                  ("nan-pqfs", "IVF5,PQ3x4fs", L2)):
        train = clustered(rng, 400, 6, 8)
        x, queries = clustered(rng, 60, 6, 8), clustered(rng, QUERIES, 6, 8)
        x[7], x[20, 3], x[59, 0] = np.nan, np.nan if metric == IP else np.inf, np.nan  # inner products keep infinities
        index = faiss.index_factory(6, factory, metric)
        index.train(train)
        if "IDMap" in factory:
            index.add_with_ids(x, np.arange(60) * 5 + 9)
        else:
            index.add(x)
        path = os.path.join(out_dir, name)
        faiss.write_index(index, path + ".ivf")
        write_answers(path + ".answers", index, x[np.isfinite(x).all(1)], queries)
        if seeds_dir:
            faiss.write_index(index, os.path.join(seeds_dir, name))


def make_scalars(rng, out_dir, seeds_dir):
    """Scalar codes without a range for each dimension."""
    for name, kind, d, metric, by_residual in (("bf16-ip-d9", "QT_bf16", 9, IP, True),
                                               ("sq8-uniform-l2", "QT_8bit_uniform", 7, L2, True),
                                               ("sq4-uniform-ip", "QT_4bit_uniform", 7, IP, True),
                                               ("sq8-bytes-l2-d16", "QT_8bit_direct", 16, L2, False),
                                               ("sq8-signed-ip-d16", "QT_8bit_direct_signed", 16, IP, False),
                                               ("sq8-signed-l2-d5", "QT_8bit_direct_signed", 5, L2, False)):
        x, queries = clustered(rng, 120, d, 8), clustered(rng, QUERIES, d, 8)
        if "direct" in kind:
            x, queries = np.abs(np.round(x * 12)), queries * 12
        if "signed" in kind:
            x *= np.where(rng.integers(0, 2, d), -1, 1).astype("float32")
        index = faiss.IndexIVFScalarQuantizer(faiss.IndexFlat(d, metric), d, 4, getattr(faiss.ScalarQuantizer, kind),
                                              metric, by_residual)
        index.cp.min_points_per_centroid = 1
        index.train(x)
        index.add(x)
        path = os.path.join(out_dir, name)
        faiss.write_index(index, path + ".ivf")
        write_answers(path + ".answers", index, x, queries)
        if seeds_dir:
            index.reset()
            index.add(x[:12])
            faiss.write_index(index, os.path.join(seeds_dir, name))


def make_flat(rng, out_dir, seeds_dir):
    """Indexes without lists, and IVF files whose candidates are looked at again in a flat part."""
    for name, factory, metric in (("only-flat-l2", "Flat", L2), ("only-idmap-flat-ip", "IDMap,Flat", IP),
                                  ("only-pca-flat", "PCA4,Flat", L2), ("only-sq8-ip", "SQ8", IP),
                                  ("only-sq8-rflat", "SQ8,RFlat", L2), ("rflat-sq4-l2", "IVF5,SQ4,RFlat", L2),
                                  ("rflat-idmap-pca-sq8-ip", "IDMap,PCA4,IVF5,SQ8,RFlat", IP)):
        x, queries = clustered(rng, 100, 6, 8), clustered(rng, QUERIES, 6, 8)
        index = faiss.index_factory(6, factory, metric)
        index.train(clustered(rng, 400, 6, 8))
        if "RFlat" in factory:
            x[9] = np.nan  # in no list, but in the flat part
            inner = faiss.downcast_index(index)
            if isinstance(inner, faiss.IndexIDMap):
                inner = faiss.downcast_index(inner.index)
            inner.k_factor = 2.5
        if "IDMap" in factory:
            index.add_with_ids(x, rng.permutation(100) * 3 + 1000)
        else:
            index.add(x)
        path = os.path.join(out_dir, name)
        faiss.write_index(index, path + ".ivf")
        write_answers(path + ".answers", index, x[np.isfinite(x).all(1)], queries)
        if seeds_dir:
            index.reset()
            index.add_with_ids(x[:12], np.arange(12)) if "IDMap" in factory else index.add(x[:12])
            faiss.write_index(index, os.path.join(seeds_dir, name))


def make_refused(rng, out_dir):
    x = clustered(rng, 400, 8, 4)
    for name, factory in (("pqr", "IVF4,PQ4+2"), ("tqmse", "IVF4,SQtqmse4"),
                          ("refine", "IVF4,SQ4,Refine(SQ8)"), ("nsg", "IVF101_NSG4,Flat"), ("itq", "ITQ8,IVF4,Flat"),
                          ("hnsw", "HNSW4,Flat"), ("residual", "IVF4,RQ2x4")):
        index = faiss.index_factory(8, factory)
        index.train(x)
        index.add(x[:5])
        faiss.write_index(index, os.path.join(out_dir, name + ".refused"))
    faiss.write_index(faiss.IndexFlat(8, faiss.METRIC_L1), os.path.join(out_dir, "metric.refused"))
    faiss.write_index_binary(faiss.IndexBinaryFlat(16), os.path.join(out_dir, "binary.refused"))
    index = faiss.index_factory(8, "IVF4,Flat")
    index.train(x)
    lists = faiss.OnDiskInvertedLists(4, index.code_size, "lists.ondisk")
    index.replace_invlists(lists)
    index.add(x[:5])
    faiss.write_index(index, os.path.join(out_dir, "ondisk.refused"))  # it names the file of lists, which nobody reads
    os.remove("lists.ondisk")


if __name__ == "__main__":
    main()
