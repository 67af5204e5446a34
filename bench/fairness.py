#!/usr/bin/env python3
"""bench/fairness.py [--build build] [--rounds 3] [--seconds 10] [--write [PAGE]]: measures what bulk leaves to others.

Starts `dipper serve` without a cache, and asks for one short text at a time: alone, beside one client that sends batches of
2,048 long texts without end, and beside a hundred such clients. It measures the bulk without the short texts too. Then 16
clients of wrk ask for texts of 5 to 50 tokens, against the engine alone in batches. A unit is the time of one text of 256 tokens on
one processor, measured before and after each case. Each round runs all cases; the script prints medians as Markdown. --write
also puts them into docs/benchmarks/fairness.md. Needs wrk (scripts/setup --bench).
"""
import argparse
import contextlib
import http.client
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import sys
import tempfile
import threading
import time

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "benchmarks" / "fairness.md"
BEGIN, END = "<!-- bench/fairness.py writes from here -->", "<!-- to here -->"
WORDS = "the river runs by old mill and a stone bridge near town where people sell bread on market days in summer".split()
BULK_TEXTS, BULK_WORDS = 2048, 254


@contextlib.contextmanager
def serving(dipper, folder):
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen([dipper, "serve", "--root", folder, "--listen", "127.0.0.1:0", "--log-format", "off",
                                "--l1-cache-size", "0", "--request-timeout", "1h"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield int(process.stdout.readline().strip().rsplit(":", 1)[1])
    finally:
        process.kill()
        process.wait()


def unit(dipper):
    """Returns the milliseconds of a text of 256 tokens on one processor."""
    done = subprocess.run([dipper, "bench", "embed", "--threads", "1", "--tokens", "256", "--batch", "1", "--seconds", "1",
                           "--json"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["cases"][0]["p50_ms"]


def metrics(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line and line[0] != "#"}


def body_of(texts):
    return json.dumps({"model": "all-MiniLM-L6-v2", "input": texts, "encoding_format": "base64"}).encode()


def post(connection, body):
    """Returns the milliseconds of an answer, its status, and the seconds after which a refused client may ask again."""
    began = time.perf_counter()
    connection.request("POST", "/v1/embeddings", body)
    answer = connection.getresponse()
    answer.read()
    return (time.perf_counter() - began) * 1e3, answer.status, float(answer.headers.get("Retry-After", "1"))


class Bulk:
    """Clients that send batches without end, each its own texts, until the block ends."""

    def __init__(self, port, clients):
        self.port, self.ending = port, threading.Event()
        texts = [" ".join(random.choices(WORDS, k=BULK_WORDS)) for _ in range(BULK_TEXTS)]
        bodies = [body_of([f"{client} {text}" for text in texts]) for client in range(clients)]
        self.threads = [threading.Thread(target=self.send, args=(body,), daemon=True) for body in bodies]

    def send(self, body):
        while not self.ending.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
            with contextlib.suppress(OSError, http.client.HTTPException):
                _, status, seconds = post(connection, body)
                if status != 200:
                    self.ending.wait(seconds)
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        before = metrics(self.port)["dipper_batch_texts_sum"]
        while metrics(self.port)["dipper_batch_texts_sum"] == before:
            time.sleep(0.1)
        time.sleep(2) # until all have sent their texts
        return self

    def __exit__(self, *_):
        self.ending.set()


def ask_here(port, seconds):
    connection, taken, until = http.client.HTTPConnection("127.0.0.1", port, timeout=600), [], time.monotonic() + seconds
    while time.monotonic() < until:
        took, status, _ = post(connection, body_of([f"how do I keep two folders in sync, number {random.random()}"]))
        assert status == 200
        taken.append(took)
        time.sleep(random.random() * 0.02)
    connection.close()
    return sorted(taken)


def ask_alone(port, seconds):
    """One short text after another, from a process of its own; returns the milliseconds of each."""
    done = subprocess.run([sys.executable, __file__, "--ask", str(port), "--seconds", str(seconds)], capture_output=True,
                          text=True, check=True)
    return json.loads(done.stdout)


def bulk_rate(port, work, seconds):
    """Returns the long texts per second that were computed meanwhile, and what `work` returned."""
    began, before = time.monotonic(), metrics(port)
    found = work(seconds)
    after = metrics(port)
    texts = after["dipper_batch_texts_sum"] - before["dipper_batch_texts_sum"] - len(found or [])
    return texts / (time.monotonic() - began), found


def beside_bulk(dipper, folder, clients, seconds):
    with serving(dipper, folder) as port, Bulk(port, clients):
        alone = bulk_rate(port, lambda s: time.sleep(s), seconds)[0]
        beside, taken = bulk_rate(port, lambda s: ask_alone(port, s), seconds)
        again = bulk_rate(port, lambda s: time.sleep(s), seconds)[0]
    return taken, beside / ((alone + again) / 2)


def lone(dipper, folder, seconds):
    """Returns the milliseconds of each answer, and the mean wait in the queue of the embedder."""
    with serving(dipper, folder) as port:
        ask_alone(port, 1)
        before, taken, after = metrics(port), ask_alone(port, seconds), metrics(port)
    moved = {name: after[name] - before[name] for name in after if name.startswith("dipper_embedder_wait_seconds")}
    return taken, moved["dipper_embedder_wait_seconds_sum"] / moved["dipper_embedder_wait_seconds_count"] * 1e3


def mixed(dipper, folder, seconds):
    """Returns tokens per second of 16 clients of wrk, and of the engine in batches of the same texts."""
    texts = [" ".join(random.choices(WORDS, k=random.randint(3, 48))) + f" {i}" for i in range(4000)]
    (folder / "mixed.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    script = folder / "mixed.lua"
    bodies = ",\n".join(json.dumps(body_of([text]).decode()) for text in texts)
    script.write_text(f"local bodies, at = {{{bodies}}}, 0\nfunction request()\n at = at % #bodies + 1\n"
                      " return wrk.format('POST', '/v1/embeddings', nil, bodies[at])\nend\n", encoding="utf-8")
    with serving(dipper, folder) as port:
        command = ["wrk", "-t1", "-c16", "-s", script, f"http://127.0.0.1:{port}", "-d"]
        subprocess.run([*command, "1"], capture_output=True, check=True)
        before, began = metrics(port), time.monotonic()
        done = subprocess.run([*command, str(seconds)], capture_output=True, text=True, check=True).stdout
        after, took = metrics(port), time.monotonic() - began
    assert "Non-2xx" not in done, done
    served = (after["dipper_batch_tokens_sum"] - before["dipper_batch_tokens_sum"]) / took
    done = subprocess.run([dipper, "bench", "embed", "--file", folder / "mixed.txt", "--batch", "256", "--seconds",
                           str(seconds), "--json"], capture_output=True, text=True, check=True)
    return served, max(case["tokens_s"] for case in json.loads(done.stdout)["cases"])


def measure(dipper, folder, rounds, seconds):
    found = {"alone": [], "1": [], "100": [], "mixed": []}
    for _ in range(rounds):
        first = unit(dipper)
        taken, wait = lone(dipper, folder, seconds)
        found["alone"].append((taken, wait, first))
        for clients in (1, 100):
            before = unit(dipper)
            taken, share = beside_bulk(dipper, folder, clients, seconds)
            found[str(clients)].append((taken, share, (before + unit(dipper)) / 2))
        found["mixed"].append(mixed(dipper, folder, seconds))
    return found


def quantile(taken, share):
    return taken[int(share * (len(taken) - 1))]


def report(found):
    lines = ["| one short text at a time | p50 ms | p99 ms | unit ms | p50 in units | p99 in units | bulk keeps of its speed |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    median = statistics.median
    for name, label in (("alone", "alone"), ("1", "beside one client's bulk"), ("100", "beside a hundred clients' bulk")):
        rows = found[name]
        p50, p99 = ([quantile(taken, share) for taken, _, _ in rows] for share in (0.5, 0.99))
        units = [one for _, _, one in rows]
        share = "" if name == "alone" else f"{median(row[1] for row in rows):.1%}"
        lines.append(f"| {label} | {median(p50):.2f} | {median(p99):.2f} | {median(units):.2f} | "
                     f"{median(p / u for p, u in zip(p50, units)):.2f} | {median(p / u for p, u in zip(p99, units)):.2f} | "
                     f"{share} |")
    wait = median(row[1] for row in found["alone"])
    served, engine = (median(column) for column in zip(*found["mixed"]))
    lines += ["", f"A lone text waits {wait * 1e3:.1f} µs in the queue of the embedder.", "",
              f"16 clients, texts of 5 to 50 tokens: {served:,.0f} tokens/s; the engine alone in batches of 256: "
              f"{engine:,.0f} ({median(s / e for s, e in found['mixed']):.1%})."]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--write", nargs="?", const=PAGE, type=pathlib.Path, metavar="PAGE")
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        print(json.dumps(ask_here(args.ask, args.seconds)))
        return
    dipper = pathlib.Path(args.build).resolve() / "dipper"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        lines = report(measure(dipper, pathlib.Path(name), args.rounds, args.seconds))
    lines = [f"{machine.line(TOP)}; clients and server share them, and so did other programs: the load average was {load:.1f} "
             f"before. Medians of {args.rounds} rounds of {args.seconds} s.", ""] + lines
    print("\n".join(lines))
    if args.write:
        machine.write_between(args.write, BEGIN, END, "\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
