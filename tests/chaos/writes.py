#!/usr/bin/env python3
"""tests/chaos/writes.py [--build build] [--seconds 5] [--only WORD]: lets the object store fail under a server that writes.

Starts MinIO behind toxiproxy, and `dipper serve` over a bucket of it. Each writer owns a few rows and sets them to rising numbers, one
request after another; readers ask for these rows. Meanwhile the store stops, gets slow, hangs, has its answers or the requests cut, and is
killed and started again. A read must show at least the last number that was acknowledged before it began, and none that nobody has
sent. At the end the server is killed, and another one over the same bucket must show the same. Prints for each fault the answers by status,
the slowest one, how long it took until all was well again without a restart, and how many answers were wrong. Exits with 1 if there
was one. Needs scripts/peers build minio toxiproxy.
"""
import argparse
import collections
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

import chaos
from program import clean_environment  # chaos.py has set the path

TOP, BUCKET, NAMESPACE = chaos.TOP, "chaos-writes", "/v2/namespaces/w"
WRITERS, READERS, ROWS_EACH = 4, 2, 5
# 500: nobody can tell whether the write happened, and the answer says so.
PERMITTED = chaos.WORTH_A_RETRY | {500}
LAST_LOOK = 5  # seconds: after its deadline a write without a clear outcome looks once more whether it is there


class Row:
    """What is known about a row: the last number that was sent, and the last one that was acknowledged."""

    def __init__(self, name):
        self.name, self.sent, self.acknowledged = name, 0, 0


class Load:
    """Writers and readers, and what they saw."""

    def __init__(self, address):
        self.address, self.lock, self.ending = address, threading.Lock(), threading.Event()
        self.rows = [[Row(f"{writer}-{i}") for i in range(ROWS_EACH)] for writer in range(WRITERS)]
        self.threads = [threading.Thread(target=self.write, args=(rows,), daemon=True) for rows in self.rows]
        self.threads += [threading.Thread(target=self.read, args=(i,), daemon=True) for i in range(READERS)]
        self.reset()

    def start(self):
        for thread in self.threads:
            thread.start()

    def reset(self):
        with self.lock:
            self.seen, self.slowest, self.wrong, self.last_bad = collections.Counter(), 0, [], time.monotonic()

    def ask(self, kind, path, body):
        """Returns the status and the answer, and notes what every answer must keep to."""
        began = time.monotonic()
        status, answer = chaos.ask(self.address, "", (path, json.dumps(body)))
        took = time.monotonic() - began
        with self.lock:
            self.seen[kind, status] += 1
            self.slowest = max(self.slowest, took)
            if status != 200:
                self.last_bad = time.monotonic()
            if status != 200 and status not in PERMITTED:
                self.wrong.append(f"{kind}: status {status} {answer!r:.200}")
            if status == 500 and "unknown" not in repr(answer) and "whether" not in repr(answer):
                self.wrong.append(f"{kind}: {answer!r:.300}")
            if took > chaos.DEADLINE + chaos.GRACE + (LAST_LOOK if kind == "write" else 0):
                self.wrong.append(f"{kind}: {status} after {took:.1f} s")
        if status != 200:
            time.sleep(0.05)
        return status, answer

    def write(self, rows):
        number = 0
        while not self.ending.is_set():
            number += 1
            row = rows[number % len(rows)]
            row.sent = number
            status, _ = self.ask("write", NAMESPACE, {"upsert_rows": [{"id": row.name, "n": number}]})
            if status == 200:
                row.acknowledged = number

    def read(self, turn):
        rows = [row for of_writer in self.rows for row in of_writer]
        while not self.ending.is_set():
            turn += 1
            self.check(rows[turn % len(rows)])

    def check(self, row):
        """Reads a row. Its number must be one that was sent, and none older than the last acknowledged one."""
        least = row.acknowledged
        status, found = self.ask("read", NAMESPACE + "/query", {"rank_by": ["id", "asc"], "filters": ["id", "Eq", row.name], "limit": 1,
                                                                "include_attributes": ["n"]})
        if status != 200:
            return False
        shown = found[0]["n"] if found else 0
        if not least <= shown <= row.sent:
            with self.lock:
                self.wrong.append(f"row {row.name} shows {shown}, but {least} was acknowledged and {row.sent} sent last")
        return True

    recovered = chaos.Clients.recovered

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(chaos.DEADLINE + chaos.GRACE + LAST_LOOK + 10)
            if thread.is_alive():
                self.wrong.append("an answer never came")


class Minio:
    """The peer that scripts/peers has started, which this may kill and start again."""

    def __init__(self, peer):
        self.peer, self.process = peer, None
        self.port = int(peer["endpoint"].rsplit(":", 1)[1])
        folder = pathlib.Path(f"/proc/{peer['pid']}")
        self.command = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
        self.env = dict(pair.split(b"=", 1) for pair in (folder / "environ").read_bytes().split(b"\0") if pair)

    def kill(self):
        os.kill(self.process.pid if self.process else self.peer["pid"], signal.SIGKILL)
        if self.process:
            self.process.wait()

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self):
        if self.process:
            self.kill()


