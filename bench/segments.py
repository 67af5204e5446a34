#!/usr/bin/env python3
"""Counts the rounds, requests and bytes of cold queries by meaning, by words and by both, over one, five and twenty segments.

    make bench WHAT=segments [WRITE=1]

The rows are the packages of `make demo`, the questions the demo's. Each segment has an equal part of the rows, in their order, and
comes from one `dipper index`. With a tail, the namespace's log also has rows that no segment holds: copies of some rows under new ids, and
new texts and vectors of others. A web server of this script serves the folder with ranges, and each question goes to a new `dipper serve`
over it, so every query opens the namespace.
"""
import argparse
import ctypes
import json
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

import numpy as np
import orjson

import filters
import first_stage
import libdipper
import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "segments.md"
BEGIN, END = "<!-- bench-segments begins -->", "<!-- bench-segments ends -->"
K, LANE = 10, 50


class Corpus:
    """The packages, the questions, and their vectors."""

    def __init__(self, args):
        demo = first_stage.demo_module()
        self.text = [row["text"] for row in demo.packages()]
        self.questions = [text for text, _ in demo.package_questions()]
        questions = self.questions + (TOP / "bench" / "package_questions.txt").read_text(encoding="utf-8").splitlines()
        self.x = first_stage.embedded(args, "packages", self.text)
        self.q = first_stage.embedded(args, "package-questions", questions)[:args.questions]

    def query(self, i, how):
        lanes = {"meaning": {"rank_by": ["vector", "ANN", self.q[i].tolist()]}, "words": {"rank_by": ["text", "BM25", self.questions[i]]}}
        if how != "hybrid":
            return lanes[how] | {"top_k": K}
        return {"queries": [lane | {"top_k": LANE} for lane in lanes.values()], "rerank_by": ["RRF"], "limit": K}

    def index(self, args, root, count):
        """Makes a namespace of `count` segments."""
        for part in np.array_split(np.arange(len(self.x)), count):
            with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
                for i in part:
                    row = {"id": i, "text": self.text[i], "vector": self.x[i]}
                    out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
                out.flush()
                subprocess.run([args.build / "dipper", "index", "rows", out.name, "--root", root], check=True, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)

    def write_tail(self, args, root):
        """Writes rows to the log: a half of them replace rows of segments."""
        rng, lib = np.random.default_rng(5), libdipper.load(args.build)
        chosen = rng.choice(len(self.x), args.tail, replace=False)
        rows = [{"id": int(i) if n % 2 else len(self.x) + n, "text": self.text[i], "vector": self.x[i].tolist()} for n, i in enumerate(chosen)]
        namespace, error = ctypes.c_void_p(), libdipper.Error()
        failed = lib.dp_namespace_open(str(root).encode(), b"rows", None, namespace, error)
        for begin in range(0, 0 if failed else len(rows), 10):
            write = libdipper.Write(request=json.dumps({"upsert_rows": rows[begin:begin + 10]}).encode(), no_fold=True)
            failed = failed or lib.dp_namespace_write(namespace, write, None, error)
        lib.dp_namespace_close(namespace)
        if failed:
            raise RuntimeError(error.message.decode())


def measure(args, corpus, root, how):
    """(rounds, requests, kB), the largest and two means over the questions, and the same of the second time."""
    costs = []
    for i in range(len(corpus.q)):
        with filters.serving(args, root) as address:
            costs.append([filters.ask(address, "query", corpus.query(i, how))["performance"] for _ in range(2)])
    told = []
    for which in zip(*costs):
        told += [f"{max(cost['rounds'] for cost in which)}", f"{statistics.mean(cost['requests'] for cost in which):.0f}",
                 f"{statistics.mean(cost['bytes'] for cost in which) / 1e3:,.0f}"]
    return " | ".join(told)


def report(args):
    corpus, folder = Corpus(args), pathlib.Path(tempfile.mkdtemp())
    try:
        yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {len(corpus.x):,} rows × {corpus.x.shape[1]}, {len(corpus.q)} questions;"
               f" {machine.system()}, Dipper {machine.commit(TOP)}. Counts, not times; rounds are the largest of all questions, the others means.")
        yield "\n| segments | rows in the log | query | rounds, cold | requests | kB | rounds, again | requests | kB |"
        yield "|---:|---:|---|---:|---:|---:|---:|---:|---:|"
        for count in (1, 5, 20):
            root = folder / str(count)
            corpus.index(args, root, count)
            for tail in (0, args.tail):
                if tail:
                    corpus.write_tail(args, root)
                for how in ("meaning", "words", "hybrid"):
                    yield f"| {count} | {tail} | {how} | {measure(args, corpus, root, how)} |"
    finally:
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--questions", default=20, type=int, help="how many questions to ask (default 20)")
    parser.add_argument("--tail", default=100, type=int, help="rows in the log (default 100)")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(TOP)} too")
    args = parser.parse_args()
    args.build = args.build.resolve()
    machine.print_report(report(args), PAGE if args.write else None, BEGIN, END)


if __name__ == "__main__":
    main()
