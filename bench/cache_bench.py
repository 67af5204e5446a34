#!/usr/bin/env python3
"""bench/cache_bench.py [--build build] [--rounds 3] [--seconds 3] [--write [PAGE]]: measures cached embeddings.

Starts `dipper serve` and Debian's redis-server on free ports of this host, warms the cache with 1,000 texts, and has wrk
request them in turn on the same processors: JSON from /v1/embed, base 64 from /v1/embeddings, with and without the access
log. Then it measures, one request at a time, how much longer an answer takes if its vector comes from Redis and not from
memory. Each round runs all cases; the script prints medians as Markdown. --write also puts them into
docs/benchmarks/embedding-service.md.
Needs wrk and redis-server (scripts/setup --bench).
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "tests" / "e2e"))
from redis_server import redis_servers, until  # noqa: E402 (the tests start Redis with it too)

PAGE = TOP / "docs" / "benchmarks" / "embedding-service.md"
BEGIN, END = "<!-- bench/cache_bench.py writes from here -->", "<!-- to here -->"
TEXTS = [f"request number {i}: how do I keep two folders in sync over a slow network" for i in range(1000)]
FORMS = {
    "JSON": ("/v1/embed", lambda text: {"text": text, "normalize": True}),
    "base 64": ("/v1/embeddings", lambda text: {"model": "all-MiniLM-L6-v2", "input": text,
                                                "encoding_format": "base64"}),
}


@contextlib.contextmanager
def serving(dipper, folder, log, *options):
    """Starts a server over an empty root, with its access log in a file; yields its port."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with open(folder / f"log-{log}", "wb") as errors:
        process = subprocess.Popen([dipper, "serve", "--root", folder / "root", "--listen", "127.0.0.1:0", "--log-format",
                                    log, *options], stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()


def post(connection, form, text):
    """Returns the seconds of an answer, and the milliseconds of its Redis lookup as the answer reports them, or None."""
    path, body = FORMS[form]
    began = time.perf_counter()
    connection.request("POST", path, json.dumps(body(text)))
    answer = connection.getresponse()
    answer.read()
    took = time.perf_counter() - began
    assert answer.status == 200
    stage = re.search(r"\bcache;dur=([0-9.]+)", answer.headers.get("Server-Timing", ""))
    return took, float(stage.group(1)) if stage else None


def warm(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for _ in range(3): # computes vectors, caches their printed forms, reads these
        for text in TEXTS:
            for form in FORMS:
                post(connection, form, text)
    connection.close()


def write_script(folder, form):
    """A wrk script that requests each text in turn."""
    path, body = FORMS[form]
    script = folder / f"{form.replace(' ', '')}.lua"
    bodies = ",\n".join(json.dumps(json.dumps(body(text))) for text in TEXTS)
    script.write_text(f"local bodies = {{{bodies}}}\nlocal requests, at = {{}}, 0\n"
                      f"function init()\n for i, b in ipairs(bodies) do requests[i] = wrk.format('POST', '{path}', nil, b)"
                      " end\nend\nfunction request()\n at = at % #requests + 1\n return requests[at]\nend\n",
                      encoding="utf-8")
    return script


def wrk(port, script, connections, seconds):
    """Returns requests per second, and the 99th percentile in milliseconds."""
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", "-s", script,
                           f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in done and "Socket errors" not in done, done
    value, unit = re.search(r"99%\s+([0-9.]+)(us|ms|s)", done).groups()
    return (float(re.search(r"Requests/sec:\s+([0-9.]+)", done).group(1)),
            float(value) * {"us": 0.001, "ms": 1, "s": 1000}[unit])


def memory_tier(dipper, folder, rounds, seconds):
    lines = ["| answer | connections | access log | requests/s | p99 ms |", "|---|---:|---|---:|---:|"]
    scripts = {form: write_script(folder, form) for form in FORMS}
    cases = [(form, connections, log) for form in FORMS for connections in (16, 64) for log in ("off", "json")]
    found = {case: [] for case in cases}
    with serving(dipper, folder, "off") as off, serving(dipper, folder, "json") as logged:
        ports = {"off": off, "json": logged}
        for port in ports.values():
            warm(port)
        for _ in range(rounds):
            for case in cases:
                form, connections, log = case
                found[case].append(wrk(ports[log], scripts[form], connections, seconds))
    for (form, connections, log), runs in found.items():
        rate, late = (statistics.median(column) for column in zip(*runs))
        least, most = min(run[0] for run in runs), max(run[0] for run in runs)
        lines.append(f"| {form} | {connections} | {'off' if log == 'off' else 'json, to a file'} | {rate:,.0f} "
                     f"({least:,.0f} to {most:,.0f}) | {late:.2f} |")
    return lines


def redis_tier(dipper, folder, rounds):
    """One request at a time, alternately from memory and from Redis."""
    memory, redis, stages = [], [], []
    with redis_servers(1, folder) as (server,), serving(dipper, folder, "off") as near, \
            serving(dipper, folder, "off", "--redis-url", server.url, "--l1-cache-size", "0") as far:
        connections = [http.client.HTTPConnection("127.0.0.1", port) for port in (near, far)]
        for port in (near, far):
            warm(port)
        until(lambda: len(server.keys()) >= 2 * len(TEXTS) - 2 or len(server.keys()) == len(TEXTS))
        for _ in range(rounds):
            for text in TEXTS:
                memory.append(post(connections[0], "JSON", text)[0])
                took, stage = post(connections[1], "JSON", text)
                redis.append(took)
                stages.append(stage)
    assert None not in stages, "an answer did not ask Redis"
    near, far, inside = (statistics.median(values) for values in (memory, redis, stages))
    return ["| one request at a time, JSON, p50 | ms |", "|---|---:|",
            f"| answered from memory, as a Python client sees it | {near * 1e3:.3f} |",
            f"| answered from Redis | {far * 1e3:.3f} |",
            f"| **added by Redis** (tokenizing, a request thread and printing included) | {(far - near) * 1e3:.3f} |",
            f"| of which the look-up, as the server times it | {inside:.3f} |"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE")
    args = parser.parse_args()
    dipper = pathlib.Path(args.build).resolve() / "dipper"
    others = machine.Others()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "root").mkdir()
        lines = memory_tier(dipper, folder, args.rounds, args.seconds)
        lines += [""] + redis_tier(dipper, folder, args.rounds)
    lines = [f"{machine.line(TOP)}; wrk, Redis and the server share them. Medians of {args.rounds} repetitions of {args.seconds} s.",
             ""] + lines
    print("\n".join(lines))
    print(f"\n(other programs and wrk used {others.share():.0%} of the machine)", file=sys.stderr)
    if args.write:
        machine.write_between(args.write, BEGIN, END, "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
