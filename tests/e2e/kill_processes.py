#!/usr/bin/env python3
"""tests/e2e/kill_processes.py DIPPER ROOT [--seconds 60] [--seed 1]: writers and readers as processes that are killed at random.

Over one root, four servers take writes, four servers answer queries, and one process after another folds and merges. Every 0.3 to
1 s SIGKILL ends a server, and a new one takes its place. Each writing client has its own rows and writes them in order. So a row is
in the state of its latest acknowledged write, or of a later write that is not acknowledged. Every strong query must show each row in
such a state, and never in an older state than an earlier query has shown. All clients also write one shared row, whose upserts have
the condition that its number grows. At the end `dipper ns verify` must find no fault. Prints what happened; exits with 1 at the
first wrong answer.
"""
import argparse
import contextlib
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import clean_environment  # noqa: E402

WRITERS, READERS = 4, 4
ROWS = 30  # of each writer
SHARED = 1000 * 1000
NAME = "killed"
EVERYTHING = {"rank_by": ["id", "asc"], "limit": 10000, "include_attributes": ["v"]}
TIMEOUT = 60  # seconds for one answer


class Node:
    """A server over the root, which may be killed and started again."""

    def __init__(self, dipper, root, env):
        self.command = [dipper, "serve", "--root", root, "--listen", "127.0.0.1:0"]
        self.env = env
        self.lives = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=self.env)
        url = self.process.stdout.readline().strip()
        assert url.startswith("http://"), "a server does not start"
        self.address = url.removeprefix("http://")
        self.lives += 1

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Row:
    """A row as its writer knows it: its state after each write, oldest first, and which of the states were acknowledged."""

    def __init__(self):
        self.states = [None]  # a version, or None: there is no such row
        self.acknowledged = 0  # index of the latest state that must be seen
        self.lock = threading.Lock()

    def begin(self, state):
        with self.lock:
            self.states.append(state)
            return len(self.states) - 1

    def reach(self, index):
        with self.lock:
            self.acknowledged = max(self.acknowledged, index)

    def floor(self):
        with self.lock:
            return self.acknowledged

    def check(self, floor, state):
        """Fails unless the state is that of write `floor` or of a later write. Later checks must not see an older state."""
        with self.lock:
            for index in range(floor, len(self.states)):
                if self.states[index] == state:
                    self.acknowledged = max(self.acknowledged, index)
                    return
            raise AssertionError(f"{state} is shown, but {self.states[floor]} was acknowledged or shown before")


class World:
    def __init__(self, dipper, root, env, seed):
        self.dipper, self.root, self.env = dipper, root, env
        self.random = random.Random(seed)
        self.nodes = [Node(dipper, root, env) for _ in range(WRITERS + READERS)]
        self.rows = {w * 1000 + i: Row() for w in range(WRITERS) for i in range(ROWS)}
        self.shared = Row()
        self.failure = None
        self.ended = threading.Event()
        self.counts = dict.fromkeys(("acknowledged", "unclear", "refused", "answers", "kills", "killed_folders"), 0)
        self.lock = threading.Lock()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def fail(self, error):
        with self.lock:
            self.failure = self.failure or error
        self.ended.set()


def send(node, path, body, connections):
    """Sends a request to the node. Returns the status and the answer, or None if the node was killed meanwhile."""
    life = node.lives
    try:
        if connections.get(id(node), (0, None))[0] != life:
            connections[id(node)] = (life, http.client.HTTPConnection(node.address, timeout=TIMEOUT))
        connection = connections[id(node)][1]
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except TimeoutError as error:
        raise AssertionError(f"no answer in {TIMEOUT} s") from error
    except (OSError, http.client.HTTPException, ValueError):
        connections.pop(id(node), None)
        time.sleep(0.01)
        return None


