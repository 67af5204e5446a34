#!/usr/bin/env python3
"""bench/load/open_loop.py [--build build] [--seconds 8] [--times 10] [--write]: requests that come at ten times what a server can do.

In a closed loop (overload.py) clients that wait for answers ask less when the server is slow. Here requests come by a clock, at random
moments, whether others were answered or not; each wants the embedding of a new text of some 120 tokens within two seconds
(X-Request-Timeout). First 64 clients in a closed loop show the server's peak. Polite requests that are refused come again after
Retry-After, and give up when their two seconds are over. Rude ones come again at once. Prints the answers with a vector per second, their
times since the try that was accepted, the refusals, and the memory. Client and server share the processors. --write also puts the table into docs/benchmarks/load.md.
"""
import argparse
import collections
import heapq
import json
import os
import pathlib
import random
import selectors
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench"), str(TOP / "bench" / "load")]

import machine  # noqa: E402  the paths come first
import overload  # noqa: E402
from load import PAGE, WORDS  # noqa: E402

BEGIN, END = "<!-- bench/load/open_loop.py writes from here -->", "<!-- to here: open loop -->"
DEADLINE = 2.0  # seconds
CONNECTIONS = 700  # a server lets one address have 768 by default
# Made before the clock runs, because the client's work takes time from the server. The server has no cache.
BODIES = [json.dumps({"text": " ".join(random.choices(WORDS, k=110)) + f" {random.getrandbits(48)}"}).encode() for _ in range(500)]
REQUESTS = [b"POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Request-Timeout: %g\r\nContent-Length: %d\r\n\r\n" % (DEADLINE, len(body)) + body
            for body in BODIES]


class Client(overload.Client):
    """A connection with one request at a time. `came`: when that request came first; `began`: when it was sent last."""

    came = 0

    def ask(self, now):
        self.began, self.heard = now, b""
        self.socket.sendall(random.choice(REQUESTS))


class OpenLoop:
    """Sends requests by a clock over a pool of connections."""

    def __init__(self, port, rate, polite):
        self.port, self.rate, self.polite = port, rate, polite
        self.selector, self.idle, self.open = selectors.DefaultSelector(), [], 0
        self.due = []  # heap of (moment, when the request came first)
        self.seen, self.times = collections.Counter(), []

    def connection(self):
        if self.idle:
            return self.idle.pop()
        if self.open == CONNECTIONS:
            return None
        client = Client(self.port)
        client.connect()
        self.selector.register(client.socket, selectors.EVENT_READ, client)
        self.open += 1
        return client

    def close(self, client):
        self.selector.unregister(client.socket)
        client.socket.close()
        self.open -= 1

    def send(self, now):
        """Sends all requests that are due."""
        while self.due and self.due[0][0] <= now:
            moment, came = heapq.heappop(self.due)
            if now - came > DEADLINE:
                self.seen["gave up"] += 1
                continue
            client = self.connection()
            if not client:
                heapq.heappush(self.due, (now + 0.01, came))
                return
            try:
                client.ask(now)
            except OSError:
                self.close(client)
                heapq.heappush(self.due, (now, came))
                continue
            client.came = came

    def hear(self, client):
        try:
            answer = client.hear()
        except (ConnectionError, BlockingIOError):
            answer = (0, 0.1, True)
        if not answer:
            return
        status, after, closes = answer
        now = time.monotonic()
        self.seen[status] += 1
        if status == 200:
            self.times.append(now - client.began)
        else:
            heapq.heappush(self.due, (now + (after * random.uniform(0.8, 1.2) if self.polite else 0), client.came))
        if closes:
            self.close(client)
        else:
            self.idle.append(client)

    def run(self, pid, seconds):
        began, most = time.monotonic(), 0
        arrival, sampled = began, began
        while (now := time.monotonic()) < began + seconds:
            while arrival <= now:
                heapq.heappush(self.due, (arrival, arrival))
                self.seen["came"] += 1
                arrival += random.expovariate(self.rate)
            self.send(now)
            for key, _ in self.selector.select(max(0, min(0.01, arrival - time.monotonic()))):
                self.hear(key.data)
            if now > sampled + 0.2:
                most, sampled = max(most, machine.memory(pid)), now
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.times.sort()
        return most


def figures(loop, seconds, peak, most):
    answered = len(loop.times) / seconds
    refused = sum(loop.seen[status] for status in (429, 503)) / seconds
    p50, p99 = (loop.times[int(len(loop.times) * share)] * 1000 for share in (0.5, 0.99))
    return (f"| {loop.rate:,.0f} a second, {'polite' if loop.polite else 'rude'} | {answered:,.0f} | {answered / peak * 100:.0f} % | {p50:.0f} "
            f"| {p99:.0f} | {refused:,.0f} | {loop.seen[504]} | {loop.seen[0]} | {most:.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    lines = ["| requests | vectors/s | of the peak before | p50, ms | p99, ms | refused/s | 504 | cut | memory, MiB |",
             "|---|---|---|---|---|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory(prefix="dipper-open-loop-") as folder:
        process = subprocess.Popen([options.build.resolve() / "dipper", "serve", "--root", f"{folder}/root", "--listen", "127.0.0.1:0",
                                    "--log-format", "off", "--l1-cache-size", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True, env=environment)
        try:
            port = int(process.stdout.readline().strip().rsplit(":", 1)[1])
            for polite in (True, False):
                peak = overload.run(port, process.pid, 64, options.seconds, True, Client)
                lines.append(f"| 64 clients in a closed loop | {peak['rate']:,.0f} | 100 % | {peak['p50']:.0f} | {peak['p99']:.0f} | 0 | 0 | 0 "
                             f"| {peak['memory']:.0f} |")
                print(lines[-1], flush=True)
                loop = OpenLoop(port, options.times * peak["rate"], polite)
                most = loop.run(process.pid, options.seconds)
                lines.append(figures(loop, options.seconds, peak["rate"], most))
                print(lines[-1], flush=True)
        finally:
            process.terminate()
            process.wait(60)
    if options.write:
        about = (f"{os.cpu_count()} processors, {machine.processor()}, {machine.system()}, commit {machine.commit(TOP)}, load average "
                 f"{load:.1f} before.")
        machine.write_between(PAGE, BEGIN, END, f"\n{about}\n\n" + "\n".join(lines) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
