#!/usr/bin/env python3
"""Measures how much longer a call of Dipper takes from Python than from C, and the import of the package.

    bench/python_overhead.py [--build BUILD] [--rounds N] [--write]

It searches one query in one small file, many times, alternately from C (bench_calls.c, in the same process) and from Python.
The overhead is the median of the rounds' differences. Imports are timed in new processes, after the import of numpy. --write
puts the tables into docs/benchmarks/python.md.
"""
import argparse
import ctypes
import os
import pathlib
import statistics
import subprocess
import sys
import time

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
FILE = TOP / "tests" / "data" / "faiss" / "flat-l2-d16.ivf"
PAGE = TOP / "docs" / "benchmarks" / "python.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
CASES = [(1, 1), (1, 10), (8, 10)]  # nprobe, k
CALLS = 20000

IMPORT = """
import time
import numpy
began = time.perf_counter()
import dipper
print(time.perf_counter() - began)
"""


def from_c(build, query, nprobe, k):
    """Returns the microseconds of a call."""
    library = ctypes.CDLL(build / "bench" / "bench_calls.so")
    library.bench_calls.restype = ctypes.c_double
    us = library.bench_calls(os.fsencode(FILE), ctypes.c_void_p(query.ctypes.data), ctypes.c_size_t(nprobe),
                             ctypes.c_size_t(k), ctypes.c_long(CALLS))
    assert us > 0
    return us


def from_python(call):
    """Returns the microseconds of a call."""
    for _ in range(CALLS // 10):
        call()
    began = time.perf_counter()
    for _ in range(CALLS):
        call()
    return (time.perf_counter() - began) / CALLS * 1e6


def searches(dipper, build, rounds):
    import numpy as np
    index = dipper.open_index(FILE)
    query = np.random.default_rng(1).random((1, index.d), dtype=np.float32)
    for nprobe, k in CASES:
        c, python = [], []
        for _ in range(rounds):
            c.append(from_c(build, query, nprobe, k))
            python.append(from_python(lambda: index.search(query, k, nprobe)))  # pylint: disable=cell-var-from-loop
        overhead = [b - a for a, b in zip(c, python)]
        yield (f"| one query, nprobe {nprobe}, k {k} | {statistics.median(c):.2f} | {statistics.median(python):.2f} | "
               f"{statistics.median(overhead):.2f} ({min(overhead):.2f} to {max(overhead):.2f}) |")


def imports(build, rounds):
    """Milliseconds of `import dipper` after `import numpy`."""
    return [float(subprocess.run([sys.executable, "-c", IMPORT], env={"PYTHONPATH": str(build / "python")},
                                 stdout=subprocess.PIPE, check=True).stdout) * 1e3 for _ in range(rounds)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    sys.path.insert(0, str(build / "python"))
    import dipper
    import numpy

    others = machine.Others()
    lines = [f"{machine.processor()}, {machine.system()}, Python {sys.version.split()[0]}, numpy {numpy.__version__}, "
             f"Dipper {machine.commit(TOP)}.", "",
             "| what | C, µs | Python, µs | overhead, µs (least to most) |", "|---|---:|---:|---:|",
             *searches(dipper, build, arguments.rounds), ""]
    imports(build, 2)  # warms the page cache
    times = imports(build, 21)
    lines += ["| what | median, ms | least | most |", "|---|---:|---:|---:|",
              f"| `import dipper`, after numpy | {statistics.median(times):.1f} | {min(times):.1f} | {max(times):.1f} |", "",
              f"Other programs used {others.share():.0%} of the machine meanwhile."]
    print("\n".join(lines))
    if arguments.write:
        machine.write_between(PAGE, BEGIN, END, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
