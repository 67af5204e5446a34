#!/usr/bin/env python3
"""Compares searching FAISS files in place with curl fetching the same ranges, and with LanceDB, all in one run.

    make bench WHAT=faiss [WRITE=1]

or, after its preparations (docs/benchmarks/faiss-in-place.md):

    build/bench-venv/bin/python bench/faiss_vs.py [--rounds 9] [--delay 30] [--write]

The files lie in MinIO, behind toxiproxy, which delays every answer by `delay` milliseconds (scripts/peers builds and starts
both). Each round runs every program once, and begins with another program than the round before. A figure is the median over the
rounds, with the minimum and the maximum; a ratio is the median of the rounds' ratios. The script prints Markdown; --write
also puts it into docs/benchmarks/faiss-in-place.md. It makes the data once, in build/bench/faiss/: embedding the packages
takes minutes, the rest one minute, the rounds two.
"""
import argparse
import ctypes
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import faiss
import numpy as np

import libdipper
import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "faiss-in-place.md"
BEGIN, END = "<!-- what bench/faiss_vs.py printed begins -->\n", "<!-- what bench/faiss_vs.py printed ends -->\n"
DATA = TOP / "build" / "bench" / "faiss"
BUCKET = "bench"
K = 10
LARGE = {"rows": 100_000, "dim": 768, "nlist": 1024, "nprobe": 16}


