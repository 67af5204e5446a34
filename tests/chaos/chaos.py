#!/usr/bin/env python3
"""tests/chaos/chaos.py [--build build] [--seconds 6] [--only WORD]: lets a server's neighbours fail while clients ask it.

Starts PostgreSQL (accounts), Redis (cache) and a web server (root of a namespace), each behind toxiproxy, and `dipper serve` over
them. Clients ask for embeddings and searches without a pause. Meanwhile each neighbour stops, starts again, gets slow, hangs, or has
its answers cut, then all of them together. Every answer is compared with the right one, which the server gave before. Prints for each
fault the answers by status, the slowest one, and how long it took until all was well again without a restart. Exits with 1 if an
answer was wrong, came after its deadline, or had a status that a client cannot act on; or if the server did not recover or did not
end cleanly. Last, the server runs with 256 descriptors, with little memory, over a root that it may not write, and on a full disk.
Needs scripts/peers build toxiproxy and scripts/setup --daemons.
"""
import argparse
import collections
import contextlib
import http.client
import http.server
import json
import pathlib
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests" / "e2e"), str(TOP / "tests")]

from accounts import Accounts, Postgres  # noqa: E402  the paths come first
from program import clean_environment  # noqa: E402
from redis_server import Redis  # noqa: E402
from test_http_root import Handler  # noqa: E402

DEADLINE = 4  # seconds: --request-timeout
GRACE = 3  # more, for a machine that is busy, and for a deadline that counts from the handler's start
RECOVERY = 30
CLIENTS = 6
TEXTS = [f"the {a} {b} of the harbour" for a in ("old", "red", "loud", "cold") for b in ("ship", "crane", "gull", "bell", "rope")]
WORTH_A_RETRY = {429, 503, 504}


class Proxies:
    """toxiproxy between the server and its neighbours."""

    def __init__(self, folder):
        done = subprocess.run([TOP / "scripts" / "peers", "start", folder, "toxiproxy"], stdout=subprocess.PIPE, text=True, check=True)
        self.folder, self.api, self.ports = folder, json.loads(done.stdout)["toxiproxy"]["endpoint"], {}

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.api + path, method=method, data=None if body is None else json.dumps(body).encode())
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            text = answer.read()
            return json.loads(text) if text else None

    def add(self, name, port):
        made = self.ask("POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}", "enabled": True})
        self.ports[name] = int(made["listen"].rsplit(":", 1)[1])

    def poison(self, name, kind, attributes):
        self.ask("POST", f"/proxies/{name}/toxics", {"name": kind, "type": kind, "stream": "downstream", "attributes": attributes})

    def cure(self, name, kind):
        self.ask("DELETE", f"/proxies/{name}/toxics/{kind}")

    def switch(self, name, on):
        self.ask("POST", f"/proxies/{name}", {"enabled": on})

    def stop(self):
        subprocess.run([TOP / "scripts" / "peers", "stop", self.folder], check=True)


class Clients:
    """Threads that ask the server and compare each answer with the right one."""

    def __init__(self, url, key, truth):
        self.address, self.key, self.truth = url.removeprefix("http://"), key, truth
        self.lock, self.ending = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(CLIENTS)]
        self.reset()
        for thread in self.threads:
            thread.start()

    def reset(self):
        with self.lock:
            self.seen, self.slowest, self.wrong, self.last_bad = collections.Counter(), 0, [], time.monotonic()

    def run(self, number):
        asked = number
        while not self.ending.is_set():
            request = list(self.truth)[asked % len(self.truth)]
            asked += 1
            began = time.monotonic()
            status, answer = ask(self.address, self.key, request)
            self.judge(request, status, answer, time.monotonic() - began)
            if status != 200:
                time.sleep(0.05)

    def judge(self, request, status, answer, seconds):
        kind = "search" if request[0].endswith("query") else "embed"
        with self.lock:
            self.seen[kind, status] += 1
            self.slowest = max(self.slowest, seconds)
            if status != 200:
                self.last_bad = time.monotonic()
            if status == 200 and answer != self.truth[request]:
                self.wrong.append(f"{request}: {answer!r:.200}")
            elif status != 200 and status not in WORTH_A_RETRY:
                self.wrong.append(f"{request}: status {status} {answer!r:.200}")
            if seconds > DEADLINE + GRACE:
                self.wrong.append(f"{request}: {status} after {seconds:.1f} s")

    def recovered(self):
        """Waits until all answers of a second were good. Returns how long that took, less that second; None: too long."""
        began = time.monotonic()
        while time.monotonic() - began < RECOVERY:
            time.sleep(0.05)
            with self.lock:
                good_since = max(self.last_bad, began - 0.001)
            if time.monotonic() - good_since > 1:
                return max(0, good_since - began)
        return None

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(DEADLINE + GRACE + 10)
            if thread.is_alive():
                self.wrong.append("an answer never came")


