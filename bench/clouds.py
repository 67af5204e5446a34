#!/usr/bin/env python3
"""Compares Dipper over three clouds' stores with curl and with each vendor's Python client, all in one run.

    make bench WHAT=clouds [WRITE=1]

or, after its preparations (docs/benchmarks/clouds.md):

    build/bench-venv/bin/python bench/clouds.py [--rounds 21] [--delay 30] [--write]

The stores are MinIO, fake-gcs-server and azurite on this machine (scripts/peers). Searches go through toxiproxy, which delays
every answer by `delay` milliseconds; puts go to the store itself. Each round runs every program once, and begins with another
program than the round before. A figure is the median over the rounds, with the minimum and the maximum; a ratio is the median of
the rounds' ratios. The script prints Markdown; --write also puts it into docs/benchmarks/clouds.md.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
import uuid

import numpy as np

import faiss_vs
import machine
from faiss_vs import BUCKET, K, TOP, Curl, load_script, probed_ranges, ratio, row, take_turns, timed

PAGE = TOP / "docs" / "benchmarks" / "clouds.md"
BEGIN, END = "<!-- what bench/clouds.py printed begins -->\n", "<!-- what bench/clouds.py printed ends -->\n"
FILE = {"rows": 25_600, "dim": 768, "nlist": 256, "nprobe": 16}
PARALLEL, BODY = 8, 4096


def send(method, url, body=None, **headers):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with opener.open(urllib.request.Request(url, body, names, method=method), timeout=120) as answer:
        return answer.read()


# ---- the stores ----
#
# Each has `root`, for Dipper, and four functions: its settings in the environment, with the store at an address; the URL that
# anyone may read a file from; the lines of a curl configuration that put one object; and the vendor's client, a function that
# puts one object (if its name is absent).

class S3:
    name, peer, client, root = "S3: MinIO", "minio", "boto3", f"s3://{BUCKET}"

    def __init__(self, peer, build):
        self.keys, self.direct, self.build = peer, peer["endpoint"], build

    def environment(self, at):
        return {"S3_ENDPOINT_URL": at, "AWS_ACCESS_KEY_ID": self.keys["access_key_id"], "AWS_REGION": self.keys["region"],
                "AWS_SECRET_ACCESS_KEY": self.keys["secret_access_key"]}

    def make(self, path):
        boto = self.boto(self.direct)
        boto.create_bucket(Bucket=BUCKET)
        boto.upload_file(str(path), BUCKET, path.name)

    def readable(self, at, name):
        return self.boto(at).generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": name}, ExpiresIn=3600)

    def curl_put(self, at, name, absent):
        lines = [f'url = "{at}/{BUCKET}/{name}"', f'user = "{self.keys["access_key_id"]}:{self.keys["secret_access_key"]}"',
                 'aws-sigv4 = "aws:amz:us-east-1:s3"', 'request = "PUT"', 'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"']
        return lines + ['header = "If-None-Match: *"'] * absent

    def boto(self, at):
        import boto3
        from botocore.config import Config
        return boto3.client("s3", endpoint_url=at, region_name=self.keys["region"], aws_access_key_id=self.keys["access_key_id"],
                            aws_secret_access_key=self.keys["secret_access_key"],
                            config=Config(max_pool_connections=PARALLEL, s3={"addressing_style": "path"}))

    def putter(self):
        boto = self.boto(self.direct)

        def put(name, body, absent):
            boto.put_object(Bucket=BUCKET, Key=name, Body=body, **({"IfNoneMatch": "*"} if absent else {}))
        return put


class Gcs:
    name, peer, client, root = "GCS: fake-gcs-server", "fake-gcs", "google-cloud-storage", f"gs://{BUCKET}"

    def __init__(self, peer, build):
        self.direct, self.build = peer["endpoint"], build

    @staticmethod
    def environment(at):
        return {"STORAGE_EMULATOR_HOST": at}

    def make(self, path):
        send("POST", f"{self.direct}/storage/v1/b?project=bench", json.dumps({"name": BUCKET}).encode(),
             Content_Type="application/json")
        send("POST", f"{self.direct}/upload/storage/v1/b/{BUCKET}/o?uploadType=media&name={path.name}", path.read_bytes(),
             Content_Type="application/octet-stream")

    @staticmethod
    def readable(at, name):
        return f"{at}/storage/v1/b/{BUCKET}/o/{name}?alt=media"

    @staticmethod
    def curl_put(at, name, absent):
        query = "uploadType=media&name=" + urllib.parse.quote(name, safe="") + ("&ifGenerationMatch=0" if absent else "")
        return [f'url = "{at}/upload/storage/v1/b/{BUCKET}/o?{query}"', 'request = "POST"',
                'header = "Content-Type: application/octet-stream"']

    def putter(self):
        os.environ["STORAGE_EMULATOR_HOST"] = self.direct
        import requests
        from google.auth.credentials import AnonymousCredentials
        from google.cloud import storage
        client = storage.Client(project="bench", credentials=AnonymousCredentials())
        client._http.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=PARALLEL))
        bucket = client.bucket(BUCKET)

        def put(name, body, absent):
            bucket.blob(name).upload_from_string(body, content_type="application/octet-stream",
                                                 **({"if_generation_match": 0} if absent else {}))
        return put


class Azure:
    name, peer, client, root = "Azure: azurite", "azurite", "azure-storage-blob", f"az://{BUCKET}"

    def __init__(self, peer, build):
        self.account, self.key, self.direct, self.build = peer["account"], peer["key"], peer["endpoint"], build
        self.signature = None

    def environment(self, at):
        return {"AZURE_STORAGE_BLOB_ENDPOINT": at, "AZURE_STORAGE_ACCOUNT": self.account, "AZURE_STORAGE_KEY": self.key}

    def container(self):
        from azure.storage.blob import ContainerClient
        return ContainerClient(self.direct, BUCKET, credential={"account_name": self.account, "account_key": self.key},
                               connection_timeout=60, api_version="2021-12-02")

    def make(self, path):
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas
        container = self.container()
        container.create_container()
        with open(path, "rb") as file:
            container.upload_blob(path.name, file, max_concurrency=1)
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=2)
        self.signature = generate_container_sas(self.account, BUCKET, account_key=self.key, expiry=until,
                                                permission=ContainerSasPermissions(read=True, write=True, create=True))

    def readable(self, at, name):
        return f"{at}/{BUCKET}/{name}?{self.signature}"

    def curl_put(self, at, name, absent):
        lines = [f'url = "{at}/{BUCKET}/{name}?{self.signature}"', 'request = "PUT"', 'header = "x-ms-blob-type: BlockBlob"',
                 'header = "x-ms-version: 2021-12-02"']
        return lines + ['header = "If-None-Match: *"'] * absent

    def putter(self):
        container = self.container()

        def put(name, body, absent):
            container.upload_blob(name, body, overwrite=not absent)
        return put


STORES = {"s3": S3, "gcs": Gcs, "azure": Azure}


class Peers:
    """The stores, each with a proxy that delays its answers."""

    def __init__(self, args):
        self.script, self.folder = load_script(TOP / "scripts" / "peers"), tempfile.mkdtemp(prefix="dipper-bench-")
        kinds = [STORES[name] for name in args.stores]
        self.started = self.script.start(self.folder, [kind.peer for kind in kinds] + ["toxiproxy"])
        self.stores = [kind(self.started[kind.peer], args.build) for kind in kinds]
        api = self.started["toxiproxy"]["endpoint"]
        for store in self.stores:
            there, port = urllib.parse.urlsplit(store.direct), self.script.free_port()
            store.delayed = f"http://127.0.0.1:{port}{there.path}"
            faiss_vs.Store.post(f"{api}/proxies", {"name": store.peer, "listen": f"127.0.0.1:{port}", "upstream": there.netloc})
            faiss_vs.Store.post(f"{api}/proxies/{store.peer}/toxics", {"type": "latency", "attributes": {"latency": args.delay}})

    def stop(self):
        self.script.stop(self.folder)


# ---- searches ----

def search(store, name, queries):
    done = subprocess.run([str(pathlib.Path(store.build) / "dipper"), "faiss", "search", f"{store.root}/{name}", "--json", "--queries",
                           queries, "-k", str(K), "--nprobe", str(FILE["nprobe"]), "--merge-gap", "none", "--cache-bytes", "none"],
                          env=dict(os.environ, **store.environment(store.delayed), no_proxy="*"), capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout.splitlines()[0])


def searches(store, args, path):
    rng = np.random.default_rng(2)
    url = store.readable(store.delayed, path.name)
    files, curls, costs = [], [], []
    for number in range(args.rounds):
        query = rng.standard_normal(FILE["dim"], np.float32)
        files.append(path.parent / f"query-{number}.npy")
        np.save(files[-1], query[None])
        curls.append(Curl(url, probed_ranges(path, query, FILE["nprobe"])))

    def ours(number):
        costs.append(search(store, path.name, files[number]))
        return costs[-1]["ms"]

    figures = take_turns({"Dipper, cold search": ours, "curl --parallel, the whole command": lambda number: curls[number].run(),
                          "curl, reading an empty file": lambda number: Curl.nothing()}, args.rounds)
    dipper, curl, empty = figures.values()
    net = [a - b for a, b in zip(curl, empty)]
    yield f"\n{costs[0]['requests']} requests, {costs[0]['bytes'] / 1e6:.2f} MB, {costs[0]['rounds']} round.\n"
    yield "| | ms | least–most |\n|---|---:|---:|"
    for name, values in (*figures.items(), ("curl less its start", net)):
        yield row(name, values)
    yield f"\nDipper's cold search takes {ratio(dipper, curl)} of curl's whole command, {ratio(dipper, net)} of curl less its start."


# ---- puts ----

def put_by_dipper(store, pairs):
    done = subprocess.run([str(pathlib.Path(store.build) / "bench" / "bench_puts"), store.root, str(PARALLEL), str(pairs), str(BODY)],
                          env=dict(os.environ, **store.environment(store.direct), no_proxy="*"), capture_output=True, text=True,
                          check=True)
    return json.loads(done.stdout)


def put_by_client(store, pairs):
    """Runs in this process: the child of put_by_client_alone."""
    put, body, run = store.putter(), bytes(BODY), uuid.uuid4().hex
    put(f"{run}/first", body, True)

    def put_pairs(thread):
        for i in range(pairs):
            put(f"{run}/any-{thread}-{i}", body, False)
            put(f"{run}/absent-{thread}-{i}", body, True)

    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda _: put(f"{run}/warm-{uuid.uuid4().hex}", body, True), range(PARALLEL)))
        wall, processor = time.perf_counter(), time.process_time()
        list(pool.map(put_pairs, range(PARALLEL)))
    return {"puts": 2 * PARALLEL * pairs, "wall": time.perf_counter() - wall, "processor": time.process_time() - processor}


def put_by_client_alone(store, pairs):
    """The vendor's client, in a process of its own."""
    words = {"store": next(name for name, kind in STORES.items() if kind is type(store)), "peer": store.started, "pairs": pairs}
    done = subprocess.run([sys.executable, __file__, "--child", json.dumps(words)], capture_output=True, text=True, check=True,
                          env=dict(os.environ, no_proxy="*"))
    return json.loads(done.stdout)


