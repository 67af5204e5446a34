#!/usr/bin/env python3
"""bench/merge_vs.py [--build build] [--write [PAGE]]: merges segments, and makes lists of the same vectors with faiss-cpu.

Dipper merges a namespace of --parts segments, which are like those of folds, into one: it reads, clusters, encodes and writes
durably. faiss-cpu trains IVFn,SQ8 with as many lists and adds the vectors, which are in its memory before the clock starts. The
two take turns, each turn in a new process with --threads threads (one, so that neither waits for a thread that has no
processor). The table has medians. Other programs share the machine, so the ratio compares processor times. The page also gives
the times by the clock.
--write puts the table into docs/benchmarks/writes.md.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "writes.md"
BEGIN, END = "<!-- bench/merge_vs.py writes from here -->", "<!-- to here: merge_vs -->"


def clouds(path, count, dim):
    random = np.random.default_rng(1)
    centers = random.standard_normal((4000, dim), dtype="f4")
    with open(path, "wb") as out:
        for begin in range(0, count, 50000):
            n = min(50000, count - begin)
            x = centers[random.integers(0, len(centers), n)]
            (x + np.float32(0.6) * random.standard_normal((n, dim), dtype="f4")).tofile(out)


def faiss_turn(args):
    import faiss
    faiss.omp_set_num_threads(args.threads)
    x = np.fromfile(args.turn, dtype="f4").reshape(-1, args.dim)
    index = faiss.index_factory(args.dim, f"IVF{lists_of(args.count)},SQ8")
    before, begun = os.times(), time.perf_counter()
    index.train(x)
    index.add(x)
    took, after = time.perf_counter() - begun, os.times()
    print(json.dumps({"seconds": took, "cpu": after.user + after.system - before.user - before.system}))


def lists_of(count):
    """The number of lists that load/build.c chooses."""
    return 2 * math.isqrt(count)


def run(command):
    return json.loads(subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True).stdout)


def report(args):
    times = {"dipper": [], "faiss": []}
    others = machine.Others()
    with tempfile.TemporaryDirectory(dir=args.build) as name:
        folder = pathlib.Path(name)
        tool = args.build / "bench" / "bench_merge"
        clouds(folder / "x", args.count, args.dim)
        subprocess.run([tool, "load", folder / "root", folder / "x", str(args.dim), str(args.parts)], check=True)
        for number in range(args.rounds):
            for whose in ("dipper", "faiss") if number % 2 == 0 else ("faiss", "dipper"):
                if whose == "faiss":
                    times[whose].append(run([sys.executable, __file__, "--count", args.count, "--dim", args.dim, "--threads",
                                             args.threads, "--turn", folder / "x"]))
                    continue
                shutil.copytree(folder / "root", folder / "copy")
                times[whose].append(run([tool, "merge", folder / "copy", args.threads]))
                shutil.rmtree(folder / "copy")
    ours, theirs = ({key: statistics.median(t[key] for t in times[whose]) for key in times[whose][0]} for whose in times)
    from importlib.metadata import version
    yield (f"{args.threads} of {os.cpu_count()} processors, {machine.processor()}, {machine.system()}, commit {machine.commit(TOP)},"
           f" faiss-cpu {version('faiss-cpu')}; {args.rounds} repetitions, medians; other programs used {others.share():.0%} of the"
           " processors meanwhile.\n")
    yield f"| {args.parts} segments, {args.count:,} × {args.dim} together, {lists_of(args.count):,} lists | merge | faiss-cpu |"
    yield "|---|---:|---:|"
    yield f"| processor time, s | {ours['cpu']:.1f} | {theirs['cpu']:.1f} |"
    yield f"| time by the clock, s | {ours['seconds']:.1f} | {theirs['seconds']:.1f} |"
    yield f"| times as fast as train and add, by processor time | {theirs['cpu'] / ours['cpu']:.2f}× | |"
    yield f"| peak memory of the process, MiB | {ours['peak_mb']:,.0f} | |"
    yield f"| segments after | {ours['outputs']:.0f} | |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--count", default=1000000, type=int)
    parser.add_argument("--dim", default=128, type=int)
    parser.add_argument("--parts", default=8, type=int)
    parser.add_argument("--threads", default=1, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE")
    parser.add_argument("--turn", help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.build = args.build.resolve()
    if args.turn:
        faiss_turn(args)
        return
    lines = list(report(args))
    print("\n".join(lines))
    if args.write:
        machine.write_between(args.write, BEGIN, END, "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
