#!/usr/bin/env python3
"""Compares cold and filtered queries of a namespace with LanceDB's, and hybrid ones with curl fetching the same ranges.

    make bench WHAT=lance [WRITE=1]

or, after its preparations (docs/benchmarks/lance.md):

    build/bench-venv/bin/python bench/lance_vs.py [--rounds 9] [--delay 30] [--write]

The rows are the packages of `make demo`, with their texts, sections, and a number from 0 to 99 drawn at random; the questions are the
demo's and bench/package_questions.txt. Both programs get the same vectors. bench/slow_store serves both from one folder as a bucket of
S3, and delays each answer. Bytes and requests are what it sent: they are counted in a run without a delay. Each turn opens the table or
namespace anew, with new connections and nothing cached. The script makes the data once, in build/bench/lance/.
"""
import argparse
import http.client
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from importlib.metadata import version

import lancedb
import numpy as np
import orjson
import pyarrow

import faiss_vs
import first_stage
import machine
from faiss_vs import BUCKET, K, ratio, recall, timed

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "lance.md"
BEGIN, END = "<!-- what bench/lance_vs.py printed begins -->\n", "<!-- what bench/lance_vs.py printed ends -->\n"
DATA = TOP / "build" / "bench" / "lance"
PROBES = (4, 8, 12, 16, 24, 32, 40, 48, 64, 96)
# Each kind of LanceDB's index: its partitions, its options, and the refine factors to try.
KINDS = {"IVF_RQ": (256, {}, (5, 10)), "IVF_HNSW_SQ": (16, {}, (0,)), "IVF_PQ": (256, {"num_sub_vectors": 96}, (5,)), "IVF_SQ": (256, {}, (0,)),
         "IVF_FLAT": (256, {}, (0,))}
PLAN_DELAY, PLAN_ROUNDS, PLAN_TRIES = 2000, 5, 5  # milliseconds; a round of more than 128 requests leaves in two
# Filters: a name, ours, LanceDB's, and the rows that match.
FILTERS = (("number < 10", ["number", "Lt", 10], "number < 10", lambda rows: rows.number < 10),
           ("number = 7", ["number", "Eq", 7], "number = 7", lambda rows: rows.number == 7),
           ("section = 'games'", ["section", "Eq", "games"], "section = 'games'", lambda rows: rows.section == "games"))


class Rows:
    """The rows, the questions, and the ten best rows of each question."""

    def __init__(self, args):
        demo = first_stage.demo_module()
        packages = list(demo.packages())
        self.text = [row["text"] for row in packages]
        self.section = np.array([row["section"] for row in packages])
        self.number = np.random.default_rng(3).integers(0, 100, len(packages))
        self.questions = [text for text, _ in demo.package_questions()]
        self.questions += (TOP / "bench" / "package_questions.txt").read_text(encoding="utf-8").splitlines()
        self.x = first_stage.embedded(args, "packages", self.text)
        self.q = first_stage.embedded(args, "package-questions", self.questions)

    def best(self, mask, count):
        chosen = np.flatnonzero(mask)
        return [chosen[np.argsort(-(self.x[chosen] @ q), kind="stable")[:K]] for q in self.q[:count]]


