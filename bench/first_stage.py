#!/usr/bin/env python3
"""Measures the recall and the reads of a first stage of short codes.

It varies the bits per dimension, the candidates, the share of rows that a query scans, second lists, and the order of lists.

The rows are the packages that `apt-cache dumpavail` lists, as `make demo` indexes them, embedded by build/dipper; the queries are
the demo's questions and bench/package_questions.txt. The script simulates everything on the vectors in memory:

  - a query scans the lists with the largest inner products of query and centroid, until the budget of rows is used up;
  - the codes are RaBitQ's (Gao and Long 2024; with more than one bit Gao et al. 2025). They code the residuals, after a seeded
    rotation of sign flips and Hadamard transforms;
  - the full vectors of the best candidates rank these again.

recall@10 is against all rows. Ranges merge over gaps as in the store.
"""
import argparse
import hashlib
import importlib.machinery
import importlib.util
import json
import pathlib
import subprocess
import sys
import time
import zlib

import numpy as np

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "first-stage.md"
BEGIN, END = "<!-- bench-first-stage begins -->", "<!-- bench-first-stage ends -->"
K = 10


# ---- rows and queries ---------------------------------------------------------------------------------

def demo_module():
    """scripts/demo as a module, for its corpus and its questions."""
    loader = importlib.machinery.SourceFileLoader("demo", str(TOP / "scripts" / "demo"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
    loader.exec_module(module)
    return module


def embedded(args, name, texts):
    """float32[texts][384]: the texts' vectors, kept in a file that is named by the texts' digest."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    path = args.build / "bench-data" / f"{name}-{hashlib.sha256(lines.encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        done = subprocess.run([args.build / "dipper", "embed", "--jsonl"], input=lines, stdout=subprocess.PIPE, text=True, check=True)
        np.save(path, np.array([json.loads(line)["embedding"] for line in done.stdout.splitlines()], dtype="f4"))
    return np.load(path)


# ---- lists --------------------------------------------------------------------------------------------

def clusters(x, count):
    """Centroids of length 1 and each row's nearest one, by inner product."""
    import faiss
    means = faiss.Kmeans(x.shape[1], count, niter=10, spherical=True, seed=1, max_points_per_centroid=256)
    means.train(x)
    return means.centroids, means.index.search(x, 1)[1][:, 0]


def second_lists(x, centroids, first):
    """Each row's second list as SOAR chooses it (Sun et al. 2023, λ = 1), and its cost relative to the distance of the first."""
    residual = x - centroids[first]
    unit = residual / np.maximum(np.linalg.norm(residual, axis=1, keepdims=True), 1e-9)
    second, loss = np.empty(len(x), "i8"), np.empty(len(x), "f4")
    for begin in range(0, len(x), 8192):
        part = slice(begin, begin + 8192)
        distance = 1 + 1 - 2 * x[part] @ centroids.T
        along = (unit[part] * x[part]).sum(1, keepdims=True) - unit[part] @ centroids.T
        cost = distance + along * along
        rows = np.arange(len(cost))
        cost[rows, first[part]] = np.inf
        second[part] = cost.argmin(1)
        loss[part] = cost[rows, second[part]] / np.maximum(distance[rows, first[part]], 1e-9)
    return second, loss


def proximity_order(centroids):
    """An order of lists that puts near lists side by side: splits them in halves along their main direction, recursively."""
    def halves(ids):
        if len(ids) <= 2:
            return list(ids)
        part = centroids[ids] - centroids[ids].mean(0)
        direction = np.linalg.svd(part, full_matrices=False)[2][0]
        ids = ids[np.argsort(part @ direction, kind="stable")]
        low, high = halves(ids[:len(ids) // 2]), halves(ids[len(ids) // 2:])
        # Reverses a half if needed, so that the nearest ends of the two halves meet.
        ends = centroids[[low[-1], low[0]]] @ centroids[[high[0], high[-1]]].T
        turn_low, turn_high = np.unravel_index(ends.argmax(), ends.shape)
        return (low[::-1] if turn_low else low) + (high[::-1] if turn_high else high)
    return np.array(halves(np.arange(len(centroids))))


# ---- codes --------------------------------------------------------------------------------------------

def rotate(x):
    """Three times: flip signs, Hadamard transform of the blocks of 128, interleave the blocks. Keeps lengths."""
    random = np.random.default_rng(7)
    y = x.copy()
    for _ in range(3):
        y = (y * random.choice(np.array([-1, 1], "f4"), y.shape[1])).reshape(len(y), -1, 128)
        h = 1
        while h < 128:
            y = y.reshape(len(y), -1, 128 // (2 * h), 2, h)
            y = np.stack((y[..., 0, :] + y[..., 1, :], y[..., 0, :] - y[..., 1, :]), axis=-2)
            h *= 2
        y = (y.reshape(len(x), -1, 128) / np.float32(128 ** 0.5)).swapaxes(1, 2).reshape(len(x), -1)
    return np.ascontiguousarray(y)


def codes(residuals, bits):
    """The codes of rotated residuals as small numbers, and the factor that makes <query, code> an estimate of <query, residual>."""
    length = np.linalg.norm(residuals, axis=1, keepdims=True)
    unit = residuals / np.maximum(length, 1e-9)
    if bits == 1:
        best = np.where(unit >= 0, np.float32(0.5), np.float32(-0.5))
    else:
        top = 2 ** (bits - 1) - 0.5
        best, best_cosine = None, np.full(len(unit), -1, "f4")
        for scale in np.linspace(0.35, 1.15, 24) * top * unit.shape[1] ** 0.5 / 2:
            code = np.clip(np.floor(np.abs(unit) * scale) + 0.5, None, top).astype("f4") * np.where(unit >= 0, 1, -1).astype("f4")
            cosine = (code * unit).sum(1) / np.linalg.norm(code, axis=1)
            best = code if best is None else np.where((cosine > best_cosine)[:, None], code, best)
            best_cosine = np.maximum(best_cosine, cosine)
    return best, length[:, 0] / (best * unit).sum(1)


# ---- what a query reads -------------------------------------------------------------------------------

def merged(ranges, gap):
    """Requests and bytes of [begin, end) ranges, sorted, when ranges closer than `gap` merge."""
    if not len(ranges):
        return 0, 0
    begin, end = ranges[:, 0], np.maximum.accumulate(ranges[:, 1])
    breaks = np.flatnonzero(begin[1:] - end[:-1] > gap)
    firsts, lasts = np.r_[0, breaks + 1], np.r_[breaks, len(end) - 1]
    return len(firsts), int((end[lasts] - begin[firsts]).sum())


class Layout:
    """Entries (row, list) list by list, in an order of lists; rows are numbered by their first list."""

    def __init__(self, order, first, second):
        place = np.empty(len(order), "i8")
        place[order] = np.arange(len(order))
        rows, lists = np.arange(len(first)), first
        self.copies = np.zeros(len(first), bool)
        if second is not None:
            chosen, where = second
            rows, lists = np.r_[rows, chosen], np.r_[lists, where]
            self.copies = np.r_[self.copies, np.ones(len(chosen), bool)]
        by = np.lexsort((self.copies, place[lists]))
        self.rows, self.lists, self.copies = rows[by], lists[by], self.copies[by]
        self.begin = np.searchsorted(place[self.lists], np.arange(len(order) + 1))
        self.place = place
        self.number = np.empty(len(first), "i8")
        self.number[self.rows[~self.copies]] = np.arange(len(first))


def frames(texts, layout):
    """The first row and the byte range of each frame of documents (at most 8 KiB raw, packed with a dictionary)."""
    by = [texts[row] for row in layout.rows[~layout.copies]]
    dictionary = "".join(by[i] for i in range(0, len(by), max(1, len(by) // 160)))[-32768:].encode()
    starts, ends, at, raw, begin = [], [], 0, b"", 0
    for i, text in enumerate([*by, None]):
        data = text.encode() if text is not None else b""
        if text is None or len(raw) + len(data) > 8192:
            packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=dictionary)
            at += len(packer.compress(raw) + packer.flush())
            starts.append(begin)
            ends.append(at)
            raw, begin = b"", i
        raw += data
    return np.array(starts), np.array([[a, b] for a, b in zip([0, *ends[:-1]], ends)])


# ---- the measurement ----------------------------------------------------------------------------------

class Data:
    """What all measurements share."""

    def __init__(self, args):
        demo = demo_module()
        rows = list(demo.packages())
        self.documents = [json.dumps(row, ensure_ascii=False) for row in rows]
        self.x = embedded(args, "packages", [row["text"] for row in rows])
        questions = [text for text, _ in demo.package_questions()]
        questions += (TOP / "bench" / "package_questions.txt").read_text(encoding="utf-8").splitlines()
        self.q = embedded(args, "package-questions", questions)
        self.truth = np.argsort(-(self.q @ self.x.T), axis=1, kind="stable")[:, :K]
        self.centroids, self.first = clusters(self.x, int(2 * len(self.x) ** 0.5))
        self.second, self.loss = second_lists(self.x, self.centroids, self.first)
        self.near = self.q @ self.centroids.T
        self.orders = {"proximity": proximity_order(self.centroids),
                       "random": np.random.default_rng(3).permutation(len(self.centroids))}
        self.rotated_q = rotate(self.q)
        scale = np.abs(self.rotated_q).max(1, keepdims=True) / 127
        self.rotated_q = np.rint(self.rotated_q / scale) * scale  # a query's table has 8 bits
        self.layouts, self.frames = {}, {}
        self.last = None, None

    def layout(self, spill, order):
        """spill: the share of rows that are also in a second list. They are the rows of the smallest `loss`."""
        if (spill, order) not in self.layouts:
            chosen = np.argsort(self.loss, kind="stable")[:int(spill * len(self.x))]
            second = (chosen, self.second[chosen]) if spill else None
            layout = self.layouts[spill, order] = Layout(self.orders[order], self.first, second)
            self.frames[spill, order] = frames(self.documents, layout)
        return self.layouts[spill, order]

    def coded(self, spill, bits):
        """The codes and factors of the entries, in the order of proximity. Keeps the last ones: two measurements follow each other."""
        if (spill, bits) != self.last[0]:
            layout = self.layout(spill, "proximity")
            self.last = (spill, bits), codes(rotate(self.x[layout.rows] - self.centroids[layout.lists]), bits)
        return self.last[1]


def probed(data, layout, query, budget):
    """The lists that a query scans, by their places: the nearest ones until `budget` entries are reached."""
    order = np.argsort(-data.near[query], kind="stable")
    sizes = np.diff(layout.begin)[layout.place[order]]
    return np.sort(layout.place[order[:np.searchsorted(np.cumsum(sizes), budget) + 1]])


def ranked(data, layout, coded, query, places):
    """The rows of the lists at `places`, each once, the best estimate first."""
    code, factor = coded
    entries = np.concatenate([np.arange(layout.begin[p], layout.begin[p + 1]) for p in places])
    estimate = data.near[query][layout.lists[entries]] + code[entries] @ data.rotated_q[query] * factor[entries]
    rows = layout.rows[entries[np.argsort(-estimate, kind="stable")]]
    return rows[np.sort(np.unique(rows, return_index=True)[1])]


def kept(data, spill, bits, shares, candidate_counts):
    """{(share, candidates): (recall@10, share of the scanned lists' ten best rows among the candidates)}"""
    layout = data.layout(spill, "proximity")
    coded = data.coded(spill, bits)
    sums = {(share, count): [0.0, 0.0] for share in shares for count in candidate_counts}
    for query in range(len(data.q)):
        exact = data.x @ data.q[query]
        for share in shares:
            rows = ranked(data, layout, coded, query, probed(data, layout, query, share * len(data.x)))
            best = rows[np.argsort(-exact[rows], kind="stable")[:K]]
            for count in candidate_counts:
                few = rows[:count]
                found = few[np.argsort(-exact[few], kind="stable")[:K]]
                sums[share, count][0] += len(np.intersect1d(found, data.truth[query])) / K
                sums[share, count][1] += len(np.intersect1d(found, best)) / len(best)
    return {key: (a / len(data.q), b / len(data.q)) for key, (a, b) in sums.items()}


def read(data, spill, order, bits, share, count):
    """Requests and bytes of a cold query: of codes, of vectors and of documents."""
    layout = data.layout(spill, order)
    starts, ranges = data.frames[spill, order]
    coded = data.coded(spill, bits)
    proximity = data.layout(spill, "proximity")
    size = bits * data.x.shape[1] // 8 + 8
    sums = np.zeros(6)
    for query in range(len(data.q)):
        places = probed(data, layout, query, share * len(data.x))
        span = np.stack((layout.begin[places], layout.begin[places + 1]), axis=1) * size
        rows = ranked(data, proximity, coded, query, probed(data, proximity, query, share * len(data.x)))[:count]
        numbers = np.sort(layout.number[rows])
        vector = data.x.shape[1] * 4
        wanted = ranges[np.unique(np.searchsorted(starts, numbers, side="right") - 1)]
        sums += (*merged(span, 8 << 10), *merged(np.stack((numbers, numbers + 1), axis=1) * vector, 4 << 10), *merged(wanted, 8 << 10))
    return sums / len(data.q)


def report(args):
    began = time.monotonic()
    data = Data(args)
    yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {len(data.x):,} packages × {data.x.shape[1]}, {len(data.q)} questions,"
           f" {len(data.centroids)} lists; {machine.system()}, Dipper {machine.commit(TOP)}. Counts, not times.")
    shares, counts = (0.03, 0.05, 0.10, 0.20, 1.0), (30, 50, 100, 200)
    yield "\n**Bits and candidates**, 20 % of the rows scanned, one list a row. How many of the ten best rows of the scanned lists are among the candidates."
    yield "\n| bits | bytes a row | " + " | ".join(f"{c} candidates" for c in counts) + " |\n|---:|---:|" + "---:|" * len(counts)
    for bits in (1, 2, 4):
        found = kept(data, 0, bits, (0.20,), counts)
        yield f"| {bits} | {bits * data.x.shape[1] // 8 + 8} | " + " | ".join(f"{found[0.20, c][1]:.3f}" for c in counts) + " |"
    yield "\n**Rows scanned and second lists**, 1 bit, 100 candidates: recall@10. Rows in two lists count twice."
    yield "\n| rows with a second list | " + " | ".join(f"{s:.0%}" for s in shares) + " |\n|---:|" + "---:|" * len(shares)
    for spill in (0, 0.2, 0.5, 1.0):
        found = kept(data, spill, 1, shares, (100,))
        yield f"| {spill:.0%} | " + " | ".join(f"{found[s, 100][0]:.3f}" for s in shares) + " |"
    yield ("\n**What a cold query reads** in rounds 3 and 4 (codes; then vectors and documents of the candidates), on average. Gaps of"
           "\n8 KiB, 4 KiB and 8 KiB merge; documents lie in frames of 8 KiB before packing (the simulation packs by deflate with a dictionary, in place of zstd).")
    yield ("\n| second list | order | bits | rows | candidates | recall@10 | GETs: codes | vectors | documents | kB: codes | vectors |"
           " documents | GETs | kB |\n|---:|---|---:|---:|---:|---:|" + "---:|" * 8)
    for spill, order, bits, share, count in ((0, "random", 1, 0.2, 100), (0, "proximity", 1, 0.2, 100), (0, "proximity", 1, 0.2, 50),
                                             (0, "proximity", 2, 0.2, 50), (0, "proximity", 4, 0.2, 30), (0, "proximity", 1, 0.1, 100),
                                             (0.2, "proximity", 1, 0.1, 100), (1.0, "proximity", 1, 0.1, 100),
                                             (1.0, "random", 1, 0.1, 100)):
        recall = kept(data, spill, bits, (share,), (count,))[share, count][0]
        g = read(data, spill, order, bits, share, count)
        yield (f"| {spill:.0%} | {order} | {bits} | {share:.0%} | {count} | {recall:.3f} | {g[0]:.0f} | {g[2]:.0f} | {g[4]:.0f} |"
               f" {g[1] / 1e3:.0f} | {g[3] / 1e3:.0f} | {g[5] / 1e3:.0f} | {g[0] + g[2] + g[4]:.0f} | {(g[1] + g[3] + g[5]) / 1e3:.0f} |")
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(TOP)} too")
    args = parser.parse_args()
    args.build = args.build.resolve()
    machine.print_report(report(args), PAGE if args.write else None, BEGIN, END)


if __name__ == "__main__":
    main()
