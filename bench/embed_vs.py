#!/usr/bin/env python3
"""Compares embedding with ONNX Runtime, sentence-transformers and the `tokenizers` package, all in one process.

    make bench WHAT=embed [TORCH=1] [WRITE=1]

or, after its preparations (docs/benchmarks/embedding.md):

    build/bench-venv/bin/python bench/embed_vs.py [--rounds 5] [--peers onnx,torch,tokenizers] [--write]

Each round runs every engine once, and begins with another engine than the round before. The figure of a turn is its median
(one text at a time) or its rate (many texts). The figure in a table is the median over the rounds, with the
minimum and the maximum. A ratio is the median of the rounds' ratios. The script prints Markdown; --write also puts it into
docs/benchmarks/embedding.md. It takes five minutes with all peers.
"""
import argparse
import gc
import os
import pathlib
import statistics
import sys
import time

import numpy as np

import machine
from peers import Dipper, Library, OnnxRuntime, SentenceTransformers, load_tokenizer, settle

TOP = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "examples" / "cranfield"))
import cranfield  # noqa: E402

PAGE = TOP / "docs" / "benchmarks" / "embedding.md"
BEGIN, END = "<!-- what bench/embed_vs.py printed begins -->\n", "<!-- what bench/embed_vs.py printed ends -->\n"
BATCHES = (1, 2, 4, 8, 16, 32)
LINEAR_OPS = 21233664  # per token of all-MiniLM-L6-v2, as `dipper bench embed` counts them


def timed(work, *arguments):
    begin = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begin


def thread_counts(most):
    """Returns 1, 2, 4, … up to the maximum, and the maximum."""
    return sorted({1 << n for n in range(most.bit_length()) if 1 << n <= most} | {most})


class Entry:
    """An engine in a contest. It keeps one figure for each round: the seconds for one text, or for all texts."""

    def __init__(self, engine, many):
        self.engine, self.whole, self.alone = engine, [], []
        self.setting = engine.setting + (f", batches of {engine.batch}" if many and hasattr(engine, "batch") else "")


class Contest:
    """Engines that do the same work. many: all texts at once; otherwise one at a time."""

    def __init__(self, title, engines, texts, many):
        self.title, self.texts, self.many = title, texts, many
        self.entries = [Entry(engine, many) for engine in engines]

    def turn(self, entry):
        engine = entry.engine
        settle()
        engine.begin()
        engine.embed(self.texts[:1])
        if self.many:
            entry.whole.append(timed(engine.embed, self.texts))
        else:
            entry.whole.append(statistics.median(timed(engine.embed, [text]) for text in self.texts))
        if not hasattr(engine, "prepare"):
            return
        settle()
        if self.many:
            feeds = engine.prepare(self.texts)
            engine.run_alone(feeds[:1])
            entry.alone.append(timed(engine.run_alone, feeds))
        else:
            feeds = [engine.prepare([text]) for text in self.texts]
            engine.run_alone(feeds[0])
            entry.alone.append(statistics.median(timed(engine.run_alone, feed) for feed in feeds))

    def round(self, number):
        for i in range(len(self.entries)):
            self.turn(self.entries[(i + number) % len(self.entries)])

    def figure(self, seconds):
        """The figure in the table: milliseconds per text, or texts per second."""
        return f"{len(self.texts) / seconds:.1f}" if self.many else f"{seconds * 1e3:.3f}"

    def table(self, tokens, peak, threads):
        """Yields Markdown. tokens: of all texts; peak: machine.peak's results for one thread and for `threads`."""
        unit = "texts/s" if self.many else "p50 ms"
        yield f"| engine | setting | {unit} | least–most | engine's run alone |" + (" of peak |" if self.many else "")
        yield "|---|---|---:|---:|---:|" + ("---:|" if self.many else "")
        for entry in self.entries:
            spread = "–".join(sorted((self.figure(min(entry.whole)), self.figure(max(entry.whole))), key=float))
            median = statistics.median(entry.whole)
            alone = self.figure(statistics.median(entry.alone)) if entry.alone else ""
            unit = "int8_gops" if entry.engine.name.endswith("int8") else "fp32_gflops"
            most = peak[unit if threads > 1 else unit + "_1_thread"]
            share = f" {tokens * LINEAR_OPS / median / most * 1e-9:.0%} |" if self.many else ""
            yield (f"| {entry.engine.name} | {entry.setting} | {self.figure(median)} | {spread} | {alone} |{share}")

    def best(self, name, threads=None):
        """The engine's entry with the smallest median; if `threads` is given, only among entries with as many threads."""
        found = [e for e in self.entries if e.engine.name == name and threads in (None, e.engine.threads)]
        return min(found, key=lambda e: statistics.median(e.whole)) if found else None

    def ratios(self, title, threads=None):
        """A row for each of our precisions against each peer."""
        peers = dict.fromkeys(e.engine.name for e in self.entries if not e.engine.name.startswith("Dipper"))
        for ours in ("Dipper int8", "Dipper fp32"):
            for theirs in peers:
                mine, other = self.best(ours, threads), self.best(theirs, threads)
                if mine and other and not (ours.endswith("fp32") and theirs.endswith("int8")):
                    yield (f"| {title} | {ours} | {theirs} | {ratio(other.whole, mine.whole)} |"
                           f" {ratio(other.alone, mine.whole) if other.alone else ''} |")


