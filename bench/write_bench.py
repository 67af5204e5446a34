#!/usr/bin/env python3
"""bench/write_bench.py [--build build] [--seconds 60] [--alone 300] [--single 10000] [--write [PAGE]]: measures writes over HTTP.

Starts `dipper serve` over a folder of this host, with folding on, and writes rows of 384 dimensions. First the script writes one
row over HTTP and one durable file in turn. The file is written in the fewest steps that make it durable and show it only as a
whole: create, write, fsync, link, fsync of the folder. Then wrk writes rows with fresh ids: 64 connections, 10 rows in a request,
vectors in base 64. Before and after, wrk sends the same bodies to a namespace that does not exist, with create_namespace false,
so the server parses the bodies and drops them. Then the script writes --single rows one by one and waits until the namespace
rests. It writes the same rows to another namespace in large requests, and compacts this namespace. It counts the requests that a
warm query of each of the two sends to the store. Last, `dipper index` embeds texts, and the server embeds the same texts, which
clients write. Processor times are user and system time of the server and of wrk. Other programs change processor times less
than rates. --write also puts the tables into docs/benchmarks/writes.md. Needs wrk (scripts/setup --bench).
"""
import argparse
import base64
import concurrent.futures
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
# A wrk script that makes one body after another: 999 vectors in turn, and ids that no request had before.
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


def processor_time(pid):
    """Processor seconds of the process `pid`, and of the children that this script has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    children = os.times()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + children.children_user + children.children_system


def wrk(port, name, script, seconds):
    """Returns answers per second, answers per second with a status other than 2xx or 3xx, and the 99th percentile in ms."""
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}", "--timeout", "30s", "--latency", "-s", script,
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
    short = max(3, seconds // 6)
    times = [processor_time(pid)]
    before = wrk(port, "nowhere", scripts["dropped"], short)[0]
    times.append(processor_time(pid))
    answered, refused, late = wrk(port, "rows", scripts["written"], seconds)
    times.append(processor_time(pid))
    rate = answered - refused
    told = ask(port, "GET", "/v2/namespaces/rows/metadata")
    memory = peak_memory(pid)
    after = wrk(port, "nowhere", scripts["dropped"], short)[0]
    dropped = (before + after) / 2
    each = [1e6 * (times[1] - times[0]) / (before * short * ROWS), 1e6 * (times[2] - times[1]) / (rate * seconds * ROWS)]
    return [f"| {CONNECTIONS} connections × {ROWS} rows, {seconds} s, folding on | |", "|---|---:|",
            f"| rows/s acknowledged | {rate * ROWS:,.0f} |", f"| p99 of an answer, ms | {late:,.0f} |",
            f"| refused requests/s (429: too many rows wait to be folded) | {refused:,.0f} |",
            f"| the same bodies parsed and dropped, rows/s | {dropped * ROWS:,.0f} |",
            f"| written against dropped | {rate / dropped:.2f}× |",
            f"| processor time of a row, wrk and server, µs: written, dropped | {each[1]:.1f}, {each[0]:.1f} |",
            f"| dropped against written, by processor time | {each[0] / each[1]:.2f}× |",
            f"| rows at the end, of these in the log | {told['approx_row_count']:,}, {told['index'].get('unindexed_rows', 0):,} |",
            f"| segments at the end | {told['segments']} |", f"| peak memory of the server, MiB | {memory:,.0f} |"]


def write_file(folder, at, body):
    """Writes a durable file named by the number `at`, in the fewest steps. Returns seconds."""
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
    """Writes one row and one file in turn."""
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


def upsert(connection, name, rows, **fields):
    connection.request("POST", f"/v2/namespaces/{name}",
                       json.dumps({"distance_metric": "cosine_distance", "upsert_rows": rows, **fields}))
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text


def wait_for_rest(port, name):
    """Waits until nothing has changed for a minute; a namespace counts as idle after half a minute."""
    told, since = None, time.monotonic()
    while time.monotonic() - since < 60:
        now = ask(port, "GET", f"/v2/namespaces/{name}/metadata")
        if (now["segments"], now["index"]) != told:
            told, since = (now["segments"], now["index"]), time.monotonic()
        time.sleep(1)
    return told[0]


def single(dipper, folder, port, count, lines):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for i in range(count):
        upsert(connection, "single", [{"id": i, "vector": lines[i % len(lines)]}])
    connection.close()
    segments = wait_for_rest(port, "single")
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for at in range(0, count, 2500):
        upsert(connection, "whole", [{"id": i, "vector": lines[i % len(lines)]} for i in range(at, min(at + 2500, count))])
    connection.close()
    subprocess.run([dipper, "namespace", "compact", "whole", "--root", folder / "root"], check=True, capture_output=True)
    requests, query = {}, json.dumps({"rank_by": ["vector", "ANN", lines[0]], "limit": 10})
    for name in ("single", "whole"):
        for _ in range(3):
            answer = ask(port, "POST", f"/v2/namespaces/{name}/query", query)
        requests[name] = answer["performance"]["requests"]
    return [f"| {count:,} rows, one by one, and a minute of rest | |", "|---|---:|", f"| segments | {segments} |",
            f"| requests of a warm query; after the same rows at once | {requests['single']}, {requests['whole']} |"]


def embedded(dipper, folder, texts):
    """Processor time of a server that embeds the texts of 8 connections (32 rows in a request), and of `dipper index`."""
    rows = [{"id": i, "text": text} for i, text in enumerate(texts)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    before = os.times()
    subprocess.run([dipper, "index", "loaded", folder / "rows.jsonl", "--root", folder / "root"], check=True, capture_output=True)
    after = os.times()
    loaded = after.children_user + after.children_system - before.children_user - before.children_system
    with serving(dipper, folder) as (port, pid):
        connections = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(8)]
        before = processor_time(pid)
        schema = {"text": {"type": "string", "embed": "all-MiniLM-L6-v2"}}
        parts = [rows[i:i + 32] for i in range(0, len(rows), 32)]

        def write(worker):
            for part in parts[worker::8]:
                upsert(connections[worker], "written", part, schema=schema)

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(8)))
        while ask(port, "GET", "/v2/namespaces/written/metadata")["index"].get("unindexed_rows", 0):
            time.sleep(0.5)
        written = processor_time(pid) - before
    return [f"| {len(texts):,} abstracts of about 60 words, embedded on the way in and folded | |", "|---|---:|",
            f"| processor time, s: written, `dipper index` | {written:.1f}, {loaded:.1f} |",
            f"| written against `dipper index`, by processor time | {loaded / written:.2f}× |"]


def abstracts():
    path = TOP / "tests" / "data" / "cranfield" / "cran.all.1400"
    found = re.findall(r"\.W\n(.*?)(?=\n\.I|\Z)", path.read_text(encoding="utf-8"), re.DOTALL)
    return [" ".join(text.split()[:60]) for text in found if text.strip()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--alone", type=int, default=300)
    parser.add_argument("--single", type=int, default=10000)
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
            table += many(port, pid, folder, args.seconds, folder / "vectors") + [""]
        with serving(dipper, folder) as (port, _):
            table += single(dipper, folder, port, args.single, lines) + [""]
        table += embedded(dipper, folder, abstracts())
    table = [f"{machine.line(TOP)}; wrk and the server share them; load average {load:.1f} before.", ""] + table
    print("\n".join(table))
    if args.write:
        machine.write_between(args.write, BEGIN, END, "\n" + "\n".join(table) + "\n")


if __name__ == "__main__":
    main()
