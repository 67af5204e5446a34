#!/usr/bin/env python3
"""Makes tests/data/faiss/: small FAISS files, and what faiss-cpu answers when it searches them.

    make_faiss_golden.py OUT_DIR [SEEDS_DIR]

Run by hand with the faiss-cpu of tests/requirements.txt; its product is committed. With SEEDS_DIR the smallest
files are also written there, as seeds of the fuzz target.

NAME.ivf is the file as faiss.write_index wrote it. NAME.answers, little-endian: "DPFAISS1", u32 queries, u32 d,
u32 k, u32 searches, f32 largest squared length of a vector, f32 queries[queries][d]; then per search: u32 nprobe,
i32 ids[queries][k] (-1: none), f32 distances[queries][k].
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


def write_answers(path, index, x, queries):
    with open(path, "wb") as out:
        nprobes = sorted({1, min(8, index.nlist), index.nlist})
        out.write(struct.pack("<8s4If", b"DPFAISS1", len(queries), index.d, K, len(nprobes),
                              float((x.astype("float64") ** 2).sum(1).max()) if len(x) else 0.0))
        out.write(queries.tobytes())
        for nprobe in nprobes:
            index.nprobe = nprobe
            distances, ids = index.search(queries, K)
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

    for name, factory in (("pq", "IVF4,PQ4x4"), ("sq4", "IVF4,SQ4"), ("hnsw", "IVF4_HNSW4,Flat"),
                          ("flat", "Flat"), ("pca", "PCA4,IVF4,Flat"), ("idmap", "IDMap,IVF4,Flat")):
        index = faiss.index_factory(8, factory)
        index.train(x)
        if name == "idmap":
            index.add_with_ids(x[:5], np.arange(5))
        else:
            index.add(x[:5])
        faiss.write_index(index, os.path.join(out_dir, name + ".refused"))


if __name__ == "__main__":
    main()