class Store:
    """bench/slow_store over the data, with a delay of its answers. `aim` sends both programs to it."""

    def __init__(self, build, delay):
        self.process = subprocess.Popen([build / "bench" / "slow_store", DATA, BUCKET, str(delay)], stdout=subprocess.PIPE, text=True)
        self.endpoint = self.process.stdout.readline().strip()

    def aim(self, lance):
        os.environ.update(S3_ENDPOINT_URL=self.endpoint, AWS_ACCESS_KEY_ID="bench", AWS_SECRET_ACCESS_KEY="bench-secret",
                          AWS_REGION="us-east-1", no_proxy="*")
        lance.options = {"endpoint": self.endpoint, "aws_access_key_id": "bench", "aws_secret_access_key": "bench-secret",
                         "region": "us-east-1", "allow_http": "true"}

    def counts(self, method="GET"):
        """(bytes, requests) since the counts were reset by the method DELETE."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(f"{self.endpoint}/_counts", method=method)) as answer:
            told = json.loads(answer.read() or "{}")
        return told.get("bytes", 0), told.get("requests") or []

    def stop(self):
        self.process.terminate()
        self.process.wait()


def rounds_of(requests):
    """The requests as lists: a request is of the round after the last one whose answer was complete when it came."""
    rounds, done = [], []
    for request in sorted(requests, key=lambda r: r["begun"]):
        level = max((of for of, end in done if end < request["begun"]), default=-1) + 1
        done.append((level, request["done"]))
        while len(rounds) <= level:
            rounds.append([])
        rounds[level].append(request)
    return rounds


# ---- the programs ----

class Dipper:
    """Namespaces through `dipper serve`: `words` has a text index, `plain` has the same texts without one."""

    def __init__(self, args, rows):
        self.build, self.rows, self.folder = args.build, rows, DATA / "dipper"
        self.server = self.connection = None

    def make(self):
        if self.folder.exists():
            return
        for name, text in (("words", "text"), ("plain", "description")):
            with tempfile.NamedTemporaryFile(suffix=".jsonl") as out:
                for i, vector in enumerate(self.rows.x):
                    row = {"id": i, text: self.rows.text[i], "section": str(self.rows.section[i]), "number": self.rows.number[i],
                           "vector": vector}
                    out.write(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE))
                out.flush()
                subprocess.run([self.build / "dipper", "index", name, out.name, "--root", self.folder], check=True,
                               stdout=subprocess.DEVNULL)

    def start(self):
        """Starts a server that has not opened the namespace yet, and returns when it listens."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.server = subprocess.Popen([self.build / "dipper", "serve", "--root", f"s3://{BUCKET}/dipper", "--listen", f"127.0.0.1:{port}"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        self.connection = http.client.HTTPConnection("127.0.0.1", port)

    def close(self, _):
        self.connection.close()
        self.server.terminate()
        self.server.wait()

    def request(self, i, how, filters):
        """The i-th question as a query. how: meaning, words or hybrid."""
        lanes = {"meaning": {"rank_by": ["vector", "ANN", self.rows.q[i].tolist()]},
                 "words": {"rank_by": ["text", "BM25", self.rows.questions[i]]}}
        if how != "hybrid":
            return lanes[how] | {"top_k": K} | ({"filters": filters} if filters else {})
        return {"queries": [lane | {"top_k": 50} for lane in lanes.values()], "rerank_by": ["RRF"], "limit": K}

    def ask(self, namespace, i, how="meaning", filters=None):
        """(ids, performance)"""
        self.connection.request("POST", f"/v2/namespaces/{namespace}/query", json.dumps(self.request(i, how, filters)))
        answer = self.connection.getresponse()
        told = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"Dipper: {told}")
        found = told["rows"] if "rows" in told else told["results"][0]["rows"]
        return [row["id"] for row in found], told["performance"]


