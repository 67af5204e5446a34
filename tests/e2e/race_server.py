#!/usr/bin/env python3
"""tests/e2e/race_server.py DIPPER [--seconds 60] [--seed 1]: many clients ask one server for everything at once.

For a build with the thread sanitizer (make check-tsan). Namespaces take upserts, patches, deletions by filter and queries of all
kinds side by side, while the server folds and merges. One namespace is deleted again and again. Texts are embedded, metrics are
read. Other tests check answers; this script fails on an answer with status 400 or 500, and if the server ends with another status
than 0, as it does after the sanitizer has found a race.
"""
import argparse
import collections
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import clean_environment  # noqa: E402

WORDS = "river stone cloud paper engine window market garden silver mountain letter harbour".split()
CLIENTS, ROWS, DIM = 12, 3000, 16


def text_of(rng):
    return " ".join(rng.choice(WORDS) for _ in range(8))


def row_of(rng, i):
    return {"id": i, "vector": [rng.gauss(0, 1) for _ in range(DIM)], "text": text_of(rng), "n": rng.randrange(50)}


def query(rng):
    vector = [rng.gauss(0, 1) for _ in range(DIM)]
    ann, words = ["vector", "ANN", vector], ["text", "BM25", text_of(rng)]
    return rng.choice([
        {"rank_by": ann, "limit": 10, "include_attributes": ["text"]},
        {"rank_by": ["vector", "kNN", vector], "limit": 5, "filters": ["n", "Lt", 25]},
        {"rank_by": ann, "limit": 10, "filters": ["text", "ContainsAllTokens", rng.choice(WORDS)]},
        {"rank_by": words, "limit": 10},
        {"rank_by": ["n", "asc"], "limit": 20, "consistency": {"level": "eventual"}},
        {"aggregate_by": {"count": ["Count"]}, "group_by": ["n"]},
        {"queries": [{"rank_by": ann, "limit": 10}, {"rank_by": words, "limit": 10}, {"rank_by": ["id", "desc"], "limit": 3}]},
    ])


def write(rng):
    ids = rng.sample(range(ROWS), rng.randrange(1, 40))
    kind = rng.randrange(8)
    if kind == 0:
        return {"deletes": ids}
    if kind == 1:
        return {"patch_rows": [{"id": i, "n": rng.randrange(50)} for i in ids]}
    if kind == 2:
        return {"delete_by_filter": ["n", "Eq", rng.randrange(50)]}
    if kind == 3:
        return {"patch_by_filter": {"filters": ["n", "Eq", rng.randrange(50)], "patch": {"n": rng.randrange(50)}}}
    return {"distance_metric": "euclidean_squared", "upsert_rows": [row_of(rng, i) for i in ids],
            "schema": {"text": {"type": "string", "full_text_search": True}}}


def one_request(rng, namespaces):
    """(method, path, body or None)"""
    name = rng.choice(namespaces)
    kind = rng.random()
    if kind < 0.35:
        return "POST", f"/v2/namespaces/{name}", write(rng)
    if kind < 0.75:
        return "POST", f"/v2/namespaces/{name}/query", query(rng)
    if kind < 0.85:
        return "POST", "/v1/embeddings", {"model": "all-MiniLM-L6-v2", "input": [text_of(rng) for _ in range(rng.randrange(1, 4))]}
    if kind < 0.9:
        return "GET", "/metrics", None
    if kind < 0.95:
        return "GET", f"/v1/namespaces/{name}/metadata", None
    if kind < 0.97:
        return "GET", "/v1/namespaces", None
    return "DELETE", f"/v2/namespaces/{namespaces[-1]}", None


def client(address, seed, until, counts, lock, failures):
    rng = random.Random(seed)
    namespaces = ["one", "two", "fleeting"]
    connection = http.client.HTTPConnection(address, timeout=120)
    while time.monotonic() < until and not failures:
        method, path, body = one_request(rng, namespaces)
        key = {"Idempotency-Key": f"{seed}-{rng.randrange(1000)}"} if method == "POST" and rng.random() < 0.1 else {}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json", **key})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            failures.append(f"{method} {path}: {error!r}")
            return
        with lock:
            counts[f"{method} {path.rsplit('/', 1)[1]}: {answer.status}"] += 1
        if answer.status in (400, 500):
            failures.append(f"{method} {path} {body}: {answer.status} {text[:500]}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("dipper")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    counts, lock, failures = collections.Counter(), threading.Lock(), []
    with tempfile.TemporaryDirectory() as root:
        process = subprocess.Popen([args.dipper, "serve", "--root", root, "--listen", "127.0.0.1:0", "--log-format", "off"],
                                   stdout=subprocess.PIPE, text=True,
                                   env={**clean_environment(), "TSAN_OPTIONS": os.environ.get("TSAN_OPTIONS", "exitcode=66")})
        address = process.stdout.readline().strip().removeprefix("http://")
        until = time.monotonic() + args.seconds
        threads = [threading.Thread(target=client, args=(address, args.seed * 1000 + i, until, counts, lock, failures))
                   for i in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        process.terminate()
        status = process.wait(timeout=120)
    for what, count in sorted(counts.items()):
        print(f"{count:7} {what}")
    for failure in failures:
        print(failure)
    print(f"the server ended with status {status}")
    return 1 if failures or status else 0


if __name__ == "__main__":
    sys.exit(main())