def load_script(path):
    """Loads a script of scripts/, whose name lacks .py, as a module."""
    loader = importlib.machinery.SourceFileLoader(pathlib.Path(path).name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


# ---- the data, made once ----

def make_large(path, shape=LARGE):
    """Vectors around one centroid for each list; times do not depend on their values."""
    if path.exists():
        return
    rng = np.random.default_rng(1)
    quantizer = faiss.IndexFlatL2(shape["dim"])
    centroids = rng.standard_normal((shape["nlist"], shape["dim"]), np.float32)
    quantizer.add(centroids)
    index = faiss.IndexIVFFlat(quantizer, shape["dim"], shape["nlist"])
    index.is_trained = True
    for begin in range(0, shape["rows"], 10_000):
        count = min(10_000, shape["rows"] - begin)
        of = rng.integers(0, shape["nlist"], count)
        index.add(centroids[of] + 0.5 * rng.standard_normal((count, shape["dim"]), np.float32))
    faiss.write_index(index, str(path))


def embed(build, texts):
    done = subprocess.run([str(pathlib.Path(build) / "dipper"), "embed"], input="\n".join(texts), capture_output=True,
                          text=True, check=True)
    return np.array([json.loads(line)["embedding"] for line in done.stdout.splitlines()], np.float32)


def packages(build):
    """(vectors of the demo's rows, vectors of 200 questions: summaries, without names and tags)."""
    vectors, questions = DATA / "packages.npy", DATA / "questions.npy"
    if not vectors.exists() or not questions.exists():
        rows = list(load_script(TOP / "scripts" / "demo").packages())
        summaries = [row["summary"] for row in rows if len(row["summary"].split()) > 4]
        np.save(questions, embed(build, summaries[::len(summaries) // 200][:200]))
        parts = []
        for begin in range(0, len(rows), 4000):
            parts.append(embed(build, [row["text"].replace("\n", " ") for row in rows[begin:begin + 4000]]))
            print(f"embedded {begin + len(parts[-1])} of {len(rows)} packages", file=sys.stderr)
        np.save(vectors, np.concatenate(parts))
    return np.load(vectors), np.load(questions)


def make_packages(path, vectors):
    if not path.exists():
        index = faiss.index_factory(vectors.shape[1], "IVF256,SQ8", faiss.METRIC_INNER_PRODUCT)
        index.train(vectors)
        index.add(vectors)
        faiss.write_index(index, str(path))


def recall(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth)]))


def least_nprobe(path, questions, truth):
    """The smallest nprobe with a recall@10 of 0.95, measured with FAISS."""
    index = faiss.read_index(str(path))
    for nprobe in range(1, index.nlist + 1):
        index.nprobe = nprobe
        reached = recall(index.search(questions, K)[1], truth)
        if reached >= 0.95:
            return nprobe, reached
    raise RuntimeError("no nprobe reaches recall@10 of 0.95")


# ---- the store ----

class Store:
    """MinIO behind toxiproxy. curl puts objects into it, because it can sign simple requests."""

    def __init__(self, build, delay):
        self.script, self.folder = load_script(TOP / "scripts" / "peers"), tempfile.mkdtemp(prefix="dipper-bench-")
        peers = self.script.start(self.folder, ["minio", "toxiproxy"])
        self.minio, self.build, self.delay = peers["minio"], build, delay
        port = self.script.free_port()
        self.direct, self.endpoint = self.minio["endpoint"], f"http://127.0.0.1:{port}"
        api = peers["toxiproxy"]["endpoint"]
        self.post(f"{api}/proxies", {"name": "s3", "listen": f"127.0.0.1:{port}",
                                     "upstream": self.direct.removeprefix("http://")})
        self.post(f"{api}/proxies/s3/toxics", {"type": "latency", "attributes": {"latency": delay}})
        self.curl("-X", "PUT", f"{self.direct}/{BUCKET}")

    @staticmethod
    def post(url, body):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(url, json.dumps(body).encode(), {"User-Agent": "bench"})):
            pass

    def curl(self, *arguments):
        keys = f"{self.minio['access_key_id']}:{self.minio['secret_access_key']}"
        subprocess.run(["curl", "-sSf", "--noproxy", "*", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u", keys, *arguments],
                       check=True, stdout=subprocess.DEVNULL)

    def put(self, path, key=None):
        self.curl("-T", str(path), f"{self.direct}/{BUCKET}/{key or path.name}")

    def environment(self):
        return dict(os.environ, S3_ENDPOINT_URL=self.endpoint, AWS_ACCESS_KEY_ID=self.minio["access_key_id"],
                    AWS_SECRET_ACCESS_KEY=self.minio["secret_access_key"], AWS_REGION="us-east-1", no_proxy="*")

    def presigned(self, name):
        tool = pathlib.Path(self.build) / "tests" / "s3_tool"
        return subprocess.run([str(tool), "presign", BUCKET, name, "3600"], env=self.environment(), capture_output=True,
                              text=True, check=True).stdout.strip()

    def stop(self):
        self.script.stop(self.folder)


# ---- the programs ----

class Library:
    """libdipper's functions for FAISS files."""

    def __init__(self, build):
        self.lib = libdipper.load(build)

    def check(self, status, error):
        if status != 0:
            raise RuntimeError(f"Dipper: {error.message.decode()}")

    def open(self, url):
        index, error = ctypes.c_void_p(), libdipper.Error()
        self.check(self.lib.dp_index_open(url.encode(), None, index, error), error)
        return index

    def search(self, index, query, nprobe):
        """(ids, cost)"""
        ids, distances, cost, error = np.empty(K, np.int64), np.empty(K, np.float32), libdipper.Cost(), libdipper.Error()
        options = libdipper.IndexSearchOptions(nprobe=nprobe)
        self.check(self.lib.dp_index_search(index, query.ctypes.data, 1, len(query), K, options, ids.ctypes.data,
                                            distances.ctypes.data, ctypes.byref(cost), error), error)
        return ids, cost


def faiss_command(store, what, url, *arguments):
    done = subprocess.run([str(pathlib.Path(store.build) / "dipper"), "faiss", what, url, "--json", *map(str, arguments)],
                          env=store.environment(), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def probed_ranges(path, query, nprobe):
    """The ranges that a search of the file reads: the lists nearest to the query."""
    index = faiss.read_index(str(path))
    lists = index.invlists
    sizes = np.array([lists.list_size(i) for i in range(index.nlist)], np.int64) * (lists.code_size + 8)
    begin = path.stat().st_size - sizes.sum() + np.concatenate([[0], np.cumsum(sizes)[:-1]])
    probed = index.quantizer.search(query[None], nprobe)[1][0]
    return [(int(begin[i]), int(begin[i] + sizes[i] - 1)) for i in probed if sizes[i]]


class Curl:
    """`curl --parallel` over ranges of a presigned URL, all at once, each on its own connection."""

    def __init__(self, url, ranges):
        self.config = tempfile.NamedTemporaryFile("w", suffix=".curl")
        for first, last in ranges:
            self.config.write(f'next\nurl = "{url}"\nrange = "{first}-{last}"\noutput = "/dev/null"\nfail\nsilent\n'
                              "http1.1\nnoproxy = \"*\"\n")
        self.config.flush()
        self.command = ["curl", "--no-progress-meter", "--parallel", "--parallel-immediate", "--parallel-max", str(len(ranges)), "-K",
                        self.config.name]

    def run(self):
        return timed(lambda: subprocess.run(self.command, check=True))

    @staticmethod
    def nothing():
        """The time to start curl: the same program reads an empty file."""
        return timed(lambda: subprocess.run(["curl", "--no-progress-meter", "--parallel", "file:///dev/null"], check=True))


class Lance:
    """LanceDB over the same store. Each `open` makes a new connection, so nothing is cached from the last one."""

    def __init__(self, store):
        os.environ.setdefault("LANCE_LOG", "error")
        import lancedb
        self.lancedb = lancedb
        self.options = {"endpoint": store.endpoint, "aws_access_key_id": store.minio["access_key_id"],
                        "aws_secret_access_key": store.minio["secret_access_key"], "region": "us-east-1",
                        "allow_http": "true"}
        self.store, self.folder, self.uri = store, DATA / "lance", f"s3://{BUCKET}/lance"

    def make(self, name, vectors, **index):
        """Makes the tables once, in a folder of this machine."""
        if (self.folder / f"{name}.lance" / "_indices").exists():
            return
        import pyarrow
        table = pyarrow.table({"id": pyarrow.array(range(len(vectors))), "vector": pyarrow.FixedSizeListArray.from_arrays(
            pyarrow.array(vectors.ravel()), vectors.shape[1])})
        made = self.lancedb.connect(self.folder).create_table(name, table, mode="overwrite")
        made.create_index(metric="dot", vector_column_name="vector", **index)

    def open(self, name):
        return self.lancedb.connect(self.uri, storage_options=self.options).open_table(name)

    def upload(self):
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.store.put(path, f"lance/{path.relative_to(self.folder)}")

    @staticmethod
    def search(table, query, nprobe, refine):
        asked = table.search(query, vector_column_name="vector").metric("dot").nprobes(nprobe).limit(K).select(["id"])
        if refine:
            asked = asked.refine_factor(refine)
        return asked.to_arrow()["id"].to_numpy()


def lance_settings(lance, vectors, questions, truth):
    """Every kind of index, with the smallest tried nprobe that reaches a recall@10 of 0.95: [(name, words, nprobe, refine, recall)]"""
    kinds = [("flat", "IVF_FLAT", {}, [0]), ("sq", "IVF_SQ", {}, [0]), ("pq", "IVF_PQ", {"num_sub_vectors": 96}, [5]),
             ("hnsw", "IVF_HNSW_SQ", {}, [0])]
    questions, truth = questions[:50], truth[:50]
    found = []
    for name, kind, more, refines in kinds:
        partitions = 16 if name == "hnsw" else 256
        try:
            lance.make(name, vectors, index_type=kind, num_partitions=partitions, **more)
        except Exception as failure:  # this version lacks the kind
            print(f"LanceDB: {kind}: {failure}", file=sys.stderr)
            continue
        table = lance.lancedb.connect(lance.folder).open_table(name)
        for refine in refines:
            for nprobe in (4, 8, 12, 16, 24, 32, 40, 48, 64, 96):
                if nprobe > partitions:
                    break
                reached = recall([lance.search(table, q, nprobe, refine) for q in questions], truth)
                if reached >= 0.95:
                    words = f"{kind}, {partitions} partitions" + "".join(f", {k} {v}" for k, v in more.items())
                    found.append((name, f"{words}, nprobes {nprobe}" + (f", refine {refine}" if refine else ""), nprobe,
                                  refine, reached))
                    break
    return found


# ---- turns ----

def timed(work):
    """Milliseconds."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def take_turns(entries, rounds):
    """{name: [figure of each round]}; entries: {name: work(round) -> milliseconds}"""
    names, figures = list(entries), {name: [] for name in entries}
    for number in range(-1, rounds):
        for i in range(len(names)):
            name = names[(i + number) % len(names)]
            took = entries[name](max(number, 0))
            if number >= 0:  # the first round warms caches and the store's connections
                figures[name].append(took)
    return figures


def row(name, figures):
    return f"| {name} | {statistics.median(figures):.1f} | {min(figures):.1f}–{max(figures):.1f} |"


def ratio(theirs, ours, digits=2):
    rounds = [a / b for a, b in zip(theirs, ours)]
    return f"**{statistics.median(rounds):.{digits}f}×** ({min(rounds):.{digits}f}–{max(rounds):.{digits}f})"


def against_curl(store, args, path, queries, nprobe):
    """A cold search of an open index, and curl fetching the ranges of the same lists."""
    url, presigned = f"s3://{BUCKET}/{path.name}", store.presigned(path.name)
    files, curls, costs = [], [], []
    for number in range(args.rounds):
        query = queries[number % len(queries)]
        files.append(DATA / f"query-{number}.npy")
        np.save(files[-1], np.stack([query, query]))
        curls.append(Curl(presigned, probed_ranges(path, query, nprobe)))

    def ours(cache, which):
        def work(number):
            lines = faiss_command(store, "search", url, "--queries", files[number], "-k", K, "--nprobe", nprobe,
                                  "--merge-gap", "none", "--cache-bytes", cache)
            costs.append(lines[0])
            return lines[which]["ms"]
        return work

    warm, pairs = [], []

    def cold_and_warm(number):
        lines = faiss_command(store, "search", url, "--queries", files[number], "-k", K, "--nprobe", nprobe)
        warm.append(lines[1]["ms"])
        pairs.append(lines[1]["ms"] / lines[0]["ms"])
        assert lines[1]["requests"] == 0
        return lines[0]["ms"]

    figures = take_turns({"Dipper, cold search": ours("none", 0),
                          "Dipper, cold search, as it comes (ranges merge, cache on)": cold_and_warm,
                          "curl --parallel, the whole command": lambda n: curls[n].run(),
                          "curl, reading an empty file": lambda n: Curl.nothing()}, args.rounds)
    whole, start = figures["curl --parallel, the whole command"], figures["curl, reading an empty file"]
    cold = figures["Dipper, cold search"]
    net = [a - b for a, b in zip(whole, start)]
    sizes = [cost["bytes"] for cost in costs]
    yield (f"nprobe {nprobe}: {costs[0]['requests']} requests of {statistics.median(sizes) / costs[0]['requests'] / 1e3:.0f} KB,"
           f" {statistics.median(sizes) / 1e6:.2f} MB in all, one round.\n")
    yield "| | ms | least–most |"
    yield "|---|---:|---:|"
    for name, took in figures.items():
        yield row(name, took)
    yield row("curl less its start", net)
    yield row("Dipper, the same search again (warm)", warm[1:])
    yield f"\nDipper's cold search takes {ratio(cold, whole)} of curl's whole command, {ratio(cold, net)} of curl less its start."
    yield (f"A warm search takes **{statistics.median(pairs[1:]):.3f}×** ({min(pairs[1:]):.3f}–{max(pairs[1:]):.3f}) of the"
           " cold one.")


def against_lance(store, args, path, vectors, questions, truth, nprobe, reached):
    lance, library = Lance(store), Library(args.build)
    settings = lance_settings(lance, vectors, questions, truth)
    lance.upload()
    os.environ.update(store.environment())
    url = f"s3://{BUCKET}/{path.name}"
    costs, next_search, entries = [], {}, {}

    def ours(number):
        query = np.ascontiguousarray(questions[number * 7 % len(questions)])
        index = []

        def first():
            index.append(library.open(url))
            costs.append(library.search(index[0], query, nprobe)[1])
        took = timed(first)
        next_search.setdefault("Dipper", []).append(timed(lambda: library.search(index[0], query[::-1].copy(), nprobe)))
        library.lib.dp_index_close(index[0])
        return took

    def theirs(name, words, probes, refine):
        def work(number):
            query, table = questions[number * 7 % len(questions)], []

            def first():
                table.append(lance.open(name))
                lance.search(table[0], query, probes, refine)
            took = timed(first)
            next_search.setdefault(words, []).append(
                timed(lambda: lance.search(table[0], query[::-1].copy(), probes, refine)))
            return took
        return work

    entries["Dipper"] = ours
    for name, words, probes, refine, _ in settings:
        entries[words] = theirs(name, words, probes, refine)
    figures = take_turns(entries, args.rounds)
    recalls = {words: r for _, words, _, _, r in settings}
    recalls["Dipper"] = reached
    yield f"Dipper reads {costs[-1].requests} ranges, {costs[-1].bytes / 1e6:.2f} MB, for a search (IVF256,SQ8, nprobe {nprobe}).\n"
    yield "| | recall@10 | open + first search, ms | least–most | the next search, ms |"
    yield "|---|---:|---:|---:|---:|"
    for name, took in figures.items():
        yield (f"| {name if name == 'Dipper' else 'LanceDB ' + name} | {recalls[name]:.3f} | {statistics.median(took):.1f} |"
               f" {min(took):.1f}–{max(took):.1f} | {statistics.median(next_search[name][1:]):.1f} |")
    best = min((name for name in figures if name != "Dipper"), key=lambda name: statistics.median(figures[name]))
    yield f"\nAgainst LanceDB's best ({best}) Dipper is {ratio(figures[best], figures['Dipper'], 1)} as fast, open and first search."
    yield f"The next search: {ratio(next_search[best][1:], next_search['Dipper'][1:], 1)}."


def bytes_read(store, path, queries):
    url, query = f"s3://{BUCKET}/{path.name}", DATA / "one.npy"
    np.save(query, queries[:1])
    info = faiss_command(store, "info", url)[0]
    search = faiss_command(store, "search", url, "--queries", query, "-k", K, "--nprobe", 3)[0]
    yield (f"A file of {info['file_bytes'] / 1e6:.0f} MB ({LARGE['rows']:,} × {LARGE['dim']}, nlist {LARGE['nlist']}): opening reads"
           f" {info['open']['bytes'] / 1e6:.2f} MB in {info['open']['rounds']} rounds ({info['open']['ms']:.0f} ms), a search with"
           f" nprobe 3 {search['bytes'] / 1e6:.2f} MB in {search['rounds']}.")


def report(args):
    DATA.mkdir(parents=True, exist_ok=True)
    large, small = DATA / "large.ivf", DATA / "packages.ivf"
    make_large(large)
    vectors, questions = packages(args.build)
    make_packages(small, vectors)
    truth = np.argsort(-(questions @ vectors.T), axis=1)[:, :K]
    nprobe, reached = least_nprobe(small, questions, truth)
    rng = np.random.default_rng(2)
    queries = rng.standard_normal((args.rounds, LARGE["dim"]), np.float32)
    store = Store(args.build, args.delay)
    try:
        store.put(large)
        store.put(small)
        others, load = machine.Others(), os.getloadavg()[0]
        library = Library(args.build)
        from importlib.metadata import version
        yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {machine.processor()}, {os.cpu_count()} processors"
               f" ({machine.caches()}), {machine.system()}. Dipper {library.lib.dp_version().decode()}"
               f" ({machine.commit(TOP)}), MinIO {store.minio['version']}, "
               f"{subprocess.run(['curl', '-V'], capture_output=True, text=True, check=True).stdout.split(' (')[0]}, LanceDB"
               f" {version('lancedb')}, faiss-cpu {version('faiss-cpu')}; all on one machine, each answer delayed by"
               f" {args.delay} ms; {args.rounds} repetitions.")
        yield f"\n### A cold search against curl: {LARGE['rows']:,} × {LARGE['dim']} floats in {LARGE['nlist']} lists\n"
        yield from against_curl(store, args, large, queries, LARGE["nprobe"])
        yield f"\n### A cold search against curl: {len(vectors):,} packages × {vectors.shape[1]}, IVF256,SQ8\n"
        yield from against_curl(store, args, small, questions, nprobe)
        if "lancedb" in args.peers:
            yield f"\n### Open and first search against LanceDB: {len(vectors):,} packages × {vectors.shape[1]}\n"
            yield from against_lance(store, args, small, vectors, questions, truth, nprobe, reached)
        yield "\n### Bytes\n"
        yield from bytes_read(store, large, queries)
        yield f"\nLoad average at the beginning {load:.2f}; others, the store among them, used {others.share():.0%} of the processors."
    finally:
        store.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=TOP / "build", help="the build folder with libdipper.so, dipper and tests/s3_tool")
    parser.add_argument("--peers", default="lancedb", type=lambda t: [p for p in t.split(",") if p])
    parser.add_argument("--rounds", default=9, type=int)
    parser.add_argument("--delay", default=30, type=int, help="delay of each answer, in milliseconds")
    parser.add_argument("--prepare", action="store_true", help="only make the data")
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE",
                        help=f"put the tables into a page too ({PAGE.relative_to(TOP)})")
    args = parser.parse_args()
    if args.prepare:
        DATA.mkdir(parents=True, exist_ok=True)
        make_large(DATA / "large.ivf")
        make_packages(DATA / "packages.ivf", packages(args.build)[0])
        return
    machine.print_report(report(args), args.write, BEGIN, END)


if __name__ == "__main__":
    main()
