#!/usr/bin/env python3
"""Compares scanning inverted lists with faiss-cpu, on one thread: the same files, queries and nprobe.

    make bench WHAT=scan                                  # prints; WRITE=1: into the page of this machine
    build/venv/bin/python bench/scan_vs.py [--build build] [--seconds 1.5] [--cases flat,sq8] [--write] [--make]

faiss-cpu makes each file from artificial vectors in clusters (or from SIFT-5k, spread to 100,000 vectors); the files stay in
--files for the next run. FAISS holds its index in memory. Dipper searches through the C API in three ways: over the file's bytes
in memory; at a path, where every query reads the probed lists from the page cache; and at a path with cache_bytes, where lists that
were read stay in memory. All search query by query, and many
queries in one call. Calls go through ctypes and through faiss's own C entry, so that neither pays for a wrapper in Python.
Rounds alternate; figures are medians of queries per second. The script compares answers before it times anything: it exits
with 1 if fewer than 9 of 10 ids of a query agree, except for ties.
"""
import argparse
import ctypes
import os
import pathlib
import statistics
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"
import faiss  # noqa: E402
import numpy as np  # noqa: E402

import libdipper  # noqa: E402
import machine  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- what bench/scan_vs.py printed begins -->", "<!-- what bench/scan_vs.py printed ends -->"
K, QUERIES, BATCH = 10, 512, 256
CACHE_BYTES = 1 << 30

# name, factory string, dimensions, vectors, nprobe, metric
CASES = [
    ("flat", "IVF316,Flat", 128, 100_000, 16, "l2"), ("flat", "IVF316,Flat", 384, 100_000, 16, "l2"),
    ("flat", "IVF316,Flat", 384, 100_000, 16, "ip"), ("flat", "IVF100,Flat", 1536, 30_000, 8, "l2"),
    ("sq8", "IVF316,SQ8", 128, 100_000, 16, "l2"), ("sq8", "IVF316,SQ8", 384, 100_000, 16, "l2"),
    ("sq8", "IVF252,SQ8", 384, 63_666, 32, "ip"),
    ("pq16", "IVF316,PQ16", 128, 100_000, 16, "l2"), ("pq16", "IVF316,PQ16", 384, 100_000, 16, "l2"),
    ("fp16", "IVF316,SQfp16", 128, 100_000, 16, "l2"), ("sq6", "IVF316,SQ6", 128, 100_000, 16, "l2"),
    ("sq4", "IVF316,SQ4", 128, 100_000, 16, "l2"), ("pq4fs", "IVF316,PQ32x4fs", 128, 100_000, 16, "l2"),
    ("rabitq", "IVF316,RaBitQ", 128, 100_000, 16, "l2"),
    ("sift", "IVF316,Flat", 128, 100_000, 16, "l2"), ("sift", "IVF316,SQ8", 128, 100_000, 16, "l2"),
]


def clustered(n, d, seed):
    """Vectors of length 1 in 1,000 clusters, and queries in the same clusters."""
    rng = np.random.default_rng(seed)
    middle = rng.standard_normal((1000, d), dtype="f4")
    x = middle[rng.integers(0, 1000, n + QUERIES)] + 0.8 * rng.standard_normal((n + QUERIES, d), dtype="f4")
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.ascontiguousarray(x[:n]), np.ascontiguousarray(x[n:])


def spread_sift(n, d, seed):
    """Vectors of SIFT-5k, each repeated with noise, and queries made in the same way."""
    rng = np.random.default_rng(seed)
    base = np.fromfile(SOURCE / "tests/data/vectors/sift-5k.u8", dtype="u1").reshape(-1, d).astype("f4")
    x = base[rng.integers(0, len(base), n + QUERIES)] + 8 * rng.standard_normal((n + QUERIES, d), dtype="f4")
    return np.ascontiguousarray(x[:n]), np.ascontiguousarray(x[n:])


def make(factory, x, metric):
    index = faiss.index_factory(x.shape[1], factory, faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT)
    index.cp.niter = 6
    if hasattr(index, "pq"):
        index.pq.cp.niter = 4
    index.train(x[:20_000])
    index.add(x)
    return index


class Theirs:
    def __init__(self, index, queries, nprobe):
        index.nprobe = nprobe
        n = len(queries)
        self.index, self.kept = index, queries
        self.ids, self.distances = np.zeros((n, K), "i8"), np.zeros((n, K), "f4")
        self.rows = [(faiss.swig_ptr(queries[q:]), faiss.swig_ptr(self.distances[q:]), faiss.swig_ptr(self.ids[q:]))
                     for q in range(n)]

    def search(self, first, count):
        x, distances, ids = self.rows[first]
        self.index.search_c(count, x, K, distances, ids)


class Ours:
    """Dipper's index, through the C API."""

    def __init__(self, dipper, handle, queries, nprobe):
        n, d = queries.shape
        self.library, self.handle, self.kept, self.d = dipper, handle, queries, d
        self.options = libdipper.IndexSearchOptions(nprobe=nprobe)
        self.ids, self.distances = np.zeros((n, K), "i8"), np.zeros((n, K), "f4")
        self.at = queries.ctypes.data, self.ids.ctypes.data, self.distances.ctypes.data

    def search(self, first, count):
        x, ids, distances = self.at
        if self.library.dp_index_search(self.handle, x + first * self.d * 4, count, self.d, K, self.options,
                                        ids + first * K * 8, distances + first * K * 4, None, None) != 0:
            sys.exit("dp_index_search failed")


