#!/usr/bin/env python3
"""bench/load/load.py [--build build] [--seconds 20] [--soak 600] [--only WORD] [--write]: loads a server in six ways.

Starts `dipper serve` over a folder with a namespace of 2,000 texts, and lets wrk ask it: steadily for uncached embeddings of 5 to 50
tokens; in a spike of 64 times as many clients; for texts of which the cache has most; for texts in bulk; for writes; and for all of
these, slowly, for ten minutes. Meanwhile one more client sends one request after another, 20 a second at most: its times are what a
user feels. Rows of one table are measured one after another, on processors that wrk and the server share. --write also puts the table
and the plots into docs/benchmarks/load.md. Needs wrk (scripts/setup --bench).
"""
import argparse
import base64
import http.client
import json
import math
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "bench"))

import machine  # noqa: E402  the path comes first

PAGE = TOP / "docs" / "benchmarks" / "load.md"
BEGIN, END = "<!-- bench/load/load.py writes from here -->", "<!-- to here -->"
WORDS = ["river", "stone", "music", "paper", "engine", "garden", "window", "silver", "market", "doctor", "planet", "bridge", "forest"]
EMBED, SEARCH = "embed", "search"


class Probe(threading.Thread):
    """One client that sends one request after another, and notes times and the server's memory."""

    def __init__(self, port, pid, kind):
        super().__init__(daemon=True)
        self.port, self.pid, self.kind = port, pid, kind
        self.seen, self.failures, self.ending, self.began = [], [], threading.Event(), time.monotonic()

    def body(self):
        text = " ".join(random.choices(WORDS, k=8)) + f" {random.getrandbits(40)}"
        if self.kind == EMBED:
            return "/v1/embed", {"text": text}
        return "/v2/namespaces/n/query", {"queries": [{"rank_by": ["vector", "ANN", ["Embed", text]], "limit": 10},
                                                      {"rank_by": ["text", "BM25", text], "limit": 10}]}

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        while not self.ending.is_set():
            path, body = self.body()
            began = time.monotonic()
            try:
                connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            took = time.monotonic() - began
            self.seen.append((began - self.began, took, machine.memory(self.pid)))
            if status != 200:
                self.failures.append(status)
            self.ending.wait(max(0, 0.05 - took))
        connection.close()

    def percentile(self, share):
        times = sorted(took for _, took, _ in self.seen)
        return times[min(len(times) - 1, int(len(times) * share))] * 1000 if times else float("nan")


def wrk(port, mode, connections, seconds, vectors):
    """Starts wrk and returns the process."""
    return subprocess.Popen(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}", "--latency", "--timeout", "120s", "-s",
                             TOP / "bench" / "load" / "mix.lua", f"http://127.0.0.1:{port}", "--", mode, vectors],
                            stdout=subprocess.PIPE, text=True)


def in_ms(text):
    value, unit = re.fullmatch(r"([0-9.]+)(us|ms|s|m)", text).groups()
    return float(value) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def figures(process):
    """Returns answers a second, the median and 99th percentile in ms, and how many answers and connections failed."""
    text = process.communicate()[0]
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", text).group(1))
    p50, p99 = (in_ms(re.search(rf"{share}%\s+(\S+)", text).group(1)) for share in (50, 99))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return rate, p50, p99, int(refused.group(1)) if refused else 0, sum(map(int, errors.groups())) if errors else 0


def scenarios(seconds, soak):
    """Each has a name, what the probe asks for, the loads that follow each other (mode, connections, seconds), and more settings."""
    return [
        ("nobody else", EMBED, []),
        ("steady: 16 clients, uncached texts", EMBED, [("embed", 16, seconds)]),
        ("spike: 4, then 256, then 4 clients", EMBED, [("embed", 4, seconds / 2), ("embed", 256, seconds / 2), ("embed", 4, seconds / 2)]),
        ("cache mix: 16 clients, 80 % cached", EMBED, [("mix", 16, seconds)]),
        ("bulk: 2 clients, 100 texts each time", EMBED, [("bulk", 2, seconds)]),
        ("hybrid searches, nobody else", SEARCH, []),
        ("writes: 4 clients, 10 rows each time", SEARCH, [("write", 4, seconds)]),
        # With a cache that is full after a minute, memory that still grows is lost.
        (f"soak: 8 clients, all kinds, {soak:.0f} s", SEARCH, [("soak", 8, soak)], "--l1-cache-bytes", "4MiB"),
    ]


def measure(port, pid, kind, loads, seconds, vectors):
    probe = Probe(port, pid, kind)
    probe.start()
    results = [figures(wrk(port, *load, vectors)) for load in loads]
    if not loads:
        time.sleep(seconds / 2)
    probe.ending.set()
    probe.join(130)
    return probe, results


