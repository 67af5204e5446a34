#!/usr/bin/env python3
"""Compares Dipper's text index with tantivy's, both in memory and on one thread: time by kind of query, bytes, and the rows they find.

    make bench WHAT=words                  (or WHAT=words ARGS="--copies 16", ARGS="--texts FILE")

The texts are the packages that `apt-cache dumpavail` lists, as `make demo` indexes them; with --texts, the lines of a file. A query is
the OR of different words: all words of one of 400 summaries or lines and of the demo's questions, and one, two or three words of 200
others each. Words are runs of letters and digits, cut before the clock starts. With --copies, each text is there so often, each
time without a fifth of its words.

tantivy is its Rust crate, driven by bench/tantivy_words: one segment in memory, with frequencies and no positions. It counts exact
lengths for the average, and Dipper counts the lengths of their one-byte code, so scores differ by a part in a hundred; the script
prints how many of the ten best rows agree, but for rows that tie. The two programs take turns, and a query's time is the least of all
turns.
"""
import argparse
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time

import first_stage
import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
BEST = 10
FREQUENT = 1 / 20  # a frequent word is in so many of the texts
KINDS = (("1 word", lambda query, often: len(query) == 1), ("2 words", lambda query, often: len(query) == 2),
         ("3 words", lambda query, often: len(query) == 3), ("4 to 7 words", lambda query, often: 4 <= len(query) < 8),
         ("8 words and more", lambda query, often: len(query) >= 8),
         ("with a frequent word", lambda query, often: any(word in often for word in query)),
         ("without one", lambda query, often: not any(word in often for word in query)), ("all", lambda query, often: True))


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def corpus(args):
    """The words of the texts, and those of the queries."""
    demo, rng = first_stage.demo_module(), random.Random(3)
    if args.texts:
        texts = args.texts.read_text(encoding="utf-8").splitlines()
        asked = rng.sample(texts, 1000)
    else:
        rows = list(demo.packages())
        texts, asked = [row["text"] for row in rows], [row["summary"] for row in rng.sample(rows, 1000)]
    asked += [question for question, _ in demo.package_questions()]
    queries = [list(dict.fromkeys(words(text))) for text in asked]
    queries = [rng.sample(query, min(len(query), i // 200 + 1)) if i < 600 else query for i, query in enumerate(queries)]
    texts = [words(text) for text in texts]
    if args.copies > 1:
        texts = [[word for word in text if rng.random() >= 0.2] for _ in range(args.copies) for text in texts]
    return texts, [query for query in queries if query]


def run(program, folder, turns):
    done = subprocess.run([program, folder / "texts", folder / "queries", str(turns)], check=True, capture_output=True, text=True)
    figures, *answers = map(json.loads, done.stdout.splitlines())
    return figures, answers


def both(args, texts, queries):
    """[(figures, answers)] of Dipper and of tantivy; a query's "ns" is the least of all turns."""
    programs = (args.build / "bench" / "bench_words", args.build / "bench" / "tantivy" / "release" / "tantivy_words")
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, lines in (("texts", texts), ("queries", queries)):
            (folder / file).write_text("".join(" ".join(line) + "\n" for line in lines), encoding="utf-8")
        for turn in range(args.turns):
            for i, program in enumerate(programs):
                figures, answers = run(program, folder, 3)
                if turn == 0:
                    found.append((figures, answers))
                    continue
                found[i][0]["build"] = min(found[i][0]["build"], figures["build"])
                for known, new in zip(found[i][1], answers):
                    known["ns"] = min(known["ns"], new["ns"])
    return found


def agreement(mine, theirs):
    """The share of our best rows that the other has too, where neither has ties for the last place."""
    same = total = 0
    for a, b in zip(mine, theirs):
        if len(b["rows"]) < BEST or len({score for _, score in a["rows"]}) < len(a["rows"]):
            continue
        same += len({row for row, _ in a["rows"]} & {row for row, _ in b["rows"]})
        total += len(a["rows"])
    return same / total if total else 1.0, total // BEST


def report(args):
    texts, queries = corpus(args)
    load = os.getloadavg()[0]
    (mine, ours), (other, theirs) = both(args, texts, queries)
    counts = {}
    for text in texts:
        for word in set(text):
            counts[word] = counts.get(word, 0) + 1
    often = {word for word, count in counts.items() if count > FREQUENT * len(texts)}
    yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {machine.processor()}, {machine.system()}, load average {load:.1f} to {os.getloadavg()[0]:.1f}. Dipper"
           f" {machine.commit(TOP)}, tantivy 0.27.0 ({other['segments']} segment), {args.turns} turns.\n")
    yield f"{len(texts):,} texts, {sum(map(len, texts)):,} words, {len(queries):,} queries:\n"
    yield "| queries | how many | Dipper, µs | tantivy, µs | tantivy's time by ours | postings looked at |\n|---|---:|---:|---:|---:|---:|"
    for name, belongs in KINDS:
        of = [i for i, query in enumerate(queries) if belongs(query, often)]
        if not of:
            continue
        a, b = (sum(answers[i]["ns"] for i in of) / len(of) / 1e3 for answers in (ours, theirs))
        looked = sum(ours[i]["scored"] for i in of) / max(sum(ours[i]["postings"] for i in of), 1)
        yield f"| {name} | {len(of)} | {a:,.1f} | {b:,.1f} | {b / a:.2f} | {looked:.1%} |"
    size = mine["cold"] + mine["hot"]
    yield "\n| | Dipper | tantivy | Dipper's by tantivy's |\n|---|---:|---:|---:|"
    yield f"| bytes of the index, MB | {size / 1e6:.3f} | {other['size'] / 1e6:.3f} | {size / other['size']:.2f} |"
    yield f"| indexing, s | {mine['build']:.3f} | {other['build']:.3f} | {mine['build'] / other['build']:.2f} |"
    same, compared = agreement(ours, theirs)
    yield f"\nOf the ten best rows of {compared} queries without ties, {same:.1%} are tantivy's too."


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    options.add_argument("--build", type=pathlib.Path, default=TOP / "build", help="build folder (default build)")
    options.add_argument("--copies", type=int, default=1)
    options.add_argument("--texts", type=pathlib.Path, help="a file with a text in each line, in place of the packages")
    options.add_argument("--turns", type=int, default=3, help="how often each program runs (default 3)")
    for line in report(options.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
