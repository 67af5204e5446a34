#!/usr/bin/env python3
"""bench/load/tls.py [--build build] [--seconds 4] [--rounds 3] [--write]: what TLS costs a server and its clients.

Starts one server with TLS (an EC key of 256 bits, a self-signed certificate) and one without. wrk asks both in turn, with 16 connections, for
the embedding of a text that the cache has: on connections that stay open, and on a new connection for each request. Prints answers a
second and median times, medians of the rounds; wrk and the server share the processors. --write also puts the table into
docs/benchmarks/load.md. Needs wrk (scripts/setup --bench) and openssl.
"""
import argparse
import contextlib
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "bench"), str(TOP / "bench" / "load")]

import machine  # noqa: E402  the paths come first
from load import PAGE, figures  # noqa: E402

BEGIN, END = "<!-- bench/load/tls.py writes from here -->", "<!-- to here: TLS -->"
LUA = """wrk.method, wrk.body = "POST", '{"text":"the river and the stone"}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Connection"] = os.getenv("DIPPER_BENCH_CONNECTION")
"""


@contextlib.contextmanager
def serving(dipper, folder, *arguments):
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    process = subprocess.Popen([dipper, "serve", "--listen", "127.0.0.1:0", "--log-format", "off", *arguments], cwd=folder,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(60)


def measure(url, script, connection, seconds):
    """Returns answers a second, the median in ms, and how many answers failed."""
    process = subprocess.Popen(["wrk", "-t1", "-c16", f"-d{seconds}", "--latency", "-s", script, f"{url}/v1/embed"], stdout=subprocess.PIPE,
                               text=True, env=dict(os.environ, DIPPER_BENCH_CONNECTION=connection))
    rate, p50, _, refused, _ = figures(process)
    return rate, p50, refused


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    dipper, load = options.build.resolve() / "dipper", os.getloadavg()[0]
    found = {}
    with tempfile.TemporaryDirectory(prefix="dipper-tls-") as name:
        folder = pathlib.Path(name)
        (folder / "ask.lua").write_text(LUA, encoding="utf-8")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True)
        with serving(dipper, folder) as plain, serving(dipper, folder, "--tls-cert", "cert.pem", "--tls-key", "key.pem") as secure:
            for _ in range(options.rounds):
                for connection in ("keep-alive", "close"):
                    for url in (plain, secure):
                        found.setdefault((connection, url[:5] == "https"), []).append(
                            measure(url, folder / "ask.lua", connection, options.seconds))
    lines = ["| connections | | answers/s | p50, ms | failed |", "|---|---|---:|---:|---:|"]
    for (connection, is_tls), rounds in found.items():
        rate, p50 = (statistics.median(column) for column in list(zip(*rounds))[:2])
        lines.append(f"| {'stay open' if connection == 'keep-alive' else 'a new one for each request'} | {'TLS' if is_tls else 'plain'} "
                     f"| {rate:,.0f} | {p50:.2f} | {sum(row[2] for row in rounds)} |")
    print("\n".join(lines))
    if options.write:
        about = f"{machine.line(TOP)}; load average {load:.1f} before."
        machine.write_between(PAGE, BEGIN, END, f"\n{about}\n\n" + "\n".join(lines) + "\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
