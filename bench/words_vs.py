#!/usr/bin/env python3
"""Compares Dipper's text index with tantivy's, both in memory and on one thread: time, bytes, and the rows they find.

    build/venv/bin/pip install tantivy && ninja -C build bench/bench_words
    build/venv/bin/python bench/words_vs.py [--build build] [--copies 1] [--turns 5]

The texts are the packages that `apt-cache dumpavail` lists, as `make demo` indexes them. The queries are the demo's questions and
the summaries of 980 packages, each as the OR of its different words. Words are runs of letters and digits, cut before the clock
starts. With --copies, each text is there so often, each time without a fifth of its words.

tantivy runs through its Python package, which adds some microseconds to a query. Its index has frequencies and no positions. It
counts exact lengths for the average, and Dipper counts the lengths of their one-byte code, so scores differ by a part in a
hundred; the script prints how many of the ten best rows agree, but for rows that tie.
"""
import argparse
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time

import tantivy

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
BEST = 10


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def corpus(copies):
    loader = importlib.machinery.SourceFileLoader("demo", str(TOP / "scripts" / "demo"))
    demo = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
    loader.exec_module(demo)
    rows = list(demo.packages())
    rng = random.Random(3)
    queries = [question for question, _ in demo.package_questions()]
    queries += [row["summary"] for row in rng.sample(rows, 980)]
    texts = [words(row["text"]) for row in rows]
    if copies > 1:
        texts = [[word for word in text if rng.random() >= 0.2] for _ in range(copies) for text in texts]
    return texts, [query for query in (list(dict.fromkeys(words(q))) for q in queries) if query]


def ours(build, texts, queries, turns):
    with tempfile.TemporaryDirectory() as folder:
        paths = [pathlib.Path(folder) / name for name in ("texts", "queries")]
        for path, lines in zip(paths, (texts, queries)):
            path.write_text("".join(" ".join(line) + "\n" for line in lines), encoding="utf-8")
        done = subprocess.run([build / "bench" / "bench_words", *paths, str(turns)], check=True, capture_output=True,
                              text=True)
    figures, *answers = map(json.loads, done.stdout.splitlines())
    return figures, answers


def tantivys(texts, queries, turns):
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("text", stored=False, tokenizer_name="whitespace", index_option="freq")
    schema = builder.build()
    with tempfile.TemporaryDirectory() as folder:
        index = tantivy.Index(schema, path=folder)
        begun = time.monotonic()
        writer = index.writer(400_000_000, 1)
        for text in texts:
            writer.add_document(tantivy.Document(text=" ".join(text)))
        writer.commit()
        writer.wait_merging_threads()
        build = time.monotonic() - begun
        index.reload()
        searcher = index.searcher()
        size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)
                   if name.endswith((".idx", ".term", ".fieldnorm")))
        asked = [tantivy.Query.boolean_query([(tantivy.Occur.Should, tantivy.Query.term_query(schema, "text", word, "freq"))
                                              for word in query]) for query in queries]
        least = float("inf")
        for _ in range(turns + 1):
            begun = time.monotonic()
            answers = [searcher.search(query, BEST, count=False).hits for query in asked]
            least = min(least, time.monotonic() - begun)
        return {"build": build, "ask": least, "size": size, "segments": searcher.num_segments}, answers


def agreement(mine, theirs):
    """The share of our best rows that the other has too, where neither has ties for the last place."""
    same = total = 0
    for a, b in zip(mine, theirs):
        scores = [score for _, score in a["rows"]]
        if len(b) < BEST or len(set(scores)) < len(scores):
            continue
        same += len({row for row, _ in a["rows"]} & {address.doc for _, address in b})
        total += len(scores)
    return same / total if total else 1.0, total // BEST


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--build", type=pathlib.Path, default=TOP / "build", help="build folder (default build)")
    options.add_argument("--copies", type=int, default=1)
    options.add_argument("--turns", type=int, default=5)
    args = options.parse_args()
    texts, queries = corpus(args.copies)
    mine, answers = ours(args.build, texts, queries, args.turns)
    other, others = tantivys(texts, queries, args.turns)
    long = [(a["scored"], a["postings"]) for a, q in zip(answers, queries) if len(q) >= 4]
    same, compared = agreement(answers, others)
    print(f"{time.strftime('%Y-%m-%d')}: {machine.processor()}, {machine.system()}. Dipper {machine.commit(TOP)}, "
          f"{tantivy.__version__} ({other['segments']} segments).\n")
    print(f"{len(texts):,} texts, {sum(map(len, texts)):,} words, {len(queries):,} queries; load average "
          f"{os.getloadavg()[0]:.2f}.\n")
    print("| what | Dipper | tantivy | ratio |\n|---|---:|---:|---:|")
    size = mine["cold"] + mine["hot"]
    for what, a, b, unit in (("top 10, ms a query", mine["ask"], other["ask"], 1e3 / len(queries)),
                             ("bytes of the index, MB", size, other["size"], 1e-6),
                             ("indexing, s", mine["build"], other["build"], 1)):
        print(f"| {what} | {a * unit:.3f} | {b * unit:.3f} | {a / b:.2f} |")
    print(f"\nPostings looked at by queries of at least four words: {sum(s for s, _ in long) / sum(p for _, p in long):.1%}. "
          f"Of the ten best rows of {compared} queries without ties, {same:.1%} are tantivy's too.")


if __name__ == "__main__":
    main()
