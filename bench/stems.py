#!/usr/bin/env python3
"""Measures what stems and stop words are worth to a ranking by words: nDCG@10 of BM25 with both, with one and with neither.

    bench/stems.py [--build build] [--collection FILE.json …]

The collections are Cranfield (examples/cranfield), and the packages that `apt-cache dumpavail` lists with the demo's judged questions. A
file adds one: {"documents": {id: text}, "queries": [[text, {id: grade}]]}. `dipper serve` indexes the documents and answers.
"""
import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import first_stage

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "examples" / "cranfield"))
import cranfield  # noqa: E402

OPTIONS = {"neither": True, "stop words": {"remove_stopwords": True}, "stems": {"stemming": True},
           "both": {"remove_stopwords": True, "stemming": True}}
ROWS_A_WRITE = 4000


def collections(files):
    """Yields name, {id: text} and [(question, {id: grade})]."""
    judged = cranfield.judgements()
    yield ("Cranfield", {str(n): text for n, _, text in cranfield.documents() if text},
           [(text, {str(d): grade for d, grade in judged[n].items()}) for n, text in enumerate(cranfield.queries(), 1)])
    for path in files:
        found = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        yield pathlib.Path(path).stem, found["documents"], found["queries"]
    demo = first_stage.demo_module()
    yield ("packages", {row["id"]: row["text"] for row in demo.packages()},
           [(text, dict.fromkeys(relevant, 1)) for text, relevant in demo.package_questions()])


def post(url, path, body):
    request = urllib.request.Request(f"{url}/v2/namespaces/{path}", data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def measure(url, name, documents, queries, option):
    """Returns the mean nDCG@10."""
    rows = [{"id": number, "text": text} for number, text in documents.items()]
    for at in range(0, len(rows), ROWS_A_WRITE):
        post(url, name, {"upsert_rows": rows[at:at + ROWS_A_WRITE], "schema": {"text": {"type": "string", "full_text_search": option}}})
    scores = []
    for text, grades in queries:
        answer = post(url, f"{name}/query", {"rank_by": ["text", "BM25", text], "limit": 10})
        scores.append(cranfield.ndcg_at_10([row["id"] for row in answer["rows"]], grades))
    return sum(scores) / len(scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--collection", action="append", default=[])
    args = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DIPPER_")}
    with tempfile.TemporaryDirectory() as root:
        server = subprocess.Popen([args.build / "dipper", "serve", "--root", root, "--listen", f"127.0.0.1:{port}", "--log-format", "off"],
                                  env=environment)
        try:
            for _ in range(100):
                with socket.socket() as try_it:
                    if try_it.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            print("| collection | documents | questions | " + " | ".join(OPTIONS) + " |\n|---|" + "---:|" * (2 + len(OPTIONS)))
            for number, (name, documents, queries) in enumerate(collections(args.collection)):
                scores = [measure(f"http://127.0.0.1:{port}", f"c{number}-{i}", documents, queries, option)
                          for i, option in enumerate(OPTIONS.values())]
                print(f"| {name} | {len(documents):,} | {len(queries)} | " + " | ".join(f"{s:.4f}" for s in scores) + " |", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