def put_by_curl(store, pairs, folder):
    """The same puts, as one curl command with 8 transfers at a time. Returns seconds of time and of processor time."""
    body, config, run = folder / "body", folder / "puts.curl", uuid.uuid4().hex
    body.write_bytes(bytes(BODY))
    with open(config, "w", encoding="utf-8") as out:
        for i in range(PARALLEL * pairs):
            for kind in ("any", "absent"):
                lines = store.curl_put(store.direct, f"{run}-{kind}-{i}", kind == "absent")
                out.write("next\n" + "\n".join(lines) + f'\ndata-binary = "@{body}"\noutput = "/dev/null"\nfail\nhttp1.1\nnoproxy = "*"\n')
    command = ["curl", "--no-progress-meter", "--parallel", "--parallel-max", str(PARALLEL), "-K", config]
    before = children_seconds()
    return timed(lambda: subprocess.run(command, check=True)) / 1e3, children_seconds() - before


def children_seconds():
    times = os.times()
    return times.children_user + times.children_system


def puts(store, args, folder):
    count = 2 * PARALLEL * args.pairs
    used = {"dipper": [], "client": [], "curl": []}

    def dipper(number):
        told = put_by_dipper(store, args.pairs)
        used["dipper"].append(told["processor"] / told["puts"])
        return told["puts"] / told["wall"]

    def client(number):
        told = put_by_client_alone(store, args.pairs)
        used["client"].append(told["processor"] / told["puts"])
        return told["puts"] / told["wall"]

    def curl(number):
        wall, processor = put_by_curl(store, args.pairs, folder)
        before = children_seconds()
        start = Curl.nothing() / 1e3
        used["curl"].append((processor - (children_seconds() - before)) / count)
        return count / (wall - start)

    rates = take_turns({"Dipper": dipper, store.client: client, "curl --parallel": curl}, args.put_rounds)
    used = {name: [1e6 * second for second in seconds[1:]] for name, seconds in used.items()}
    yield f"\n{count} puts of {BODY:,} bytes, {PARALLEL} at a time, half of them if absent.\n"
    yield "| | puts/s | least–most | processor time of a put, µs | least–most |\n|---|---:|---:|---:|---:|"
    for (name, values), micros in zip(rates.items(), used.values()):
        yield row(name, values).removesuffix("|") + row("", micros).removeprefix("|  ")
    yield (f"\nDipper uses {ratio(used['dipper'], used['client'])} of the client's processor time for a put, and puts "
           f"{ratio(rates['Dipper'], rates['curl --parallel'])} as many a second as curl.")


