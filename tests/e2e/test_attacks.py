"""Attacks on a running server, each one cheap: what one client does must not keep the others from their answers."""
import http.client
import re
import signal
import socket
import urllib.parse


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
    request = b"GET /" + b"x" * 600 + b" HTTP/1.1\r\nHost: x\r\n\r\n"  # the log has 512 bytes of the path
    with connect(url) as client:
        for _ in range(20):  # more than the pipe and the memory of the log hold
            client.sendall(request * 100)
            assert answers(client, 100) == [404] * 100
    dropped = metric(url, "dipper_log_lines_dropped_total")
    assert dropped > 0
    server.send_signal(signal.SIGTERM)
    server.wait(timeout=20)  # although nobody has read the log
    assert server.returncode == 0
