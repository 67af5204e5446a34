"""Requests whose end two programs may see in different places, and random damage: one answer for each request, none for what an
attacker hid in one, and a server that goes on."""
import random
import re
import signal
import socket
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving import serving_process

BODY = b'{"text":"hi"}'
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /v1/embed HTTP/1.1\r\n" + HOST
LENGTH = b"Content-Length: 13\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HIDDEN = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"  # answered with a 404 if it counts as a request
END = b"GET /end HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"  # answered with a 404, and then the connection closes

# What is sent, and the statuses of the answers. END follows each; where it is not answered, the server has closed.
REFUSED = {
    "a length beside chunks": (POST + b"Content-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nG" + HIDDEN, 400),
    "chunks beside a length": (POST + CHUNKED + b"Content-Length: 4\r\n\r\n5c\r\n" + HIDDEN + b"\r\n0\r\n\r\n", 400),
    "the same length twice": (POST + LENGTH + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "two lengths": (POST + b"Content-Length: 0\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a list of lengths": (POST + b"Content-Length: 13, 13\r\n\r\n" + BODY + HIDDEN, 400),
    "a signed length": (POST + b"Content-Length: +13\r\n\r\n" + BODY + HIDDEN, 400),
    "a negative length": (POST + b"Content-Length: -1\r\n\r\n" + BODY + HIDDEN, 400),
    "a hexadecimal length": (POST + b"Content-Length: 0xd\r\n\r\n" + BODY + HIDDEN, 400),
    "a length with a vertical tab": (POST + b"Content-Length: 13\x0b\r\n\r\n" + BODY + HIDDEN, 400),
    "an empty length": (POST + b"Content-Length: \r\n\r\n" + BODY + HIDDEN, 400),
    "a length of 2^64": (POST + b"Content-Length: 18446744073709551616\r\n\r\n" + BODY + HIDDEN, 413),
    "a blank before the colon": (POST + b"Content-Length : 13\r\n\r\n" + BODY + HIDDEN, 400),
    "a tab before the colon": (POST + b"Content-Length\t: 13\r\n\r\n" + BODY + HIDDEN, 400),
    "a folded length": (POST + b"X: a\r\n " + LENGTH + b"\r\n" + HIDDEN, 400),
    "a folded coding": (POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    "an unknown coding": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    "a coding behind chunks": (POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    "a coding before chunks": (POST + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    "two codings": (POST + CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" + HIDDEN, 501),
    "a coding with a vertical tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    "a quoted coding": (POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' + HIDDEN, 501),
    "a coding with a NUL": (POST + b"Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n" + HIDDEN, 400),
    "chunks in HTTP/1.0": (b"POST /v1/embed HTTP/1.0\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "bare line feeds": (b"POST /v1/embed HTTP/1.1\nHost: 127.0.0.1\nContent-Length: 13\n\n" + BODY + HIDDEN, 400),
    "one bare line feed": (b"POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a bare carriage return": (b"POST /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a head that ends with a bare line feed": (POST + LENGTH + b"\n" + BODY + HIDDEN, 400),
    "no host": (b"POST /v1/embed HTTP/1.1\r\n" + LENGTH + b"\r\n" + BODY, 400),
    "two hosts": (POST + HOST + LENGTH + b"\r\n" + BODY, 400),
    "https in the target": (b"GET https://evil/health HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a chunk's extension with a line feed": (POST + CHUNKED + b"\r\nd;a\n=b\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk of 0xd": (POST + CHUNKED + b"\r\n0xd\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk of -1": (POST + CHUNKED + b"\r\n-1\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk of 2^68": (POST + CHUNKED + b"\r\nffffffffffffffff1\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 413),
    "blanks around a chunk's size": (POST + CHUNKED + b"\r\n d \r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "a chunk that is too long": (POST + CHUNKED + b"\r\nc\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "a request as a trailer": (POST + CHUNKED + b"\r\nd\r\n" + BODY + b"\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400),
    "HTTP/1.2": (b"GET /health HTTP/1.2\r\n" + HOST + b"\r\n", 505),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "HTTP/0.9": (b"GET /health\r\n\r\n", 400),
    "http in lower case": (b"GET /health http/1.1\r\n" + HOST + b"\r\n", 400),
    "a version with a letter": (b"GET /health HTTP/1.1x\r\n" + HOST + b"\r\n", 400),
    "two blanks": (b"GET  /health  HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a blank in the target": (b"GET /he alth HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a NUL in the target": (b"GET /he\x00alth HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "a GET with chunks": (b"GET /health HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n25\r\n" + HIDDEN + b"\r\n0\r\n\r\n" + HIDDEN, 400),
    "CONNECT": (b"CONNECT x:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
    "an unknown expectation": (POST + b"Expect: 200-ok\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 417),
    "a line that begins with a colon": (POST + b": x\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a line without a colon": (POST + b"foo\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a NUL in a name": (POST + b"Content-Len\x00gth: 3\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "a letter beyond ASCII in a name": (POST + b"Content-L\xe9ngth: 3\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, 400),
    "101 fields": (POST + b"".join(b"a%d: b\r\n" % i for i in range(99)) + LENGTH + b"\r\n" + BODY, 431),
    "5,000 fields": (POST + b"".join(b"a%d: b\r\n" % i for i in range(5000)) + LENGTH + b"\r\n" + BODY, 431),
    "a head of 33 KB": (POST + b"a: " + b"b" * 33000 + b"\r\n" + LENGTH + b"\r\n" + BODY, 431),
    "a target of 40 KB": (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
}
ANSWERED = {
    "chunks in capitals": (POST + b"Transfer-Encoding: CHUNKED\r\n\r\nd\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, [200, 404]),
    "a name with an underscore": (POST + b"Transfer_Encoding: chunked\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, [200, 404]),
    "a whole URL": (b"GET http://evil/health HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a chunk's extension": (POST + CHUNKED + b"\r\nd;a=b\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, [200, 404]),
    "zeros before a chunk's size": (POST + CHUNKED + b"\r\n00000000d\r\n" + BODY + b"\r\n0\r\n\r\n" + HIDDEN, [200, 404]),
    "trailers": (POST + CHUNKED + b"\r\nd\r\n" + BODY + b"\r\n0\r\nX: y\r\nContent-Length: 5\r\n\r\n" + HIDDEN, [200, 404]),
    "chunks of a byte": (POST + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n" + HIDDEN, [200, 404]),
    "empty lines first": (b"\r\n\r\nGET /health HTTP/1.1\r\n" + HOST + b"\r\n", [200]),
    "a GET with a body": (b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN + HIDDEN, [200, 404]),
    "an upgrade": (b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + HIDDEN, [200, 404]),
    "a client that waits for 100": (POST + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY + HIDDEN, [100, 200, 404]),
    "100 fields": (POST + b"".join(b"a%d: b\r\n" % i for i in range(98)) + LENGTH + b"\r\n" + BODY, [200]),
    "a head of 30 KB": (POST + b"a: " + b"b" * 30000 + b"\r\n" + LENGTH + b"\r\n" + BODY, [200]),
    "a target of 31 KB": (b"GET /" + b"a" * 31000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [404]),
    "an endless method": (b"A" * 10000 + b" / HTTP/1.1\r\n" + HOST + b"\r\n", [405]),
}


@pytest.fixture(scope="module")
def server(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("framing") / "root"
    with serving_process(dipper, root, "--log-format", "off", "--head-timeout", "10s") as (url, process):
        yield urllib.parse.urlsplit(url), process


def converse(server, text):
    """Sends bytes and returns all that the server answers until it closes. A reset ends the answer too."""
    url, _ = server
    seen = b""
    with socket.create_connection((url.hostname, url.port), timeout=30) as client:
        try:
            client.sendall(text)
            while more := client.recv(1 << 16):
                seen += more
        except (ConnectionResetError, BrokenPipeError):
            pass
    return seen


def statuses(text):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", text)]


def test_ambiguous_requests_are_refused_and_nothing_behind_them_counts(server):
    with ThreadPoolExecutor(16) as pool:
        for name, got in zip(REFUSED, pool.map(lambda case: converse(server, case[0] + END), REFUSED.values())):
            # The library sends the head of its answer twice for a malformed length.
            assert set(statuses(got)) == {REFUSED[name][1]}, (name, got)


def test_unusual_requests_are_answered_once_each(server):
    with ThreadPoolExecutor(16) as pool:
        for name, got in zip(ANSWERED, pool.map(lambda case: converse(server, case[0] + END), ANSWERED.values())):
            assert statuses(got) == ANSWERED[name][1] + [404], (name, got)


SEEDS = (
    POST + b"Content-Type: application/json\r\n" + LENGTH + b"\r\n" + BODY,
    POST + b"Content-Encoding: gzip\r\n" + CHUNKED + b"\r\n14\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabV*I\xad(Q\r\n0\r\n\r\n",
    b"GET /v1/namespaces?prefix=a&cursor=%41 HTTP/1.1\r\n" + HOST + b"Authorization: Bearer fe_0\r\nOrigin: http://a\r\n\r\n",
    b'POST /v2/namespaces/n/query HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\n{"rank_by":["vector","ANN",[0.1,2e3,-4]],"limit":3}',
    b'POST /v2/namespaces/n HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 46\r\n\r\n{"upsert_rows":[{"id":1,"vector":[1,2,3]}],"a"',
    b"OPTIONS /v1/embed HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\nExpect: 100-continue\r\n\r\n",
    b'POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 66\r\n\r\n{"input":["\\ud83d\\ude00"],"model":"m","encoding_format":"base64"}  ',
)
PIECES = (b"\r\n", b"\n", b"\x00", b" ", b":", b"%00", b"\xff\xfe", b"9" * 25, b"[" * 900, b'"', b"chunked", b"Content-Length: 3\r\n", b"-1",
          b"\\ud800", b"e999", b"HTTP/1.0", b";", b"\t")


def damaged(random_numbers):
    """Returns a request with one to four random changes."""
    text = bytearray(random_numbers.choice(SEEDS))
    for _ in range(random_numbers.randint(1, 4)):
        at = random_numbers.randrange(len(text))
        match random_numbers.randrange(4):
            case 0: text[at] = random_numbers.randrange(256)
            case 1: del text[at:at + random_numbers.randint(1, 9)]
            case 2: text[at:at] = random_numbers.choice(PIECES)
            case 3: text[at:at] = text[at - random_numbers.randint(0, min(at, 40)):at]
        text = text or bytearray(b"\r\n")
    return bytes(text)


@pytest.mark.quick
def test_random_damage_is_answered_and_the_server_goes_on(server):
    """The connection closes for writing, so that an unfinished request ends at once."""
    numbers = random.Random(17)
    url, process = server

    def attack(text):
        seen = b""
        with socket.create_connection((url.hostname, url.port), timeout=60) as client:
            try:
                client.sendall(text + END)
                client.shutdown(socket.SHUT_WR)
                while more := client.recv(1 << 16):
                    seen += more
            except OSError as failure:
                assert not isinstance(failure, TimeoutError), text
        return text, statuses(seen)

    requests = [damaged(numbers) for _ in range(600)]
    with ThreadPoolExecutor(16) as pool:
        for text, got in pool.map(attack, requests):
            assert not {status for status in got if status >= 500 and status not in (501, 503, 505)}, (text, got)
    assert process.poll() is None
    assert statuses(converse(server, b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")) == [200]


def memory(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("VmRSS:")).split()[1]) << 10


@pytest.mark.parametrize("count", [6000, pytest.param(100000, marks=pytest.mark.long)])
def test_bad_requests_leave_memory_flat(server, count):
    url, process = server
    numbers = random.Random(count)
    kinds = [
        (b"POST", b"/v1/embed", b'{"text":1}'), (b"POST", b"/v1/embed", b"{"), (b"POST", b"/v1/embed", b"\xff"),
        (b"POST", b"/v1/embeddings", b'{"input":[]}'), (b"POST", b"/v2/namespaces/nope/query", b'{"rank_by":[]}'),
        (b"GET", b"/v1/namespaces/%2e%2e/metadata", b""), (b"DELETE", b"/v1/embed", b""), (b"POST", b"/nothing%d", b"[]"),
        (b"POST", b"/v1/indexes", b'{"name":"a","url":"file:///etc/passwd"}'),
    ]

    def send(how_many):
        while how_many:
            batch = min(200, how_many)
            text = b""
            for _ in range(batch):
                method, path, body = numbers.choice(kinds)
                path = path % numbers.getrandbits(40) if b"%d" in path else path
                text += method + b" " + path + b" HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(body) + body
            got = statuses(converse((url, process), text + END))
            assert len(got) == batch + 1 and all(400 <= status < 500 for status in got), got
            how_many -= batch

    send(count // 3)
    before = memory(process)
    send(count - count // 3)
    assert memory(process) < before + (4 << 20)


def test_a_server_under_attack_ends_cleanly(dipper, tmp_path):
    with serving_process(dipper, tmp_path / "root", "--log-format", "off", "--drain-timeout", "200ms") as (url, process):
        url = urllib.parse.urlsplit(url)
        half = [socket.create_connection((url.hostname, url.port), timeout=30) for _ in range(50)]
        for i, client in enumerate(half):
            client.sendall((POST + b"Content-Length: 99\r\n\r\n" + BODY)[:10 + 2 * i])
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        for client in half:
            client.close()