def ask(address, key, request):
    """Returns the status and what is compared; status 0: no answer came."""
    path, body = request
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("POST", path, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status in (429, 503) and not answer.headers["Retry-After"]:
            return answer.status, "no Retry-After"
        parsed = json.loads(text)
        return answer.status, parsed if answer.status != 200 else parsed.get("embedding") or parsed.get("rows")
    except (OSError, http.client.HTTPException) as failure:
        return 0, repr(failure)
    finally:
        connection.close()


def requests():
    for text in TEXTS:
        yield "/v1/embed", json.dumps({"text": text})
        yield "/v2/namespaces/n/query", json.dumps({"rank_by": ["vector", "ANN", ["Embed", text]], "limit": 5})


def faults(names, proxies, redis, postgres):
    """Yields the name of each fault, the neighbours that it meets, and the functions that begin and end it."""

    def poisoned(kind, attributes):
        return (lambda met: [proxies.poison(name, kind, attributes) for name in met],
                lambda met: [proxies.cure(name, kind) for name in met])

    ways = {
        "stopped": (lambda met: [proxies.switch(name, False) for name in met], lambda met: [proxies.switch(name, True) for name in met]),
        "slow, 300 ms": poisoned("latency", {"latency": 300, "jitter": 100}),
        "hangs": poisoned("timeout", {"timeout": 0}),
        "cut after 100 bytes": poisoned("limit_data", {"bytes": 100}),
        "cut at once": poisoned("reset_peer", {"timeout": 0}),
    }
    for name in names:
        for way, (begin, end) in ways.items():
            yield f"{name}: {way}", [name], begin, end
    yield "Redis: killed, started", ["redis"], lambda met: redis.end(signal.SIGKILL), lambda met: redis.start()
    yield "PostgreSQL: crashed, started", ["postgres"], lambda met: postgres.stop(True), lambda met: postgres.start()
    for way, (begin, end) in ways.items():
        yield f"all: {way}", list(names), begin, end


@contextlib.contextmanager
def serving(dipper, env, root, *arguments, limit=None):
    log = tempfile.TemporaryFile()
    process = subprocess.Popen([dipper, "serve", "--root", root, "--listen", "127.0.0.1:0", "--log-format", "off",
                                "--request-timeout", f"{DEADLINE}s", "--drain-timeout", "5s", *arguments], stdout=subprocess.PIPE,
                               stderr=log, text=True, env=env, preexec_fn=limit)
    url = process.stdout.readline().strip()
    if not url:
        log.seek(0)
        raise RuntimeError(f"the server did not start: {log.read().decode()}")
    try:
        yield url, process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def neighbours_fail(dipper, folder, options):
    """Runs all faults. Returns the sentences about what was wrong."""
    problems = []
    (folder / "rows.jsonl").write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(TEXTS)))
    subprocess.run([dipper, "index", "n", folder / "rows.jsonl", "--root", folder / "bucket"], check=True, capture_output=True,
                   env=clean_environment())
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web.daemon_threads, web.root, web.query, web.seen, web.failures = True, folder / "bucket", "", collections.deque(maxlen=1), []
    web.lock, web.lists = threading.Lock(), True
    web.handle_error = lambda *_: None  # cut connections are what this is about
    threading.Thread(target=web.serve_forever, daemon=True).start()
    (folder / "postgres").mkdir()
    postgres, redis, proxies = Postgres(folder / "postgres"), Redis(folder), Proxies(folder / "peers")
    try:
        postgres.start()
        redis.start()
        for name, port in (("store", web.server_port), ("redis", redis.port), ("postgres", postgres.port)):
            proxies.add(name, port)
        accounts = Accounts(dipper, postgres.url().replace(str(postgres.port), str(proxies.ports["postgres"])))
        key = accounts.key("chaos@example.org", "--tier", "scale")["key"]
        env = {**accounts.env, "no_proxy": "*"}
        with serving(dipper, env, f"http://127.0.0.1:{proxies.ports['store']}/", "--auth", "--scale-requests", "0", "--l1-cache-size", "0",
                     "--scale-limit", "100000000", "--quota-batch", "20", "--redis-url", f"redis://127.0.0.1:{proxies.ports['redis']}",
                     "--database-timeout", "1s") as (url, process):
            truth = {}
            for request in requests():
                status, truth[request] = ask(url.removeprefix("http://"), key, request)
                assert status == 200 and truth[request], (request, status, truth[request])
            clients = Clients(url, key, truth)
            for name, met, begin, end in faults(["redis", "postgres", "store"], proxies, redis, postgres):
                if options.only and options.only not in name:
                    continue
                clients.reset()
                begin(met)
                time.sleep(options.seconds)
                with clients.lock:
                    seen = dict(clients.seen)
                end(met)
                well = clients.recovered()
                problems += report(name, seen, clients, well)
                if process.poll() is not None:
                    return [*problems, f"{name}: the server ended with {process.returncode}"]
            clients.stop()
            process.send_signal(signal.SIGTERM)
            if process.wait(60) != 0:
                problems.append(f"the server ended with {process.returncode}")
    finally:
        proxies.stop()
        redis.end()
        postgres.stop()
    return problems