def faults(proxies, minio):
    """Yields the name of each fault, and the functions that begin and end it."""

    def poisoned(kind, stream, attributes):
        toxic = {"name": kind, "type": kind, "stream": stream, "attributes": attributes}
        return lambda: proxies.ask("POST", "/proxies/store/toxics", toxic), lambda: proxies.cure("store", kind)

    yield "stopped", lambda: proxies.switch("store", False), lambda: proxies.switch("store", True)
    yield "slow, 300 ms", *poisoned("latency", "downstream", {"latency": 300, "jitter": 100})
    yield "hangs", *poisoned("timeout", "downstream", {"timeout": 0})
    yield "answers cut after 100 bytes", *poisoned("limit_data", "downstream", {"bytes": 100})
    yield "answers cut at once", *poisoned("reset_peer", "downstream", {"timeout": 0})
    yield "requests cut after 1,000 bytes", *poisoned("limit_data", "upstream", {"bytes": 1000})
    yield "killed, started", minio.kill, minio.start


def run(dipper, folder, options):
    """Runs all faults. Returns what was wrong."""
    problems, s3_tool = [], options.build.resolve() / "tests" / "s3_tool"
    proxies = chaos.Proxies(folder / "peers")
    done = subprocess.run([TOP / "scripts" / "peers", "start", folder / "store", "minio"], stdout=subprocess.PIPE, text=True, check=True)
    minio = Minio(json.loads(done.stdout)["minio"])
    try:
        proxies.add("store", minio.port)
        env = clean_environment(S3_ENDPOINT_URL=minio.peer["endpoint"], AWS_ACCESS_KEY_ID=minio.peer["access_key_id"],
                                AWS_SECRET_ACCESS_KEY=minio.peer["secret_access_key"])
        subprocess.run([s3_tool, "make-bucket", BUCKET], env=env, check=True)
        env["S3_ENDPOINT_URL"] = f"http://127.0.0.1:{proxies.ports['store']}"
        with chaos.serving(dipper, env, f"s3://{BUCKET}/root") as (url, process):
            load = Load(url.removeprefix("http://"))
            status, answer = load.ask("write", NAMESPACE, {"upsert_rows": [{"id": "first", "n": 0}], "schema": {"id": "string"}})
            assert status == 200, answer
            load.start()
            for name, begin, end in faults(proxies, minio):
                if options.only and options.only not in name:
                    continue
                time.sleep(1)
                load.reset()
                begin()
                time.sleep(options.seconds)
                with load.lock:
                    seen = dict(load.seen)
                end()
                problems += report(name, seen, load, load.recovered())
                if process.poll() is not None:
                    return [*problems, f"{name}: the server ended with {process.returncode}"]
            load.reset()
            load.stop()
            problems += load.wrong
            process.kill()
        with chaos.serving(dipper, env, f"s3://{BUCKET}/root") as (url, _):
            load.reset()
            load.address = url.removeprefix("http://")
            rows = [row for of_writer in load.rows for row in of_writer]
            good = all([load.check(row) for row in rows])
            print(f"\nThe server was killed after {sum(max(row.sent for row in of_writer) for of_writer in load.rows):,} writes. "
                  f"Another one shows {len(rows)} rows, {len(load.wrong)} of them wrong.")
            problems += load.wrong if good else ["the last server did not answer"]
    finally:
        minio.stop()
        subprocess.run([TOP / "scripts" / "peers", "stop", folder / "store"], check=False)
        proxies.stop()
    return problems


def report(name, seen, load, well):
    counts = {kind: ", ".join(f"{status}: {count}" for (what, status), count in sorted(seen.items()) if what == kind)
              for kind in ("write", "read")}
    with load.lock:
        slowest, wrong = load.slowest, list(load.wrong)
    shown = "never" if well is None else f"{well:.1f} s"
    print(f"| {name} | {counts['write']} | {counts['read']} | {slowest:.1f} s | {shown} | {len(wrong)} |", flush=True)
    return [f"{name}: {text}" for text in wrong[:5]] + ([f"{name}: not well {chaos.RECOVERY} s after its end"] if well is None else [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=float, default=5, help="time that each fault lasts")
    parser.add_argument("--only", help="only faults whose name has this word")
    options = parser.parse_args()
    subprocess.run(["ninja", "-C", options.build, "tests/s3_tool"], check=True, stdout=subprocess.DEVNULL)
    print("| the store | writes by status | reads by status | slowest | well again after | wrong |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="dipper-chaos-") as name:
        problems = run(options.build.resolve() / "dipper", pathlib.Path(name), options)
    for problem in problems:
        print("WRONG:", problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