# ---- the report ----

def report(args):
    from importlib.metadata import version
    folder = TOP / "build" / "bench" / "clouds"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lists.ivf"
    faiss_vs.make_large(path, FILE)  # lists of about 300 KB each
    peers = Peers(args)
    try:
        others, load = machine.Others(), os.getloadavg()[0]
        curl = subprocess.run(["curl", "-V"], capture_output=True, text=True, check=True).stdout.split(" (")[0]
        yield (f"{time.strftime('%Y-%m-%d', time.gmtime())}: {machine.line(TOP)}. {curl}, " +
               ", ".join(f"{store.peer} {peers.started[store.peer]['version']}, {store.client} {version(store.client)}" for store in peers.stores)
               + f". All on one machine; searches: {args.rounds} rounds, each answer delayed by {args.delay} ms; puts: {args.put_rounds}"
               " rounds, no delay.")
        for store in peers.stores:
            store.started = peers.started[store.peer]
            store.make(path)
            yield f"\n### {store.name}: a cold search against curl"
            yield from searches(store, args, path)
            yield f"\n### {store.name}: puts against curl and {store.client}"
            yield from puts(store, args, folder)
        yield f"\nLoad average at the beginning {load:.2f}; others, the stores among them, used {others.share():.0%} of the processors."
    finally:
        peers.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=TOP / "build", help="the build folder with dipper and bench/bench_puts")
    parser.add_argument("--stores", default=list(STORES), type=lambda text: text.split(","))
    parser.add_argument("--rounds", default=21, type=int)
    parser.add_argument("--put-rounds", default=5, type=int)
    parser.add_argument("--pairs", default=40, type=int, help="pairs of puts of each of the 8 threads")
    parser.add_argument("--delay", default=30, type=int, help="delay of each answer to a search, in milliseconds")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE",
                        help=f"put the tables into a page too ({PAGE.relative_to(TOP)})")
    args = parser.parse_args()
    if args.child:
        store = STORES[args.child["store"]](args.child["peer"], None)
        print(json.dumps(put_by_client(store, args.child["pairs"])))
        return
    machine.print_report(report(args), args.write, BEGIN, END)


if __name__ == "__main__":
    main()