def growth(probe):
    """Returns by how many percent the memory grew after the first minute, as medians of ten seconds; None: it ran too briefly."""
    def median(first, last):
        found = sorted(size for at, _, size in probe.seen if first <= at < last)
        return found[len(found) // 2] if found else None

    end = probe.seen[-1][0]
    before, after = median(60, 70), median(end - 10, end)
    return None if end < 120 or not before else (after / before - 1) * 100


def row(name, probe, results):
    def joined(index, form):
        return ", ".join(form.format(result[index]) for result in results) or "–"

    grown = growth(probe)
    return (f"| {name} | {joined(0, '{:,.0f}')} | {joined(1, '{:.1f}')} | {joined(2, '{:.0f}')} | {joined(3, '{}')} | {joined(4, '{}')} "
            f"| {probe.percentile(0.5):.1f} | {probe.percentile(0.99):.1f} | {len(probe.failures)} | {probe.seen[-1][2]:.0f}"
            f"{'' if grown is None else f' ({grown:+.1f} % after the first minute)'} |")


def plot(name, probe):
    """Returns an SVG: the probe's times as dots on a logarithmic scale, and the memory as a line."""
    width, height, end = 640, 160, max(1, probe.seen[-1][0])
    most = max(size for _, _, size in probe.seen) * 1.1

    def x(at):
        return 40 + at / end * (width - 80)

    def y(seconds):  # 1 ms … 10 s
        return 10 + (4 - min(4, max(0, math.log10(seconds * 1000)))) / 4 * (height - 40)

    step = max(1, len(probe.seen) // 600)
    dots = "".join(f'<circle cx="{x(at):.1f}" cy="{y(took):.1f}" r="1.2"/>' for at, took, _ in probe.seen[::step])
    line = " ".join(f"{x(at):.1f},{height - 30 - size / most * (height - 40):.1f}" for at, _, size in probe.seen[::step])
    grid = "".join(f'<path d="M40 {y(ms / 1000):.0f}H{width - 40}" stroke="#ddd"/><text x="36" y="{y(ms / 1000) + 3:.0f}" text-anchor="end">'
                   f"{label}</text>" for ms, label in ((1, "1 ms"), (10, "10"), (100, "100"), (1000, "1 s"), (10000, "10 s")))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="9">'
            f'<rect width="{width}" height="{height}" fill="#fff"/>{grid}<g fill="#1565c0" fill-opacity=".5">{dots}</g>'
            f'<polyline points="{line}" fill="none" stroke="#e65100"/><text x="{width - 36}" y="{height - 30 - (height - 40) / 1.1:.0f}" '
            f'fill="#e65100">{most / 1.1:.0f} MiB</text><text x="40" y="{height - 6}">{name}: times of the one client (dots), memory (line), '
            f"{end:.0f} s</text></svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--soak", type=float, default=600)
    parser.add_argument("--only", help="only scenarios whose name has this word")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    dipper, load = options.build.resolve() / "dipper", os.getloadavg()[0]
    lines = ["| load | answers/s | p50, ms | p99, ms | refused | failed | one client: p50, ms | p99, ms | not answered | memory, MiB |",
             "|---|---|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(prefix="dipper-load-") as name:
        folder = pathlib.Path(name)
        rows = [{"id": i, "text": " ".join(random.choices(WORDS, k=12))} for i in range(2000)]
        (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "vectors").write_text("".join(base64.b64encode(struct.pack("<384f", *[random.gauss(0, 1) for _ in range(384)])).decode() + "\n"
                                                for _ in range(997)))
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        subprocess.run([dipper, "index", "n", folder / "rows.jsonl", "--root", folder / "root"], check=True, capture_output=True, env=environment)
        plots = []
        for number, (scenario, kind, loads, *more) in enumerate(scenarios(options.seconds, options.soak)):
            if options.only and options.only not in scenario:
                continue
            process = subprocess.Popen([dipper, "serve", "--root", folder / "root", "--listen", "127.0.0.1:0", "--log-format", "off", *more],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
            try:
                port = int(process.stdout.readline().strip().rsplit(":", 1)[1])
                probe, results = measure(port, process.pid, kind, loads, options.seconds, folder / "vectors")
            finally:
                process.terminate()
                process.wait()
            lines.append(row(scenario, probe, results))
            print(lines[-1], flush=True)
            if loads:
                plots.append((f"load-{number}.svg", scenario, plot(scenario, probe)))
        if options.write:
            for file, _, text in plots:
                (PAGE.parent / file).write_text(text, encoding="utf-8")
            pictures = "\n\n".join(f"![{scenario}]({file})" for file, scenario, _ in plots)
            about = f"{machine.line(TOP)}; wrk and the server share them; load average {load:.1f} before."
            machine.write_between(PAGE, BEGIN, END, f"\n{about}\n\n" + "\n".join(lines) + f"\n\n{pictures}\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