def agree(ours, theirs):
    """Exits if a query misses more than one of FAISS's ids, unless the distances tie."""
    for q, wanted in enumerate(theirs.ids):
        same = len(set(ours.ids[q]) & set(wanted))
        if same < K - 1 and not np.allclose(ours.distances[q], theirs.distances[q], rtol=1e-3):
            sys.exit(f"query {q}: ours {ours.ids[q]} {ours.distances[q]}, FAISS {wanted} {theirs.distances[q]}")


def rate(search, each, seconds):
    """Searches for about `seconds`, `each` queries in one call; returns queries per second."""
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        first = done % QUERIES
        search(first, each)
        done += each
    return done / (time.perf_counter() - begun)


def file_of(folder, name, factory, d, n, _, metric):
    """Returns the file and the queries of a case, and makes them if they are missing."""
    kind = "sift" if name == "sift" else "made"
    path = folder / f"{kind}-{factory.replace(',', '-')}-{d}-{n}-{metric}.ivf"
    asked = folder / f"{kind}-{d}-{n}.npy"
    if not path.exists() or not asked.exists():
        folder.mkdir(parents=True, exist_ok=True)
        x, queries = (spread_sift if name == "sift" else clustered)(n, d, 11)
        np.save(asked, queries)
        faiss.write_index(make(factory, x, metric), str(path) + ".part")
        os.rename(str(path) + ".part", path)
    return path, np.load(asked)


def measure(sides, seconds, rounds):
    """Returns queries per second, by side and by queries in a call."""
    figures = {}
    for each in (1, BATCH):
        runs = {side: [] for side in sides}
        for _ in range(rounds):
            for side, it in sides.items():
                runs[side].append(rate(it.search, each, seconds / rounds))
        for side, values in runs.items():
            figures[side, each] = statistics.median(values)
    return figures


def compare(dipper, folder, case, seconds, rounds):
    nprobe = case[4]
    path, queries = file_of(folder, *case)
    data = np.fromfile(path, dtype="u1")
    place = str(path).encode()
    ways = {"memory": (None, libdipper.IndexOptions(bytes=data.ctypes.data, bytes_len=len(data))),
            "path": (place, libdipper.IndexOptions()), "kept": (place, libdipper.IndexOptions(cache_bytes=CACHE_BYTES))}
    handles = {way: ctypes.c_void_p() for way in ways}
    for way, (url, options) in ways.items():
        if dipper.dp_index_open(url, options, ctypes.byref(handles[way]), None):
            sys.exit(f"{path}: dp_index_open failed")
    theirs = Theirs(faiss.read_index(str(path)), queries, nprobe)
    sides = {"faiss": theirs} | {way: Ours(dipper, handle, queries, nprobe) for way, handle in handles.items()}
    for side in sides.values():
        side.search(0, QUERIES)
    for way in ways:
        agree(sides[way], theirs)
    figures = measure(sides, seconds, rounds)
    for handle in handles.values():
        dipper.dp_index_close(handle)
    return figures


def row(case, figures):
    name, factory, d, n, nprobe, metric = case
    cells = [f"`{factory}`{', SIFT' if name == 'sift' else ''}", d, metric, f"{n:,}", nprobe]
    for each in (1, BATCH):
        them, us, path, kept = (figures[side, each] for side in ("faiss", "memory", "path", "kept"))
        cells += [f"{them:,.0f}", f"{us:,.0f}", f"**{us / them:.2f}**", f"{kept / them:.2f}", f"{path / them:.2f}"]
    return "| " + " | ".join(map(str, cells)) + " |"


HEAD = f"""| kind | d | metric | vectors | nprobe | FAISS, query by query | in memory | ratio | kept | read anew \
| FAISS, {BATCH} in a call | in memory | ratio | kept | read anew |
|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|"""


def text(table, others):
    return f"""
## Scans of lists

`make bench WHAT=scan WRITE=1` wrote this section; [scans.md](../scans.md) says what the columns mean. Queries a second on one thread.
faiss-cpu {faiss.__version__} ({faiss.get_compile_options().strip()}), Dipper {machine.commit(SOURCE)}. Other programs used {100 * others:.0f} % of the machine meanwhile.

{table}

"""


def write_page(build, written):
    """Puts a text between the marks of this machine's page; makes the page if it is missing."""
    page, about = machine.page(SOURCE, build)
    if not page.exists():
        page.parent.mkdir(exist_ok=True)
        page.write_text(f"{about}\n{BEGIN}{END}\n", encoding="utf-8")
    machine.write_between(page, BEGIN, END, written)
    print(f"{page.relative_to(SOURCE)} is written")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=1.5, help="for each figure")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cases", default="", help="names of cases, separated by commas; default: all")
    parser.add_argument("--files", type=pathlib.Path, default=SOURCE / "build/bench-scan", help="where files stay")
    parser.add_argument("--make", action="store_true", help="make the files that are missing, and measure nothing")
    parser.add_argument("--write", action="store_true", help="write the page of this machine, in docs/benchmarks/machines")
    args = parser.parse_args()
    faiss.omp_set_num_threads(1)
    cases = [case for case in CASES if not args.cases or case[0] in args.cases.split(",")]
    for case in cases:
        file_of(args.files, *case)
    if args.make:
        return
    library, others = libdipper.load(args.build), machine.Others()
    lines = [HEAD]
    print(HEAD)
    for case in cases:
        lines.append(row(case, compare(library, args.files, case, args.seconds, args.rounds)))
        print(lines[-1], flush=True)
    if args.write:
        write_page(args.build, text("\n".join(lines), others.share()))


if __name__ == "__main__":
    main()