def write_rows(world, number, randomness, connections):
    """Sends one write of a writer: some of its rows, and now and then the shared row."""
    ids = randomness.sample([i for i in world.rows if i // 1000 == number], randomness.randint(1, 5))
    body, begun = {"distance_metric": "euclidean_squared"}, []
    gone = [i for i in ids if randomness.random() < 0.2]
    for i in ids:
        state = None if i in gone else len(world.rows[i].states)
        begun.append((world.rows[i], world.rows[i].begin(state)))
        if state is not None:
            body.setdefault("upsert_rows", []).append({"id": i, "vector": [i, state, 1, 0], "v": state})
    if gone:
        body["deletes"] = gone
    if randomness.random() < 0.3:
        with world.lock:
            index = len(world.shared.states)
            begun.append((world.shared, world.shared.begin(index)))
        body.setdefault("upsert_rows", []).append({"id": SHARED, "vector": [0, 0, 0, 1], "v": index})
    body["upsert_condition"] = ["v", "Lt", {"$ref_new": "v"}]
    answer = send(world.nodes[number], f"/v2/namespaces/{NAME}", body, connections)
    if answer is None or answer[0] >= 500:
        world.count("unclear")
    elif answer[0] == 429:
        world.count("refused")
    else:
        assert answer[0] == 200, answer
        world.count("acknowledged")
        for row, index in begun:
            row.reach(index)


def read_rows(world, number, randomness, connections):
    """Sends one strong query. Its answer must show all that was acknowledged before the query began."""
    node = world.nodes[randomness.choice([number, randomness.randrange(len(world.nodes))])]
    floors = {i: row.floor() for i, row in world.rows.items()}
    shared = world.shared.floor()
    life = node.lives
    answer = send(node, f"/v2/namespaces/{NAME}/query", EVERYTHING, connections)
    if answer is None or (answer[0] >= 500 and (node.lives != life or node.process.poll() is not None)):
        return
    assert answer[0] == 200, answer
    shown = {row["id"]: row["v"] for row in answer[1]["rows"]}
    assert len(shown) == len(answer[1]["rows"]), "an id is shown twice"
    for i, row in world.rows.items():
        try:
            row.check(floors[i], shown.pop(i, None))
        except AssertionError as error:
            raise AssertionError(f"row {i}: {error}") from error
    world.shared.check(shared, shown.pop(SHARED, None))
    assert not shown, f"rows that nobody wrote: {shown}"
    world.count("answers")


def work(world, step, number, seed):
    randomness, connections = random.Random(seed), {}
    while not world.ended.is_set():
        try:
            step(world, number, randomness, connections)
        except Exception as error:  # the main thread reports it
            world.fail(error)


def fold(world):
    """Folds and merges again and again. Kills the process that does so now and then."""
    randomness = random.Random(world.random.random())
    while not world.ended.is_set():
        process = subprocess.Popen([world.dipper, "ns", "compact", NAME, "--root", world.root], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True, env=world.env)
        try:
            _, said = process.communicate(timeout=randomness.choice([0.02, 0.05, 0.1, TIMEOUT]))
            if process.returncode and "first" not in said and "meanwhile" not in said:
                world.fail(AssertionError(f"ns compact: {said}"))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            world.count("killed_folders")
        world.ended.wait(randomness.random())


def kill_nodes(world, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end and not world.ended.wait(world.random.uniform(0.3, 1) * min(1, seconds / 20)):
        node = world.random.choice(world.nodes)
        node.kill()
        node.start()
        world.count("kills")


def run(dipper, root, seconds, seed=1, env=None):
    """Lets the processes work for `seconds`. Returns what happened; fails at the first wrong answer."""
    world = World(str(dipper), str(root), clean_environment(**(env or {})), seed)
    try:
        write_rows(world, 0, random.Random(seed), {})
        assert world.counts["acknowledged"] == 1, "the first write fails"
        threads = [threading.Thread(target=work, args=(world, step, number, seed * 100 + number))
                   for step, numbers in ((write_rows, range(WRITERS)), (read_rows, range(WRITERS, WRITERS + READERS)))
                   for number in numbers]
        threads.append(threading.Thread(target=fold, args=(world,)))
        for thread in threads:
            thread.start()
        try:
            kill_nodes(world, seconds)
        finally:
            world.ended.set()
            for thread in threads:
                thread.join()
        if world.failure:
            raise world.failure
        for number in range(len(world.nodes)):
            read_rows(world, number, random.Random(number), {})
    finally:
        for node in world.nodes:
            with contextlib.suppress(ProcessLookupError):
                node.process.send_signal(signal.SIGTERM)
        for node in world.nodes:
            node.process.communicate()
    verified = subprocess.run([dipper, "ns", "verify", NAME, "--root", root, "--json"], capture_output=True, text=True, env=world.env,
                              check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return world.counts | {"log_entries": json.loads(verified.stdout)["log_entries"]}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dipper")
    parser.add_argument("root")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # The settings of the root, its keys for instance, come from the environment.
    env = {k: v for k, v in os.environ.items() if k.startswith(("AWS_", "S3_", "DIPPER_"))}
    print(json.dumps(run(given.dipper, given.root, given.seconds, given.seed, env)))


if __name__ == "__main__":
    main()
