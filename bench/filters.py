#!/usr/bin/env python3
"""Measures recall, rounds, requests and bytes of queries by meaning with a filter.

The rows are the packages that `apt-cache dumpavail` lists, as `make demo` indexes them, embedded by build/dipper. With --copies 2, each is
there once more, with some noise added to its vector. `dipper index` writes them into a folder, which a web server of this script serves
with ranges, and `dipper serve --root http://…` without a cache answers the queries: the demo's questions, and
bench/package_questions.txt. So ranges merge as over S3, and every query reads all it needs.

Each row has a number drawn at random, which the independent filters compare, and the number of its cluster, one of 100. Correlated
filters choose the clusters nearest to the query, and anti-correlated ones those farthest from it. recall@10 is against all rows that match.
"""
import argparse
import contextlib
import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

import numpy as np
import orjson

import first_stage
import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "filters.md"
BEGIN, END = "<!-- bench-filters begins -->", "<!-- bench-filters ends -->"
K, CLUSTERS, NUMBERS, NOISE = 10, 100, 10000, 0.25


class Rows:
    """The rows, the queries and what filters choose by."""

    def __init__(self, args):
        demo = first_stage.demo_module()
        texts = [row["text"] for row in demo.packages()]
        questions = [text for text, _ in demo.package_questions()]
        questions += (TOP / "bench" / "package_questions.txt").read_text(encoding="utf-8").splitlines()
        x = self.unit(first_stage.embedded(args, "packages", texts))
        self.q = self.unit(first_stage.embedded(args, "package-questions", questions))[:args.queries]
        random = np.random.default_rng(3)
        noisy = [self.unit(x + random.standard_normal(x.shape).astype("f4") * NOISE / x.shape[1] ** 0.5) for _ in range(args.copies - 1)]
        self.x = np.concatenate([x, *noisy])
        self.centroids, _ = first_stage.clusters(x, CLUSTERS)
        self.cluster = (self.x @ self.centroids.T).argmax(1)
        self.number = random.integers(0, NUMBERS, len(self.x))
        self.order = random.permutation(len(self.x))
        self.near = np.argsort(-(self.q @ self.centroids.T), axis=1)

    @staticmethod
    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def write(self, path):
        with open(path, "wb") as out:
            for i in self.order:
                row = {"id": i, "vector": self.x[i], "number": self.number[i], "cluster": self.cluster[i]}
                out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))

    def independent(self, share):
        return lambda query: (["number", "Lt", round(share * NUMBERS)], self.number < round(share * NUMBERS))

    def clusters(self, first, last):
        def choose(query):
            chosen = self.near[query, first:last]
            return ["cluster", "In", chosen.tolist()], np.isin(self.cluster, chosen)
        return choose


