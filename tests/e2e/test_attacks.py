"""Attacks on a running server, each one cheap: what one client does must not keep the others from their answers."""
import http.client
import re
import signal
import socket
import urllib.parse

import pytest

from redis_server import until
from serving import serving_process


def ask(url, method, path, body=None, headers=None, timeout=20):
    """Sends one request on a connection of its own. Returns the status, the headers and the body of the answer."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def connect(url, timeout=20):
    parts = urllib.parse.urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=timeout)


def answers(client, count):
    """Returns the statuses of the next `count` answers of a connection, or of fewer if it ends."""
    seen = b""
    while len(statuses(seen)) < count or not seen.endswith((b"}", b"\r\n\r\n")):
        more = client.recv(1 << 16)
        if not more:
            break
        seen += more
    return statuses(seen)


def statuses(text):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]


def metric(url, name):
    """Returns the value of a metric without labels."""
    lines = ask(url, "GET", "/metrics")[2].decode().splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[1])


def test_a_log_that_nobody_reads_stops_no_request(start, tmp_path):
    server = start("serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0", "--log-format", "json")
    url = server.stdout.readline().decode().strip()
    request = b"GET /" + b"x" * 600 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"  # the log has 512 bytes of the path
    with connect(url) as client:
        for _ in range(20):  # more than the pipe and the memory of the log hold
            client.sendall(request * 100)
            assert answers(client, 100) == [404] * 100
    dropped = metric(url, "dipper_log_lines_dropped_total")
    assert dropped > 0
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=20)  # although nobody has read the log
    assert server.returncode == 0


@pytest.fixture(scope="module")
def small_server(dipper, tmp_path_factory):
    """A server with few places, whose log the tests may read at its end."""
    root = tmp_path_factory.mktemp("attacks") / "root"
    with serving_process(dipper, root, "--max-connections", "16", "--trusted-proxies", "127.0.0.9", "--head-timeout", "2s",
                         "--log-format", "off") as (url, _):
        yield url


LIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_idle_connections_of_one_client_lock_nobody_out(small_server):
    """An attacker takes a place whenever one is free, and keeps it without a word."""
    kept = []
    for _ in range(64):
        client = connect(small_server)
        client.sendall(LIVE)
        assert answers(client, 1) == [200]
        kept.append(client)
    assert ask(small_server, "GET", "/health/live", timeout=5)[0] == 200  # not after the 75 s of --idle-timeout
    assert metric(small_server, "dipper_http_idle_closed_total") >= 48
    for client in kept:
        client.close()


def test_one_address_cannot_take_all_places(small_server):
    """Heads without an end are not idle. Their address gets three quarters of the places, another one the rest."""
    until(lambda: metric(small_server, "dipper_http_connections") == 1)  # those of other tests have ended
    clients = []
    for _ in range(12):
        clients.append(connect(small_server))
        clients[-1].sendall(b"GET /health/live HTTP/1.1\r\n")
    clients.append(connect(small_server))
    assert answers(clients[-1], 1) == [429]
    parts = urllib.parse.urlsplit(small_server)
    with socket.create_connection((parts.hostname, parts.port), 5, source_address=("127.0.0.2", 0)) as other:
        other.sendall(LIVE)
        assert answers(other, 1) == [200]
    for client in clients:
        client.close()


def test_a_client_is_believed_only_by_way_of_a_trusted_proxy(start, tmp_path):
    server = start("serve", "--root", tmp_path / "root", "--listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.9 10.0.0.0/8")
    parts = urllib.parse.urlsplit(server.stdout.readline().decode().strip())
    for number, source in enumerate(("127.0.0.9", "127.0.0.1")):
        with socket.create_connection((parts.hostname, parts.port), 5, source_address=(source, 0)) as client:
            client.sendall(b"GET /%d HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.1.1.1\r\n\r\n" % number)
            assert answers(client, 1) == [404]
    server.send_signal(signal.SIGTERM)
    log = server.communicate(timeout=20)[1].decode()
    assert " 203.0.113.9 GET /0 " in log
    assert re.search(r" 127\.0\.0\.1:\d+ GET /1 ", log)
    assert "6.6.6.6" not in log
