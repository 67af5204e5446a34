#!/usr/bin/env python3
"""bench/load/overload.py [--build build] [--seconds 8] [--write]: ten times as many clients as a server can serve.

64 clients, each with a connection, ask for embeddings of new texts as fast as the answers come: that is the server's peak. Then 640
clients do: first such that wait after a 429 or 503 for as long as Retry-After says, then rude ones, which ask again at once. The peak
is measured again before each. Client and server share the processors. Prints the answers with a vector per second, their times, the
refusals, and the server's memory. --write also puts the table into docs/benchmarks/load.md.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import selectors
import socket
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench"), str(TOP / "bench" / "load")]

import machine  # noqa: E402  the paths come first
from load import PAGE, WORDS  # noqa: E402

BEGIN, END = "<!-- bench/load/overload.py writes from here -->", "<!-- to here, too -->"
LAST = 60  # seconds to wait for the last answers


class Client:
    """A connection with one request at a time."""

    def __init__(self, port):
        self.port, self.socket, self.heard, self.began, self.due = port, None, b"", 0, 0

    def connect(self):
        self.socket, self.heard = socket.create_connection(("127.0.0.1", self.port), timeout=30), b""
        self.socket.setblocking(False)

    def ask(self, now):
        body = json.dumps({"text": " ".join(random.choices(WORDS, k=8)) + f" {random.getrandbits(48)}"}).encode()
        self.began, self.heard = now, b""
        self.socket.sendall(b"POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\n\r\n" % (self.port, len(body)) + body)

    def hear(self):
        """Reads. Returns None, or the status, the seconds of Retry-After, and whether the connection ends."""
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionResetError
        self.heard += more
        head, found, body = self.heard.partition(b"\r\n\r\n")
        if not found:
            return None
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields.get(b"content-length", 0)):
            return None
        return int(head[9:12]), float(fields.get(b"retry-after", 0)), fields.get(b"connection") == b"close"


def run(port, pid, count, seconds, polite, kind=Client):
    """Lets `count` clients ask. Returns what they saw."""
    selector, waiting = selectors.DefaultSelector(), []
    seen, times, most = collections.Counter(), [], 0
    for _ in range(count):
        client = kind(port)
        client.connect()
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.ask(time.monotonic())
    began = time.monotonic()
    while (now := time.monotonic()) < began + seconds:
        for key, _ in selector.select(0.01):
            client = key.data
            try:
                answer = client.hear()
            except (ConnectionError, BlockingIOError):
                seen["cut"] += 1
                answer = (0, 1, True)
            if not answer:
                continue
            status, after, closes = answer
            seen[status] += 1
            now = time.monotonic()
            if status == 200:
                times.append(now - client.began)
            if closes:
                selector.unregister(client.socket)
                client.socket.close()
                client.socket = None
            client.due = now + (after * random.uniform(0.8, 1.2) if polite and status != 200 else 0)
            waiting.append(client)
        later = []
        for client in waiting:
            if client.due > now:
                later.append(client)
                continue
            if not client.socket:
                client.connect()
                selector.register(client.socket, selectors.EVENT_READ, client)
            client.ask(now)
        waiting = later
        most = max(most, machine.memory(pid))
    for client in [key.data for key in selector.get_map().values()]:
        client.socket.close()
    times.sort()
    return {"rate": len(times) / seconds, "p50": times[len(times) // 2] * 1000, "p99": times[int(len(times) * 0.99)] * 1000, "seen": seen,
            "memory": most}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    with tempfile.TemporaryDirectory(prefix="dipper-overload-") as folder:
        process = subprocess.Popen([options.build.resolve() / "dipper", "serve", "--root", f"{folder}/root", "--listen", "127.0.0.1:0",
                                    "--log-format", "off"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
        lines = ["| clients | vectors/s | of the peak before | p50, ms | p99, ms | refused/s | cut | memory, MiB |", "|---|---|---|---|---|---|---|---|"]
        print("\n".join(lines), flush=True)
        try:
            port, peak = int(process.stdout.readline().strip().rsplit(":", 1)[1]), None
            for count, polite in ((64, True), (640, True), (64, True), (640, False), (64, True)):
                found = run(port, process.pid, count, options.seconds, polite)
                peak = found["rate"] if count == 64 else peak
                refused = sum(times for status, times in found["seen"].items() if status in (429, 503)) / options.seconds
                name = "64" if count == 64 else f"{count}, {'polite' if polite else 'rude'}"
                lines.append(f"| {name} | {found['rate']:,.0f} | {found['rate'] / peak * 100:.0f} % | {found['p50']:.0f} | {found['p99']:.0f} "
                             f"| {refused:,.0f} | {found['seen']['cut']} | {found['memory']:.0f} |")
                print(lines[-1], flush=True)
        finally:
            process.terminate()
            process.wait(LAST)
    if options.write:
        about = f"{machine.processor()}, {os.cpu_count()} processors, commit {machine.commit(TOP)}, load average {load:.1f} before."
        machine.write_between(PAGE, BEGIN, END, f"\n{about}\n\n" + "\n".join(lines) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