def ratio(theirs, ours):
    rounds = [a / b for a, b in zip(theirs, ours)]
    return f"**{statistics.median(rounds):.2f}×** ({min(rounds):.2f}–{max(rounds):.2f})"


def choose(engines, texts, words):
    """Returns the fastest engine, with its best batch size. Appends a line to `words` that says what was tried."""
    tried = []
    for engine in engines:
        for batch in BATCHES:
            engine.batch = batch
            settle()
            engine.begin()
            engine.embed(texts[:batch])
            tried.append((len(texts) / min(timed(engine.embed, texts) for _ in range(2)), engine, batch))
    best = max(tried, key=lambda t: t[0])
    best[1].batch = best[2]
    words.append(f"{best[1].name}, " + "; ".join(
        f"{engine.setting}: " + ", ".join(f"{batch} → {rate:.0f}" for rate, of, batch in tried if of is engine)
        for engine in engines))
    for engine in engines:
        if engine is not best[1]:
            engine.close()
    return best[1]


# ---- the contests ----

class Texts:
    def __init__(self, count):
        self.queries = cranfield.queries()
        self.documents = [text for _, _, text in cranfield.documents() if text]
        lengths = dict(zip(self.queries, count(self.queries)))
        self.twelve = [q for q in self.queries if lengths[q] == 12]


