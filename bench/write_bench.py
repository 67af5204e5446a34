#!/usr/bin/env python3
"""bench/write_bench.py [--build build] [--seconds 60] [--alone 300] [--write [PAGE]]: measures writes over HTTP.

Starts `dipper serve` over a folder of this host, with folding on, and has wrk write rows of 384 dimensions with fresh ids:
64 connections, 10 rows in a request, vectors in base 64. Before and after, the same bodies go to a name that does not exist
and must not be created, so that the server parses and drops them. Then it measures one row at a time, alternately with the
least that a durable file costs: create, write, fsync, link, fsync of the folder. --write also puts the tables into
docs/benchmarks/writes.md. Needs wrk (scripts/setup --bench).
"""
import argparse
import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import statistics
import struct
import subprocess
import tempfile
import time

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "writes.md"
BEGIN, END = "<!-- bench/write_bench.py writes from here -->", "<!-- to here -->"
DIM, ROWS, CONNECTIONS = 384, 10, 64
# Answers wrk's requests with one body after another: 999 vectors in turn, ids that no request had before.
LUA = """local vectors, n = {}, %d
function init()
  for line in io.lines("%s") do vectors[#vectors + 1] = line end
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end
function request()
  local rows = {}
  for i = 1, %d do
    n = n + 1
    rows[i] = '{"id":' .. n .. ',"vector":"' .. vectors[n %% #vectors + 1] .. '"}'
  end
  return wrk.format(nil, nil, nil, '{"distance_metric":"cosine_distance",%s"upsert_rows":[' .. table.concat(rows, ",") .. ']}')
end
"""


@contextlib.contextmanager
def serving(dipper, folder):
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen([dipper, "serve", "--root", folder / "root", "--listen", "127.0.0.1:0", "--log-format", "off"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[1]), process.pid
    finally:
        process.terminate()
        process.wait()


def wrk(port, name, script, seconds):
    """Returns answers per second and those of them that were no 200, and the 99th percentile in ms."""
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--latency", "-s", script,
                           f"http://127.0.0.1:{port}/v2/namespaces/{name}"], capture_output=True, text=True, check=True).stdout
    assert "Socket errors" not in done, done
    value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", done).groups()
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", done)
    requests = int(re.search(r"(\d+) requests in", done).group(1))
    rate = float(re.search(r"Requests/sec:\s+([0-9.]+)", done).group(1))
    return rate, rate * (int(refused.group(1)) if refused else 0) / requests, float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, path, body)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    assert answer.status == 200, text
    return json.loads(text)


def peak_memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def many(port, pid, folder, seconds, vectors):
    scripts = {}
    for kind, first, fields in (("written", 0, ""), ("dropped", 10**12, '"create_namespace":false,')):
        scripts[kind] = folder / f"{kind}.lua"
        scripts[kind].write_text(LUA % (first, vectors, ROWS, fields), encoding="utf-8")
    before = wrk(port, "nowhere", scripts["dropped"], max(3, seconds // 6))[0]
    answered, refused, late = wrk(port, "rows", scripts["written"], seconds)
    rate = answered - refused
    told = ask(port, "GET", "/v2/namespaces/rows/metadata")
    memory = peak_memory(pid)
    after = wrk(port, "nowhere", scripts["dropped"], max(3, seconds // 6))[0]
    dropped = (before + after) / 2
    return [f"| {CONNECTIONS} connections × {ROWS} rows, {seconds} s, folding on | |", "|---|---:|",
            f"| rows/s acknowledged | {rate * ROWS:,.0f} |", f"| p99 of an answer, ms | {late:,.0f} |",
            f"| refused requests/s (429: too many rows wait to be folded) | {refused:,.0f} |",
            f"| the same bodies parsed and dropped, rows/s | {dropped * ROWS:,.0f} |",
            f"| written against dropped | {rate / dropped:.2f}× |",
            f"| rows at the end, of these in the log | {told['approx_row_count']:,}, {told['index'].get('unindexed_rows', 0):,} |",
            f"| segments at the end | {told['segments']} |", f"| peak memory of the server, MiB | {memory:,.0f} |"]


def write_file(folder, at, body):
    """The least that a durable file with a fixed name costs; returns seconds."""
    began = time.perf_counter()
    name, final = folder / "new", folder / f"{at:020}"
    file = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
    os.write(file, body)
    os.fsync(file)
    os.close(file)
    os.link(name, final)
    place = os.open(folder, os.O_RDONLY)
    os.fsync(place)
    os.close(place)
    took = time.perf_counter() - began
    os.unlink(name)
    return took


def alone(port, folder, count, line):
    """One row at a time, and one file at a time, in turn."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    (folder / "files").mkdir()
    rows, files = [], []
    for i in range(count):
        body = json.dumps({"distance_metric": "cosine_distance", "upsert_rows": [{"id": i, "vector": line}]})
        began = time.perf_counter()
        connection.request("POST", "/v2/namespaces/alone", body)
        answer = connection.getresponse()
        answer.read()
        rows.append(time.perf_counter() - began)
        assert answer.status == 200
        files.append(write_file(folder / "files", i, base64.b64decode(line)))
    connection.close()
    row, file = statistics.median(rows[1:]), statistics.median(files[1:])
    return [f"| one row at a time, p50 of {count}, ms | |", "|---|---:|", f"| written over HTTP | {row * 1e3:.2f} |",
            f"| create, write, fsync, link, fsync of the folder | {file * 1e3:.2f} |", f"| ratio | {row / file:.2f}× |"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--alone", type=int, default=300)
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE")
    args = parser.parse_args()
    dipper = pathlib.Path(args.build).resolve() / "dipper"
    rng = random.Random(1)
    lines = [base64.b64encode(struct.pack(f"<{DIM}f", *(rng.gauss(0, 1) for _ in range(DIM)))).decode() for _ in range(999)]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=TOP / args.build) as name:
        folder = pathlib.Path(name)
        (folder / "root").mkdir()
        (folder / "vectors").write_text("\n".join(lines) + "\n", encoding="utf-8")
        with serving(dipper, folder) as (port, _):
            table = alone(port, folder, args.alone, lines[0]) + [""]
        with serving(dipper, folder) as (port, pid):
            table += many(port, pid, folder, args.seconds, folder / "vectors")
    table = [f"{os.cpu_count()} processors, {machine.processor()} ({machine.caches()}), {machine.system()}, commit "
             f"{machine.commit(TOP)}; wrk and the server share them; load average {load:.1f} before.", ""] + table
    print("\n".join(table))
    if args.write:
        head, rest = args.write.read_text(encoding="utf-8").split(BEGIN)
        args.write.write_text(head + BEGIN + "\n" + "\n".join(table) + "\n" + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