class Lance:
    """A table for each kind of index, all with an index of the texts and bitmap indexes of both attributes."""

    def __init__(self, rows, kinds):
        self.rows, self.kinds, self.folder, self.settings, self.options = rows, kinds, DATA / "lance", {}, None

    def make(self):
        """Makes the tables: first one without an index of vectors, then a copy of it for each kind."""
        if not (self.folder / "base.all").exists():
            x = self.rows.x
            table = pyarrow.table({
                "id": pyarrow.array(range(len(x))), "text": self.rows.text, "section": self.rows.section.tolist(), "number": self.rows.number,
                "vector": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(x.ravel()), x.shape[1])})
            made = lancedb.connect(self.folder).create_table("base", table, mode="overwrite")
            self.note_size("base", "data")
            for column in ("section", "number"):
                made.create_scalar_index(column, index_type="BITMAP")
            made.create_fts_index("text")
            self.note_size("base", "all")
        for kind in self.kinds:
            partitions, more, _ = KINDS[kind]
            if not (self.folder / f"{kind}.all").exists():
                shutil.rmtree(self.folder / f"{kind}.lance", ignore_errors=True)
                shutil.copytree(self.folder / "base.lance", self.folder / f"{kind}.lance")
                lancedb.connect(self.folder).open_table(kind).create_index(
                    metric="dot", vector_column_name="vector", index_type=kind, num_partitions=partitions, **more)
                self.note_size(kind, "all")

    def note_size(self, name, what):
        size = sum(p.stat().st_size for p in (self.folder / f"{name}.lance").rglob("*") if p.is_file())
        (self.folder / f"{name}.{what}").write_text(str(size), encoding="ascii")

    def size(self, name, what):
        return int((self.folder / f"{name}.{what}").read_text(encoding="ascii"))

    def settle(self, truth):
        """The fewest probes of each kind that reach a recall@10 of 0.95: settings[kind] = (nprobes, refine, recall)."""
        for kind in self.kinds:
            partitions, _, refines = KINDS[kind]
            table = lancedb.connect(self.folder).open_table(kind)
            tried = [(n, r) for n in PROBES for r in refines if n <= partitions]
            for nprobe, refine in tried:
                self.settings[kind] = (nprobe, refine, 0)
                reached = recall([self.ask(table, kind, i)[0] for i in range(len(truth))], truth)
                self.settings[kind] = (nprobe, refine, reached)
                if reached >= 0.95:
                    break

    def words(self, kind):
        nprobe, refine, _ = self.settings[kind]
        partitions, more, _ = KINDS[kind]
        return f"{kind}, {partitions} partitions" + "".join(f", {k} {v}" for k, v in more.items()) + f", nprobes {nprobe}" + (
            f", refine {refine}" if refine else "")

    def open(self, kind):
        return lancedb.connect(f"s3://{BUCKET}/lance", storage_options=self.options).open_table(kind)

    def ask(self, table, kind, i, how="meaning", where=None):
        nprobe, refine, _ = self.settings[kind]
        if how == "words":
            asked = table.search(self.rows.questions[i], query_type="fts")
        elif how == "hybrid":
            asked = table.search(query_type="hybrid", vector_column_name="vector").vector(self.rows.q[i]).text(self.rows.questions[i])
        else:
            asked = table.search(self.rows.q[i], vector_column_name="vector")
        if how != "words":
            asked = asked.metric("dot") if how == "meaning" else asked.distance_type("dot")
            asked = asked.nprobes(nprobe)
            asked = asked.refine_factor(refine) if refine else asked
        if where:
            asked = asked.where(where, prefilter=True)
        return asked.limit(K).select(["id"]).to_arrow()["id"].to_numpy().tolist(), None


# ---- what is asked ----

class Case:
    """A way to ask: `start` is not timed, then opens with `open`, asks question i with `ask`, ends with `close`."""

    def __init__(self, name, start, opened, ask, close):
        self.name, self.start, self.open, self.ask, self.close = name, start, opened, ask, close

    def first_and_next(self, i, other):
        """Milliseconds of opening with question i, and then of the other question."""
        handle = []
        self.start()

        def first():
            handle.append(self.open())
            self.ask(handle[0], i)
        took = timed(first), timed(lambda: self.ask(handle[0], other))
        self.close(handle[0])
        return took


def cases(dipper, lance, kinds, how, name, filters=None, where=None):
    found = [Case(f"Dipper{name}", dipper.start, lambda: "words", lambda handle, i: dipper.ask(handle, i, how, filters), dipper.close)]
    for kind in kinds:
        found.append(Case(f"LanceDB {lance.words(kind)}{name}", lambda: None, lambda kind=kind: lance.open(kind),
                          lambda handle, i, kind=kind: lance.ask(handle, kind, i, how, where), lambda handle: None))
    return found


def counted(store, lance, every, questions):
    """{name: (answers, bytes, requests, bytes of the next question)}, means over the questions, each asked of a case just opened."""
    counts = {}
    store.aim(lance)
    for case in every:
        answers, of = [], []
        for i in range(questions):
            case.start()
            store.counts("DELETE")
            handle = case.open()
            answers.append(case.ask(handle, i)[0])
            size, requests = store.counts()
            case.ask(handle, (i + 7) % questions)
            of.append((size, len(requests), store.counts()[0] - size))
            case.close(handle)
        counts[case.name] = (answers, *(statistics.mean(column) for column in zip(*of)))
    return counts