def make_contests(args, library, words):
    """The contests, and the texts they use."""
    most, model = args.threads, args.model
    counts = thread_counts(most)
    ours = {(p, t): Dipper(library, model, p, t) for p in ("int8", "fp32") for t in counts}
    counter = ours["int8", 1]
    texts = Texts(lambda batch: np.diff(counter.tokenize(batch)[1].astype(np.int64), prepend=0))
    theirs, apart, together = [], [], []
    few = spread_out(texts.documents, args.documents // 2)
    if "onnx" in args.peers:
        for p in ("int8", "fp32"):
            theirs += [OnnxRuntime(args.onnx, p, t) for t in counts]
            apart.append(choose([OnnxRuntime(args.onnx, p, 1)], few, words))
            engines = [OnnxRuntime(args.onnx, p, most)]
            if most > 1:
                engines.append(OnnxRuntime(args.onnx, p, 1, sessions=most))
            together.append(choose(engines, few, words))
    if "torch" in args.peers:
        theirs += [SentenceTransformers(model, t) for t in counts]
        together.append(choose([SentenceTransformers(model, most)], few, words))

    one = [ours[p, 1] for p in ("int8", "fp32")]
    all_of_them = [ours[p, most] for p in ("int8", "fp32")]
    return texts, [
        Contest("A query of 12 tokens, one at a time", list(ours.values()) + theirs,
                (texts.twelve * 60)[:args.texts], False),
        Contest("Cranfield queries, one at a time", list(ours.values()) + theirs,
                spread_out(texts.queries, args.texts), False),
        Contest("Cranfield documents, all at once, 1 thread", one + apart,
                spread_out(texts.documents, args.documents // 2), True),
        Contest(f"Cranfield documents, all at once, {most} threads", all_of_them + together,
                spread_out(texts.documents, args.documents), True),
    ]


def ratio_rows(contests):
    query, cranfield_query, apart, together = contests
    yield from query.ratios("12-token query, 1 thread each", 1)
    yield from query.ratios("12-token query, best thread count of each")
    yield from cranfield_query.ratios("Cranfield query, 1 thread each", 1)
    yield from cranfield_query.ratios("Cranfield query, best thread count of each")
    yield from apart.ratios("documents, 1 thread each")
    yield from together.ratios("documents, all cores, best batch and threads of each")


def spread_out(texts, count):
    """`count` of the texts, evenly spaced; or all."""
    count = min(count, len(texts))
    return [texts[i * len(texts) // count] for i in range(count)]


def accuracy_rows(contests, texts, args):
    """Compares each engine's vectors with the reference: the first of these engines, in fp32, that takes part."""
    sample = spread_out(texts.queries, 3 * args.texts) + spread_out(texts.documents, 2 * args.documents)
    engines = {entry.engine.name: entry.engine for entry in contests[-1].entries}
    reference = next(n for n in ("sentence-transformers", "ONNX Runtime fp32", "Dipper fp32") if n in engines)
    vectors = {}
    for name, engine in engines.items():
        engine.begin()
        vectors[name] = engine.embed(sample)
    yield f"| cosine with {reference}, {len(sample)} texts | least | mean |"
    yield "|---|---:|---:|"
    for name in engines:
        if name != reference:
            cosines = (vectors[name] * vectors[reference]).sum(1)
            yield f"| {name} | {cosines.min():.6f} | {cosines.mean():.6f} |"


def tokenizer_rows(ours, texts, args):
    """Compares the tokenizers on one thread, the package with each of its three functions."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    package = load_tokenizer(args.model)
    corpus = texts.documents + texts.queries
    ways = {"Dipper, dp_tokenize": lambda: ours.tokenize(corpus),
            "tokenizers, encode": lambda: [package.encode(text).ids for text in corpus],
            "tokenizers, encode_batch": lambda: [e.ids for e in package.encode_batch(corpus)],
            "tokenizers, encode_batch_fast": lambda: [e.ids for e in package.encode_batch_fast(corpus)]}
    ids, ends = ours.tokenize(corpus)
    expected = ways["tokenizers, encode"]()
    different = sum(list(found) != want for found, want in zip(np.split(ids, ends[:-1].astype(np.int64)), expected))
    seconds = {way: [] for way in ways}
    for _ in range(args.rounds):
        for way, work in ways.items():
            seconds[way].append(timed(work))
    mb, tokens = sum(len(text.encode()) for text in corpus) * 1e-6, len(ids)
    yield f"| one thread, {len(corpus)} texts, {mb:.2f} MB | MB/s | tokens/s | Dipper is faster |"
    yield "|---|---:|---:|---:|"
    for way in ways:
        median = statistics.median(seconds[way])
        against = ratio(seconds[way], seconds["Dipper, dp_tokenize"]) if way[0] != "D" else ""
        yield f"| {way} | {mb / median:.1f} | {tokens / median:,.0f} | {against} |"
    yield f"\nTexts with other token ids than the package's: {different}."


def versions(args, library):
    from importlib.metadata import version
    names = {"onnx": ["onnxruntime"], "torch": ["sentence-transformers", "torch"], "tokenizers": ["tokenizers"]}
    found = [f"Dipper {library.version} ({machine.commit(TOP)})"]
    found += [f"{name} {version(name)}" for peer in args.peers for name in names[peer]]
    return ", ".join(found + [f"Python {sys.version.split()[0]}"])


def report(args):
    library, words = Library(args.build), []
    started = time.strftime("%Y-%m-%d", time.gmtime())
    peak = machine.peak(args.build, args.threads)
    print("trying batch sizes", file=sys.stderr)
    texts, contests = make_contests(args, library, words)
    gc.collect()
    gc.disable()
    others, load = machine.Others(), os.getloadavg()[0]
    for number in range(args.rounds):
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
        for contest in contests:
            contest.round(number)
    share = others.share()

    counter = contests[0].entries[0].engine
    yield (f"{started}: {machine.processor()}, {args.threads} of {os.cpu_count()} processors ({machine.caches()}),"
           f" {machine.system()}. {versions(args, library)}.")
    yield (f"\n`dipper bench peak`: {peak['name']}, {peak['int8_gops_1_thread']:.0f} GOPS int8 and"
           f" {peak['fp32_gflops_1_thread']:.0f} GFLOPS fp32 with one thread, {peak['int8_gops']:.0f} and"
           f" {peak['fp32_gflops']:.0f} with {args.threads}.")
    yield (f"\n{args.rounds} repetitions. Load average at the start {load:.2f}; meanwhile other programs used"
           f" {share:.0%} of the processors.")
    if share > 0.02:
        yield "**The machine was not quiet: these figures are not to be quoted.**"
    if args.peers:
        yield "\n### How many times as fast\n"
        yield "| what | ours | theirs | as a user calls it | against the engine's run alone |"
        yield "|---|---|---|---:|---:|"
        yield from ratio_rows(contests)
    for contest in contests:
        tokens, count = len(counter.tokenize(contest.texts)[0]), len(contest.texts)
        yield f"\n### {contest.title}\n\n{count} texts, {tokens / count:.1f} tokens on average.\n"
        yield from contest.table(tokens, peak, contest.entries[0].engine.threads)
    if words:
        yield f"\nTexts a second of every batch size tried, on {args.documents // 2} documents; the best took part:\n"
        yield from (f"- {line}" for line in words)
    yield "\n### Accuracy\n"
    yield from accuracy_rows(contests, texts, args)
    if "tokenizers" in args.peers:
        yield "\n### Tokenizing\n"
        yield from tokenizer_rows(counter, texts, args)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=TOP / "build", help="the build folder with libdipper.so and dipper")
    parser.add_argument("--model", default=TOP / "models" / "all-MiniLM-L6-v2")
    parser.add_argument("--onnx", default=TOP / "build" / "onnx" / "all-MiniLM-L6-v2", help="what export_onnx.py wrote")
    parser.add_argument("--peers", default="onnx,tokenizers", type=lambda t: [p for p in t.split(",") if p],
                        help="of onnx, torch, tokenizers; empty: Dipper alone")
    parser.add_argument("--threads", default=len(os.sched_getaffinity(0)), type=int, help="maximum number of threads")
    parser.add_argument("--rounds", default=5, type=int)
    parser.add_argument("--texts", default=75, type=int, help="texts of a turn, one at a time")
    parser.add_argument("--documents", default=100, type=int, help="documents of a turn; half of them for one thread")
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE",
                        help=f"put the tables into a page too ({PAGE.relative_to(TOP)})")
    args = parser.parse_args()
    machine.print_report(report(args), args.write, BEGIN, END)


if __name__ == "__main__":
    main()