class Files(http.server.BaseHTTPRequestHandler):
    """Serves a folder, with one range a request and versions."""
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16

    def answer(self, code, body=b"", **headers):
        self.send_response_only(code)
        for name, value in (("Content-Length", len(body)), *headers.items()):
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        file = self.server.root / self.path.lstrip("/")
        if not file.is_file():
            return self.answer(404)
        info = file.stat()
        version = f'"{info.st_ino:x}-{info.st_mtime_ns:x}"'
        if self.headers["If-Match"] not in (None, version):
            return self.answer(412)
        if self.headers["If-None-Match"] == version:
            return self.answer(304, ETag=version)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers["Range"] or "")
        if not asked:
            return self.answer(200, file.read_bytes(), ETag=version)
        first, last = int(asked[1]), min(int(asked[2] or info.st_size), info.st_size - 1)
        if first >= info.st_size:
            return self.answer(416, Content_Range=f"bytes */{info.st_size}")
        with open(file, "rb") as source:
            body = os.pread(source.fileno(), last + 1 - first, first)
        return self.answer(206, body, ETag=version, Content_Range=f"bytes {first}-{last}/{info.st_size}")

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(args, root):
    """Gives the address of `dipper serve` over the folder, which it reads through a web server."""
    class Web(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass  # Dipper closes connections that it needs no longer
    web = Web(("127.0.0.1", 0), Files)
    web.root = root
    threading.Thread(target=web.serve_forever, daemon=True).start()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([args.build / "dipper", "serve", "--root", f"http://127.0.0.1:{web.server_port}", "--listen",
                               f"127.0.0.1:{port}", "--cache-bytes", "0"], env=dict(os.environ, no_proxy="*"),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()
        web.shutdown()


def ask(address, path, query):
    request = urllib.request.Request(f"{address}/v2/namespaces/rows/{path}", json.dumps(query).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def measure(address, rows, name, choose):
    """One line of the table."""
    found = wanted = matches = 0
    costs, rules = [], []
    for i, vector in enumerate(rows.q):
        filters, mask = choose(i) if choose else (None, np.ones(len(rows.x), bool))
        query = {"rank_by": ["vector", "ANN", vector.tolist()], "top_k": K}
        if filters:
            query["filters"] = filters
        chosen = np.flatnonzero(mask)
        nearest = chosen[np.argsort(-(rows.x[chosen] @ vector), kind="stable")[:K]]
        answer = ask(address, "query", query)
        if filters:
            rules.append("lists" if "nearest to the vector of" in ask(address, "explain_query", query)["plan_text"] else "exact")
        assert len(answer["rows"]) == min(K, len(chosen)), "a query answers fewer rows than match"
        found += len({int(row["id"]) for row in answer["rows"]} & set(nearest.tolist()))
        wanted += len(nearest)
        matches += len(chosen)
        costs.append(answer["performance"])
    mean = {key: statistics.mean(cost[key] for cost in costs) for key in ("bytes", "requests", "rounds")}
    lists = f"{rules.count('lists') / len(rules):.0%}" if rules else ""
    return (f"| {name} | {matches / len(rows.q):,.0f} | {lists} | {found / max(wanted, 1):.3f} | {mean['rounds']:.2f} |"
            f" {mean['requests']:.0f} | {mean['bytes'] / 1e3:,.0f} |")


def report(args):
    rows = Rows(args)
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        rows.write(folder / "rows.jsonl")
        subprocess.run([args.build / "dipper", "index", "rows", folder / "rows.jsonl", "--root", folder / "root"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (folder / "rows.jsonl").unlink()
        yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {len(rows.x):,} rows × {rows.x.shape[1]}"
               f"{f' (each package {args.copies} times, with noise)' if args.copies > 1 else ''}, {len(rows.q)} questions;"
               f" {machine.system()}, Dipper {machine.commit(TOP)}. Counts, not times.")
        yield "\n| filter | matches | by lists | recall@10 | rounds | requests | kB |\n|---|---:|---:|---:|---:|---:|---:|"
        with serving(args, folder / "root") as address:
            ask(address, "query", {"rank_by": ["vector", "ANN", rows.q[0].tolist()], "top_k": 1})  # opens the namespace
            yield measure(address, rows, "none", None)
            for share in (0.5, 0.1, 0.01, 0.001, 0.0001):
                yield measure(address, rows, f"{share * 100:g} %, independent", rows.independent(share))
            for count in (1, 10, 50):
                yield measure(address, rows, f"{count} of 100 clusters, the nearest", rows.clusters(0, count))
            for count in (1, 10, 50):
                yield measure(address, rows, f"{count} of 100 clusters, the farthest", rows.clusters(CLUSTERS - count, CLUSTERS))
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--copies", default=2, type=int, help="how often each package is there (default 2)")
    parser.add_argument("--queries", default=40, type=int, help="how many questions to ask (default 40)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(TOP)} too")
    args = parser.parse_args()
    args.build = args.build.resolve()
    machine.print_report(report(args), PAGE if args.write else None, BEGIN, END)


if __name__ == "__main__":
    main()