def report(name, seen, clients, well):
    counts = {kind: ", ".join(f"{status}: {count}" for (what, status), count in sorted(seen.items()) if what == kind)
              for kind in ("embed", "search")}
    with clients.lock:
        slowest, wrong = clients.slowest, list(clients.wrong)
    shown = "never" if well is None else f"{well:.1f} s"
    print(f"| {name} | {counts['embed']} | {counts['search']} | {slowest:.1f} s | {shown} | {len(wrong)} |", flush=True)
    problems = [f"{name}: {text}" for text in wrong[:5]]
    return problems + ([f"{name}: not well {RECOVERY} s after its end"] if well is None else [])


@contextlib.contextmanager
def mounted(folder, *options):
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *options, folder], capture_output=True, check=False)
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", folder], check=False)


def write(address, number):
    rows = [{"id": number * 100 + i, "vector": [float(i % 7), 1.0, 2.0, float(number)]} for i in range(100)]
    return ask(address, "", ("/v2/namespaces/w", json.dumps({"distance_metric": "cosine_distance", "upsert_rows": rows})))[0]


def narrow_machines(dipper, folder):
    """Runs servers that lack descriptors, memory, a writable root or disk. Returns what was wrong."""
    problems, env = [], clean_environment()

    def check(name, good, seen):
        print(f"| {name} | {', '.join(f'{status}: {count}' for status, count in sorted(seen.items()))} | {'yes' if good else 'NO'} |",
              flush=True)
        if not good:
            problems.append(f"{name}: {dict(seen)}")

    def count(statuses):
        return collections.Counter(statuses)

    embed = ("/v1/embed", json.dumps({"text": "hello"}))
    print("\n| machine | answers by status | as it must be |\n|---|---|---|")
    with serving(dipper, env, folder / "few", limit=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))) as (url, process):
        address = url.removeprefix("http://")
        host, port = address.split(":")
        idle = [socket.create_connection((host, int(port)), timeout=20) for _ in range(300)]
        for client in idle:
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = count(ask(address, "", embed)[0] for _ in range(20))
        for client in idle:
            client.close()
        check("256 descriptors, 300 idle connections", seen[200] == 20 and process.poll() is None, seen)
    megabytes = 1 << 20
    limit = (lambda: resource.setrlimit(resource.RLIMIT_DATA, (128 * megabytes, 128 * megabytes)))
    with serving(dipper, env, folder / "little", "--request-threads", "8", limit=limit) as (url, process):
        address = url.removeprefix("http://")
        large = ("/v1/embed", json.dumps({"texts": [f"word {i} " + "and more " * 60 for i in range(2000)]}))
        seen = count(ask(address, "", request)[0] for request in (embed, large, large, embed) * 3)
        check("128 MiB of data", seen[200] >= 6 and not set(seen) - {200, 503, 504} and process.poll() is None, seen)
    with mounted(folder / "full", "-t", "tmpfs", "-o", "size=256k", "none") as has_mount:
        if has_mount:
            with serving(dipper, env, folder / "full" / "root") as (url, process):
                address = url.removeprefix("http://")
                seen = count(write(address, number) for number in range(200))
                query = ("/v2/namespaces/w/query", json.dumps({"rank_by": ["vector", "ANN", [0.0, 1.0, 2.0, 0.0]], "limit": 1}))
                status, rows = ask(address, "", query)
                seen[status] += 1
                good = status == 200 and rows and set(seen) == {200, 507}
                check("a disk of 256 KiB: 200 writes, then a search", good and process.poll() is None, seen)
        else:
            print("| a full disk | left out: mounts are not allowed | |")
    shutil.copytree(folder / "bucket", folder / "frozen")
    with mounted(folder / "frozen", "--bind", "-o", "ro", folder / "frozen") as has_mount:
        if has_mount:
            with serving(dipper, env, folder / "frozen") as (url, process):
                address = url.removeprefix("http://")
                search = ("/v2/namespaces/n/query", json.dumps({"rank_by": ["vector", "ANN", ["Embed", "bell"]], "limit": 1}))
                seen = count([ask(address, "", search)[0] for _ in range(5)])
                refused = write(address, 1)
                seen[refused] += 1
                check("a root that may not be written", seen[200] == 5 and refused >= 400 and process.poll() is None, seen)
        else:
            print("| a root that may not be written | left out: mounts are not allowed | |")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=float, default=6, help="time that each fault lasts")
    parser.add_argument("--only", help="only faults whose name has this word")
    options = parser.parse_args()
    dipper = options.build.resolve() / "dipper"
    with tempfile.TemporaryDirectory(prefix="dipper-chaos-") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        print("| fault | embeddings by status | searches by status | slowest | well again after | wrong |\n|---|---|---|---|---|---|", flush=True)
        problems = neighbours_fail(dipper, folder, options)
        problems += narrow_machines(dipper, folder)
    for problem in problems:
        print("WRONG:", problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
