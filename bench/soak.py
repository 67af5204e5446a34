#!/usr/bin/env python3
"""bench/soak.py [--build build] [--seconds 600] [--rows 200000] [--write]: writes over HTTP for ten minutes.

wrk writes to `dipper serve` as in bench/write_bench.py: 64 connections × 10 rows of 384 dimensions, over a folder of this host, with
folding, merging and collecting on. Every few seconds the script notes the segments, the bytes of the manifest, the rows that wait in
the log and the memory of the server. Before and after it, `dipper faiss build` makes a file of --rows of the same vectors, and the
two are compared by rows a second and by processor time of a row. --write puts the table into docs/benchmarks/writes.md and the
curves into docs/benchmarks/soak.svg. Needs wrk (scripts/setup --bench).
"""
import argparse
import base64
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import threading
import time

import machine
import write_bench

PAGE = write_bench.PAGE
PLOT = PAGE.parent / "soak.svg"
BEGIN, END = "<!-- bench/soak.py writes from here -->", "<!-- to here: soak -->"
WIDTH, HEIGHT, LEFT, STRIP = 720, 90, 150, 120  # of a curve; the curve's left edge; distance between two curves
CURVES = [("segments", "segments"), ("manifest", "bytes of the manifest"), ("tail", "rows in the log"), ("memory", "memory, MiB")]


def sample(port, pid, manifest, began):
    told = write_bench.ask(port, "GET", "/v2/namespaces/rows/metadata")
    return {"at": time.monotonic() - began, "segments": told["segments"], "manifest": manifest.stat().st_size,
            "tail": told["index"].get("unindexed_rows", 0), "memory": machine.memory(pid), "rows": told["approx_row_count"]}


def watch(port, pid, manifest, samples, ended):
    began = time.monotonic()
    while not ended.wait(2):
        if manifest.exists():
            samples.append(sample(port, pid, manifest, began))


def build_file(dipper, folder, vectors, count):
    """(rows a second, microseconds of processor time of a row) of `dipper faiss build`."""
    path = folder / "vectors.fvecs"
    if not path.exists():
        with path.open("wb") as out:
            for i in range(count):
                out.write(struct.pack("<i", write_bench.DIM) + vectors[i % len(vectors)])
    before, began = os.times(), time.monotonic()
    subprocess.run([dipper, "faiss", "build", folder / "built.ivf", "--vectors", path], check=True, capture_output=True)
    after, took = os.times(), time.monotonic() - began
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return count / took, 1e6 * used / count


def curve(samples, key, title, top):
    most, last = max(s[key] for s in samples) or 1, samples[-1]["at"]
    points = " ".join(f"{LEFT + WIDTH * s['at'] / last:.1f},{top + HEIGHT - HEIGHT * s[key] / most:.1f}" for s in samples)
    return (f'<text x="{LEFT - 8}" y="{top + 10}" text-anchor="end">{most:,.0f}</text>'
            f'<text x="{LEFT - 8}" y="{top + HEIGHT}" text-anchor="end">0</text>'
            f'<text x="{LEFT}" y="{top - 6}">{title}</text>'
            f'<path d="M{LEFT} {top}V{top + HEIGHT}H{LEFT + WIDTH}" fill="none" stroke="#999"/>'
            f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="1.5"/>')


def plot(samples):
    height = STRIP * len(CURVES) + 40
    curves = "\n".join(curve(samples, key, title, 30 + STRIP * i) for i, (key, title) in enumerate(CURVES))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 20} {height}" font-family="sans-serif" '
            f'font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n{curves}\n'
            f'<text x="{LEFT}" y="{height - 12}">0 to {samples[-1]["at"]:.0f} s</text>\n</svg>\n')


def soak(dipper, folder, seconds, lines):
    """(samples, answers a second, refusals a second, 99th percentile in ms, processor time of a row in microseconds)"""
    (folder / "lines").write_text("\n".join(lines) + "\n", encoding="utf-8")
    script = folder / "written.lua"
    script.write_text(write_bench.LUA % (0, folder / "lines", write_bench.ROWS, ""), encoding="utf-8")
    samples, ended = [], threading.Event()
    with write_bench.serving(dipper, folder) as (port, pid):
        watcher = threading.Thread(target=watch, args=(port, pid, folder / "root" / "rows" / "manifest.json", samples, ended))
        watcher.start()
        before = write_bench.processor_time(pid)
        answered, refused, late = write_bench.wrk(port, "rows", script, seconds)
        used = write_bench.processor_time(pid) - before
        ended.set()
        watcher.join()
    return samples, answered, refused, late, 1e6 * used / ((answered - refused) * seconds * write_bench.ROWS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--rows", type=int, default=200000)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    dipper = pathlib.Path(args.build).resolve() / "dipper"
    rng, load = random.Random(1), os.getloadavg()[0]
    vectors = [struct.pack(f"<{write_bench.DIM}f", *(rng.gauss(0, 1) for _ in range(write_bench.DIM))) for _ in range(999)]
    with tempfile.TemporaryDirectory(dir=write_bench.TOP / args.build) as name:
        folder = pathlib.Path(name)
        (folder / "root").mkdir()
        built = [build_file(dipper, folder, vectors, args.rows)]
        lines = [base64.b64encode(v).decode() for v in vectors]
        samples, answered, refused, late, each = soak(dipper, folder, args.seconds, lines)
        built.append(build_file(dipper, folder, vectors, args.rows))
    rate = (answered - refused) * write_bench.ROWS
    file_rate, file_each = (sum(b[i] for b in built) / 2 for i in (0, 1))
    table = [f"{os.cpu_count()} processors, {machine.processor()}, {machine.system()}, commit {machine.commit(write_bench.TOP)}; load "
             f"average {load:.1f} before.", "", f"| {write_bench.CONNECTIONS} connections × {write_bench.ROWS} rows, {args.seconds} s | |",
             "|---|---:|", f"| rows/s acknowledged | {rate:,.0f} |", f"| p99 of an answer, ms | {late:,.0f} |",
             f"| refused requests/s | {refused:,.0f} |",
             f"| rows at the end, of these in the log | {samples[-1]['rows']:,}, {samples[-1]['tail']:,} |",
             f"| most segments; most bytes of the manifest | {max(s['segments'] for s in samples)}; "
             f"{max(s['manifest'] for s in samples):,} |",
             f"| most memory of the server, MiB | {max(s['memory'] for s in samples):,.0f} |",
             f"| `dipper faiss build` of {args.rows:,} of these rows, rows/s | {file_rate:,.0f} |",
             f"| written against built, by the clock | {rate / file_rate:.2f}× |",
             f"| processor time of a row, µs: written (wrk and server), built | {each:.1f}, {file_each:.1f} |"]
    print("\n".join(table))
    if args.write:
        machine.write_between(PAGE, BEGIN, END, "\n" + "\n".join(table) + "\n")
        PLOT.write_text(plot(samples), encoding="utf-8")


if __name__ == "__main__":
    main()
