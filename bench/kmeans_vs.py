#!/usr/bin/env python3
"""Clusters the same vectors with Dipper and with faiss-cpu in turns, and prints the ratio of their speeds.

Both train with 256 vectors per centroid and 10 iterations, then find the nearest centroid of every vector. FAISS's add also
copies the vectors into lists, so the quantizer's search alone is timed too. Each turn is a new process. The script makes the
vectors: --centers Gaussian clouds with deviation 0.6 in every dimension, around points whose coordinates have deviation 1.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "kmeans.md"
BEGIN, END = "<!-- bench-kmeans begins -->", "<!-- bench-kmeans ends -->"


def vectors(args):
    """Returns the file of floats, and makes it if it is missing."""
    path = args.build / "bench-data" / f"clouds-{args.centers}-{args.count}x{args.dim}.f32"
    if path.exists():
        return path
    path.parent.mkdir(exist_ok=True)
    random = np.random.default_rng(1)
    centers = random.standard_normal((args.centers, args.dim), dtype="f4")
    with open(path.with_suffix(".tmp"), "wb") as out:
        for begin in range(0, args.count, 50000):
            n = min(50000, args.count - begin)
            x = centers[random.integers(0, args.centers, n)]
            (x + np.float32(0.6) * random.standard_normal((n, args.dim), dtype="f4")).tofile(out)
    path.with_suffix(".tmp").rename(path)
    return path


def faiss_turn(args, path):
    """Runs a turn of FAISS, in a new process."""
    import faiss
    faiss.omp_set_num_threads(args.threads)
    x = np.fromfile(path, dtype="f4").reshape(-1, args.dim)
    index = faiss.index_factory(args.dim, f"IVF{args.k},Flat")
    times = [time.perf_counter()]
    index.train(x)
    times.append(time.perf_counter())
    index.quantizer.search(x, 1)
    times.append(time.perf_counter())
    index.add(x)
    times.append(time.perf_counter())
    index.quantizer.reconstruct_n(0, args.k).tofile(args.build / "bench-data" / "faiss.f32")
    print(json.dumps(dict(zip(("train", "assign", "add"), np.diff(times).tolist()))))


def inertia_turn(args, path):
    """The mean squared distance of all vectors to their nearest centroid, for both, computed by one method."""
    import faiss
    faiss.omp_set_num_threads(args.threads)
    x = np.fromfile(path, dtype="f4").reshape(-1, args.dim)
    found = {}
    for whose in ("dipper", "faiss"):
        index = faiss.IndexFlatL2(args.dim)
        index.add(np.fromfile(args.build / "bench-data" / f"{whose}.f32", dtype="f4").reshape(-1, args.dim))
        found[whose] = float(index.search(x, 1)[0].mean(dtype="f8"))
    print(json.dumps(found))


def run(command, **environment):
    """Returns the JSON of a turn, and the kernels that OpenBLAS reports."""
    # Some systems force OpenBLAS's kernels by these variables; without them OpenBLAS chooses by the processor.
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    done = subprocess.run([str(c) for c in command], env=env | environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), sorted({line[6:] for line in done.stderr.splitlines() if line.startswith("Core: ")})


def report(args):
    path = vectors(args)
    ours = [args.build / "bench" / "bench_kmeans", path, args.dim, args.k, args.threads,
            args.build / "bench-data" / "dipper.f32"]
    theirs = [sys.executable, __file__, "--build", args.build, "--count", args.count, "--dim", args.dim, "--k", args.k,
              "--centers", args.centers, "--threads", args.threads, "--turn"]
    times = {"dipper": [], "faiss": []}
    others, load, cores = machine.Others(), os.getloadavg()[0], []
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        for whose in ("dipper", "faiss") if number % 2 == 0 else ("faiss", "dipper"):
            if whose == "dipper":
                found, _ = run(ours)
            else:
                found, cores = run([*theirs, "faiss"], OPENBLAS_VERBOSE="2")
            times[whose].append(found)
    share = others.share()
    inertia, _ = run([*theirs, "inertia"])
    middle = {whose: {key: statistics.median(t[key] for t in turns) for key in turns[0] if key != "simd"}
              for whose, turns in times.items()}
    d, f = middle["dipper"], middle["faiss"]
    peak = machine.peak(args.build, args.threads)
    work = 2e-9 * args.dim * args.k
    sample = min(args.count, 256 * args.k)
    from importlib.metadata import version
    yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {machine.processor()}, {args.threads} of {os.cpu_count()}"
           f" processors ({machine.caches()}), {machine.system()}. Dipper ({machine.commit(TOP)}, {times['dipper'][0]['simd']}),"
           f" faiss-cpu {version('faiss-cpu')} (OpenBLAS reports the kernels of FAISS and NumPy: {', '.join(cores)}).")
    yield (f"\n{args.count:,} × {args.dim} floats in {args.centers:,} clouds, {args.k:,} centroids; {args.rounds} repetitions in"
           f" turns, medians. Load average at the start {load:.2f}; meanwhile other programs used {share:.0%} of the"
           f" processors. `dipper bench peak`: {peak['fp32_gflops']:.0f} GFLOPS fp32.")
    if share > 0.02:
        yield "\n**The machine was not quiet: these figures are not to be quoted.**"
    yield "\n| what | Dipper, s | faiss-cpu, s | times as fast |\n|---|---:|---:|---:|"
    rows = [("training: sample, 10 iterations", d["train"], f["train"]),
            ("assigning all vectors", d["assign"], f["assign"]),
            ("training and assigning, against train and add", d["train"] + d["assign"], f["train"] + f["add"]),
            ("training and assigning, against train and assign", d["train"] + d["assign"], f["train"] + f["assign"])]
    for what, mine, other in rows:
        yield f"| {what} | {mine:.2f} | {other:.2f} | **{other / mine:.2f}** |"
    yield (f"\nMean squared distance to the nearest centroid: Dipper {inertia['dipper']:.3f}, FAISS {inertia['faiss']:.3f}"
           f" ({inertia['dipper'] / inertia['faiss'] - 1:+.2%}). The products alone: {work * args.count / d['assign']:.0f}"
           f" GFLOPS when assigning, {work * sample * 10 / d['train']:.0f} in training.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--count", default=1000000, type=int)
    parser.add_argument("--dim", default=128, type=int)
    parser.add_argument("--k", default=1024, type=int)
    parser.add_argument("--centers", default=4000, type=int)
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(TOP)} too")
    parser.add_argument("--turn", choices=("faiss", "inertia"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.build = args.build.resolve()
    if args.turn:
        {"faiss": faiss_turn, "inertia": inertia_turn}[args.turn](args, vectors(args))
        return
    machine.print_report(report(args), PAGE if args.write else None, BEGIN, END)


if __name__ == "__main__":
    main()
