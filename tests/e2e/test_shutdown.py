"""A server that ends while clients lean on it: every answer is whole and right, every acknowledged write and every text that
was answered has counted, and nothing that waits in a queue of the server holds up its end."""
import collections
import http.client
import json
import signal
import threading
import urllib.request

import pytest
from accounts import Accounts
from serving import serving_process

CLIENTS = {"embed": 4, "search": 2, "write": 2}
ENOUGH = 5  # answers of each client before the server is told to end


class Client(threading.Thread):
    """Asks one kind of request on one connection until the server is gone."""

    def __init__(self, kind, number, node, key):
        super().__init__(daemon=True)
        self.kind, self.number, self.address, self.key = kind, number, node.url.removeprefix("http://"), key
        self.warm, self.statuses, self.written, self.faults = threading.Event(), collections.Counter(), [], []

    def request(self, n):
        words = f"text {n} of client {self.number}"
        if self.kind == "embed":
            return "/v1/embed", {"text": words}
        if self.kind == "write":
            return "/v2/namespaces/rows", {"upsert_rows": [{"id": f"{self.number}-{n}", "n": n}]}
        return "/v2/namespaces/rows/query", {"rank_by": ["id", "asc"], "limit": 3}

    def judge(self, n, status, answer):
        self.statuses[status] += 1
        if status == 503 and "ending" in json.dumps(answer):
            return
        good = {"embed": lambda: len(answer["embedding"]) == 384, "write": lambda: answer["rows_affected"] == 1,
                "search": lambda: isinstance(answer["rows"], list)}[self.kind]
        if status != 200 or not good():
            self.faults.append(f"{self.kind} {n}: {status} {answer!r:.200}")
        elif self.kind == "write":
            self.written.append(f"{self.number}-{n}")

    def run(self):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        n = 0
        while True:
            path, body = self.request(n)
            answer = None
            try:
                connection.request("POST", path, json.dumps(body), headers)
                answer = connection.getresponse()
                self.judge(n, answer.status, json.loads(answer.read()))
            except (OSError, http.client.HTTPException, ValueError) as failure:
                if answer or not isinstance(failure, ConnectionError):  # RemoteDisconnected: no byte of an answer came
                    self.faults.append(f"{self.kind} {n}: {failure!r}")
                return
            n += 1
            if n == ENOUGH:
                self.warm.set()


@pytest.fixture
def accounts(dipper, tmp_path):
    return Accounts(dipper, f"sqlite://{tmp_path}/accounts.db")


def ids_of(node, key):
    """Returns the ids of all rows of the namespace."""
    body = json.dumps({"rank_by": ["id", "asc"], "limit": 10000}).encode()
    asked = urllib.request.Request(node.url + "/v2/namespaces/rows/query", body, {"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        return {row["id"] for row in json.load(answer)["rows"]}


def test_a_server_that_ends_under_load_keeps_its_word(accounts, tmp_path):
    key = accounts.key("ada@example.org", "--tier", "pro", "--rights", "embed,read,write")["key"]
    with accounts.serve(tmp_path) as node:
        first = json.dumps({"upsert_rows": [{"id": "first", "n": 0}], "schema": {"id": "string"}}).encode()
        urllib.request.urlopen(urllib.request.Request(node.url + "/v2/namespaces/rows", first,
                                                      {"Authorization": f"Bearer {key}"}), timeout=60).close()
        clients = [Client(kind, i, node, key) for kind, count in CLIENTS.items() for i in range(count)]
        for client in clients:
            client.start()
        for client in clients:
            assert client.warm.wait(60), client.faults
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(60) == 0, node.log()
        for client in clients:
            client.join(60)
            assert not client.is_alive() and not client.faults, client.faults
    embedded = sum(client.statuses[200] for client in clients if client.kind == "embed")
    assert accounts.used() == embedded
    written = {row for client in clients for row in client.written}
    with accounts.serve(tmp_path) as node:
        assert len(written) >= 2 * ENOUGH and written < ids_of(node, key)


@pytest.mark.parametrize("hangups", [0, 1])
def test_the_end_of_a_server_waits_for_no_reload_in_a_queue(dipper, tmp_path, hangups):
    """One reload runs, many wait for it: those that wait give up."""
    with serving_process(dipper, tmp_path / "root") as (url, process):
        connections = [http.client.HTTPConnection(url.removeprefix("http://"), timeout=60) for _ in range(40)]
        for connection in connections:  # so the server has accepted it
            connection.request("GET", "/health")
            connection.getresponse().read()
        for _ in range(hangups):
            process.send_signal(signal.SIGHUP)
        for connection in connections:
            connection.request("POST", "/admin/models/reload")
        statuses = collections.Counter()
        for i, connection in enumerate(connections):
            try:
                answer = connection.getresponse()
            except ConnectionError:  # its request had not come when the server ended
                continue
            text = json.loads(answer.read())
            statuses[answer.status] += 1
            if i == 0:
                process.send_signal(signal.SIGTERM)
            assert answer.status == 200 or (text["error"] == "unavailable" and "the server is ending" in text["message"]), text
        assert process.wait(60) == 0
    assert set(statuses) == {200, 503}