def turns(every, rounds, questions):
    """{name: ([ms of the first question], [ms of the next])}: every case once a round, each round from another one on."""
    took = {case.name: ([], []) for case in every}
    for number in range(-1, rounds):
        for at in range(len(every)):
            case = every[(at + number) % len(every)]
            times = case.first_and_next(number * 7 % questions, (number * 7 + 3) % questions)
            if number >= 0:  # the first round warms the store
                for column, ms in zip(took[case.name], times):
                    column.append(ms)
    return took


def table(stores, lance, every, truth, args):
    counts = counted(stores[0], lance, every, len(truth))
    stores[1].aim(lance)
    took = turns(every, args.rounds, len(truth))
    yield "| | recall@10 | kB | requests | open + first query, ms | least–most | the next query, ms | its kB |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for case in every:
        answers, size, requests, more = counts[case.name]
        first, after = took[case.name]
        reached = statistics.mean(len(set(a) & set(b.tolist())) / max(len(b), 1) for a, b in zip(answers, truth))
        yield (f"| {case.name} | {reached:.3f} | {size / 1e3:,.0f} | {requests:.0f} | {statistics.median(first):.1f} | {min(first):.1f}–"
               f"{max(first):.1f} | {statistics.median(after):.1f} | {more / 1e3:,.0f} |")
    ours, theirs = every[0].name, [case.name for case in every[1:]]
    least = min(theirs, key=lambda name: counts[name][1])
    fast = min(theirs, key=lambda name: statistics.median(took[name][0]))
    later = min(theirs, key=lambda name: statistics.median(took[name][1]))
    yield (f"\nDipper reads **{counts[ours][1] / counts[least][1]:.2f}×** the bytes of the LanceDB index that reads least ({least.split(',')[0]}). Opening and"
           f" the first query: {ratio(took[fast][0], took[ours][0], 1)} as fast as LanceDB's fastest ({fast.split(',')[0]}); the next query:"
           f" {ratio(took[later][1], took[ours][1], 1)} ({later.split(',')[0]}).")


# ---- a hybrid query against curl ----

def curl_time(rounds, store):
    """Milliseconds of `curl --parallel` over the ranges of each round in turn, less curl's start each time."""
    took = 0
    for requests in rounds:
        with tempfile.NamedTemporaryFile("w", suffix=".curl") as config:
            for request in requests:
                span = f'range = "{request["range"].removeprefix("bytes=")}"\n' if request["range"] else ""
                config.write(f'next\nurl = "{store.endpoint}{request["target"]}"\n{span}output = "/dev/null"\nsilent\nhttp1.1\nnoproxy = "*"\n')
            config.flush()
            took += timed(lambda: subprocess.run(["curl", "--no-progress-meter", "--parallel", "--parallel-immediate", "--parallel-max",
                                                  str(len(requests)), "-K", config.name], check=False))
            took -= faiss_vs.Curl.nothing()
    return took


def against_curl(store, slow, lance, dipper, args):
    """Cold hybrid queries, and curl with the ranges of the same questions, in turns. A store with a long delay tells the rounds apart."""
    ours, theirs, rounds, requests, sizes = [], [], [], [], []
    for number in range(args.rounds):
        slow.aim(lance)
        for _ in range(PLAN_TRIES):  # a busy machine sends a round's last requests after the first answers
            slow.counts("DELETE")
            cold(dipper, number * 7)
            size, asked = slow.counts()
            plan = rounds_of(asked)
            if len(plan) <= PLAN_ROUNDS:
                break
        store.aim(lance)
        for work in (lambda: ours.append(cold(dipper, number * 7)), lambda: theirs.append(curl_time(plan, store)))[::1 if number % 2 else -1]:
            work()
        for column, figure in ((rounds, len(plan)), (requests, len(asked)), (sizes, size / 1e6)):
            column.append(figure)
    yield (f"{statistics.median(rounds):.0f} rounds ({min(rounds)} to {max(rounds)}) with {statistics.median(requests):.0f} requests,"
           f" {statistics.median(sizes):.2f} MB.\n")
    yield "| | ms | least–most |\n|---|---:|---:|"
    yield faiss_vs.row("Dipper, opening and a hybrid query", ours)
    yield faiss_vs.row("curl --parallel, once a round, less its start", theirs)
    yield f"\nDipper takes {ratio(ours, theirs)} of curl's time."


