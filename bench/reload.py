#!/usr/bin/env python3
"""bench/reload.py [--build build] [--seconds 5] [--reloads 500] [--write]: a server whose model is reloaded while it answers.

Four clients embed texts that no cache has, over loopback, one after another. Parts with a reload every half second and parts
without one follow each other in turns. Then the model of a fresh server is reloaded --reloads times, and after some of these the script
notes the memory of the server. Last it starts the server 20 times, and waits each time for the first answer. --write puts the table into
docs/benchmarks/embedding-service.md.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

import machine

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs/benchmarks/embedding-service.md"
BEGIN, END = "<!-- bench/reload.py writes from here -->\n", "<!-- to here: reload -->"
CLIENTS, TURNS, STARTS, PAUSE = 4, 3, 20, 0.5
NOTED = (5, 50, 100, 250, 500)


def start(dipper):
    server = subprocess.Popen([dipper, "serve", "--listen", "127.0.0.1:0", "--log-format", "off", "--log-level", "error"],
                              stdout=subprocess.PIPE, text=True)
    return server, int(server.stdout.readline().rsplit(":", 1)[1])


def ask(connection, method, path, body=None):
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def client(port, name, ended):
    """The milliseconds of each request, and how many of them failed."""
    connection, took, failed = http.client.HTTPConnection("127.0.0.1", port), [], 0
    while not ended.is_set():
        body = json.dumps({"text": f"{name}: text number {len(took)} of this client, which nobody has sent before"})
        began = time.perf_counter()
        status, _ = ask(connection, "POST", "/v1/embed", body)
        took.append((time.perf_counter() - began) * 1000)
        failed += status != 200
    connection.close()
    return took, failed


def reload(port, ended):
    connection, count = http.client.HTTPConnection("127.0.0.1", port), 0
    while not ended.wait(PAUSE):
        status, answer = ask(connection, "POST", "/admin/models/reload")
        assert status == 200, answer
        count += 1
    connection.close()
    return count


def part(port, name, seconds, reloads):
    """Times and failures of all clients in one part, and the number of reloads."""
    ended = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as pool:
        clients = [pool.submit(client, port, f"{name} {n}", ended) for n in range(CLIENTS)]
        reloader = pool.submit(reload, port, ended) if reloads else None
        time.sleep(seconds)
        ended.set()
        results = [c.result() for c in clients]
        return ([ms for took, _ in results for ms in took], sum(failed for _, failed in results),
                reloader.result() if reloader else 0)


def under_load(port, seconds):
    took, failed, reloads = {False: [], True: []}, 0, 0
    for turn in range(TURNS):
        for with_reloads in (False, True):
            times, failures, count = part(port, f"{turn} {with_reloads}", seconds, with_reloads)
            took[with_reloads] += times
            failed += failures
            reloads += count
    yield "| single requests | requests | p50 ms | p99 ms |"
    yield "|---|---:|---:|---:|"
    for with_reloads, name in ((False, "no reload"), (True, f"a reload every {PAUSE} s")):
        times = sorted(took[with_reloads])
        yield (f"| {name} | {len(times):,} | {statistics.median(times):.2f} | "
               f"{times[int(len(times) * 0.99)]:.2f} |")
    yield ""
    yield f"{reloads} reloads, {failed} failed requests."
    yield ""


def many_reloads(port, pid, count):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    yield "| reloads | memory of the server, MiB |"
    yield "|---:|---:|"
    for n in range(1, count + 1):
        status, answer = ask(connection, "POST", "/admin/models/reload")
        assert status == 200, answer
        if n in NOTED:
            yield f"| {n} | {machine.memory(pid):.1f} |"
    connection.close()
    yield ""


def starts(dipper):
    took, computed = [], []
    for _ in range(STARTS):
        began = time.perf_counter()
        server, port = start(dipper)
        connection = http.client.HTTPConnection("127.0.0.1", port)
        assert ask(connection, "GET", "/health/ready")[0] == 200
        took.append((time.perf_counter() - began) * 1000)
        server.terminate()
        _, _, used = os.wait4(server.pid, 0)
        computed.append((used.ru_utime + used.ru_stime) * 1000)
        server.returncode = 0
    yield (f"From exec to the first answer of `/health/ready`, the model inside the program, {STARTS} starts: "
           f"least {min(took):.0f} ms, median {statistics.median(took):.0f} ms. Such a server, until it has ended, takes "
           f"{min(computed):.0f} ms of processor time (median {statistics.median(computed):.0f} ms).")


def report(dipper, arguments):
    yield (f"{os.cpu_count()} processors, {machine.processor()}, {machine.system()}, commit {machine.commit(TOP)}; clients and server "
           f"share them. Load of the machine at the start: {os.getloadavg()[0]:.1f}.")
    yield ""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for measure in (lambda port, _: under_load(port, arguments.seconds),
                        lambda port, pid: many_reloads(port, pid, arguments.reloads)):
            server, port = start(dipper)
            try:
                yield from measure(port, server.pid)
            finally:
                server.terminate()
                server.wait()
        yield from starts(dipper)
        os.chdir(TOP)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--reloads", type=int, default=500)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    dipper = pathlib.Path(arguments.build).resolve() / "dipper"
    machine.print_report(report(dipper, arguments), PAGE if arguments.write else None, BEGIN, END)


if __name__ == "__main__":
    main()
