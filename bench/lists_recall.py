#!/usr/bin/env python3
"""bench/lists_recall.py [--build build]: compares the lists that folds and merges make with those of full training.

For each set of vectors it clusters twice with the same number of lists: fully, as FAISS does (256 vectors a list, 10
iterations, each vector in its nearest list), and quickly, as folds and merges do (src/vector/kmeans_tree.c). It prints the
processor time, the mean squared distance of a vector to the centroid of its list, and how many of the ten nearest vectors lie
in the nprobe lists nearest to the query: the recall of exact scores. Vectors: SIFT from tests/data, and clouds
around random points, where a query is a vector of the same clouds.
"""
import argparse
import os
import pathlib
import subprocess
import tempfile

import numpy as np

TOP = pathlib.Path(__file__).resolve().parent.parent
QUERIES = 500


def clouds(count, dim, centers, spread):
    random = np.random.default_rng(1)
    middle = random.standard_normal((centers, dim), dtype="f4")
    total = count + QUERIES
    x = middle[random.integers(0, centers, total)] + np.float32(spread) * random.standard_normal((total, dim), dtype="f4")
    return x[:count], x[count:]


def sift():
    x = np.fromfile(TOP / "tests" / "data" / "vectors" / "sift-5k.u8", dtype="u1").reshape(-1, 128).astype("f4")
    return x[QUERIES:], x[:QUERIES]


def nearest(x, queries, count):
    """The numbers of the `count` vectors of x nearest to each query."""
    squares = (x * x).sum(1)
    return np.argpartition(squares - 2 * queries @ x.T, count, axis=1)[:, :count]


def lists_of(args, x, k, quick):
    with tempfile.TemporaryDirectory(dir=args.build) as folder:
        at = pathlib.Path(folder)
        x.tofile(at / "x")
        before = os.times()
        subprocess.run([args.build / "bench" / "bench_kmeans", at / "x", str(x.shape[1]), str(k), "1", at / "c", at / "l",
                               *(["quick"] if quick else [])], check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        return (np.fromfile(at / "c", dtype="f4").reshape(k, -1), np.fromfile(at / "l", dtype="u4"),
                after.children_user - before.children_user)


def measure(args, name, x, queries, k, probes):
    truth = nearest(x, queries, 10)
    for way in args.ways:
        centroids, lists, seconds = lists_of(args, x, k, way == "quick")
        spread = float(((x - centroids[lists]) ** 2).sum(1).mean())
        sizes = np.bincount(lists, minlength=k)
        cells = []
        for nprobe in probes:
            probed = nearest(centroids, queries, nprobe)
            found = (lists[truth][:, :, None] == probed[:, None, :]).any(2).mean()
            cells.append(f"{found:.4f} ({sizes[probed].sum(1).mean() / len(x):.1%})")
        print(f"| {name} | {way} | {seconds:.2f} | {spread:.4g} | {(sizes == 0).sum()} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--ways", nargs="+", default=("full", "quick"), choices=("full", "quick"))
    args = parser.parse_args()
    args.build = args.build.resolve()
    print("| vectors, lists | training | s | squared distance | empty lists | recall@10 (rows scanned) |||")
    sets = [("SIFT 4,500 × 128, 134", sift(), 134, (4, 16, 52)),
            ("1,000 clouds, 100,000 × 128, 632", clouds(100000, 128, 1000, 0.6), 632, (4, 16, 114)),
            ("1,000 wide clouds, 100,000 × 384, 632", clouds(100000, 384, 1000, 1.0), 632, (4, 16, 114)),
            ("no clouds, 40,000 × 384, 400", clouds(40000, 384, 1, 1.0), 400, (20, 90, 90))]
    for name, vectors, k, probes in sets:
        measure(args, name, *vectors, k, probes)


if __name__ == "__main__":
    main()