def cold(dipper, i):
    dipper.start()
    took = timed(lambda: dipper.ask("words", i, "hybrid"))
    dipper.close(None)
    return took


# ---- the report ----

def sizes(dipper, lance, rows):
    """Bytes a row in the bucket."""
    yield "| | without indexes of texts and attributes | with them |\n|---|---:|---:|"
    ours = [sum(p.stat().st_size for p in (dipper.folder / name).rglob("*") if p.is_file()) for name in ("plain", "words")]
    yield f"| Dipper (with columns of the attributes in both) | {ours[0] / len(rows.x):,.0f} | {ours[1] / len(rows.x):,.0f} |"
    for kind in lance.kinds:
        both = lance.size(kind, "all")
        alone = both - lance.size("base", "all") + lance.size("base", "data")
        yield f"| LanceDB {kind} | {alone / len(rows.x):,.0f} | {both / len(rows.x):,.0f} |"


def report(args):
    DATA.mkdir(parents=True, exist_ok=True)
    rows = Rows(args)
    dipper, lance = Dipper(args, rows), Lance(rows, args.kinds)
    dipper.make()
    lance.make()
    truth = rows.best(np.ones(len(rows.x), bool), args.questions)
    lance.settle(truth)
    stores = [Store(args.build, delay) for delay in (0, args.delay, PLAN_DELAY)]
    try:
        others, load = machine.Others(), os.getloadavg()[0]
        yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {machine.processor()}, {os.cpu_count()} processors, {machine.system()}. Dipper"
               f" {machine.commit(TOP)}, LanceDB {version('lancedb')}; all on one machine, each answer delayed by"
               f" {args.delay} ms; {args.rounds} repetitions. {len(rows.x):,} rows × {rows.x.shape[1]}; recall, bytes and requests over"
               f" {args.questions} questions.")
        yield "\n### By meaning\n"
        yield from table(stores, lance, cases(dipper, lance, args.kinds, "meaning", ""), truth, args)
        best = args.kinds[:2]
        yield "\n### Hybrid\n\nThe column of recall compares with the ten best by meaning, so it only shows that the rankings differ.\n"
        yield from table(stores, lance, cases(dipper, lance, best, "hybrid", ""), truth, args)
        for name, ours, theirs, mask in FILTERS:
            yield f"\n### By meaning where {name}, {mask(rows).mean():.1%} of the rows\n"
            yield from table(stores, lance, cases(dipper, lance, best, "meaning", "", ours, theirs), rows.best(mask(rows), args.questions), args)
        yield "\n### A cold hybrid query against curl\n"
        yield from against_curl(*stores[1:], lance, dipper, args)
        yield "\n### Bytes in the bucket for each row\n"
        yield from sizes(dipper, lance, rows)
        yield f"\nLoad average at the beginning {load:.2f}; others, the store among them, used {others.share():.0%} of the processors."
    finally:
        for store in stores:
            store.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path, help="the build folder with dipper")
    parser.add_argument("--rounds", default=9, type=int)
    parser.add_argument("--questions", default=40, type=int)
    parser.add_argument("--kinds", default=list(KINDS), type=lambda t: t.split(","), help="LanceDB's indexes (default all); filters and hybrid take the first two")
    parser.add_argument("--delay", default=30, type=int, help="delay of each answer, in milliseconds")
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE",
                        help=f"put the tables into a page too ({PAGE.relative_to(TOP)})")
    args = parser.parse_args()
    args.build = args.build.resolve()
    machine.print_report(report(args), args.write, BEGIN, END)


if __name__ == "__main__":
    main()
