"""Bodies of up to 256 MiB for requests that write rows: limits, memory, files, and every way in which a request can end."""
import concurrent.futures
import contextlib
import gzip
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import zlib

import pytest

from conftest import clean_environment
from serving import make_root, serving_process

MIB = 1 << 20
WRITE = "/v2/namespaces/packages"
TAKEN = (200, 400, 404, 422)  # the handler got the body, and accepted or refused it


@pytest.fixture(scope="module")
def root(dipper, tmp_path_factory):
    return make_root(dipper, tmp_path_factory.mktemp("large"))


class Client:
    """A connection that sends a request in parts."""

    def __init__(self, url, path=WRITE, **headers):
        address = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=120)
        lines = [f"POST {path} HTTP/1.1", f"Host: {address.netloc}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())

    def send(self, data):
        self.socket.sendall(data)
        return self

    def send_blanks(self, size):
        piece = b" " * MIB
        while size:
            size -= self.socket.send(piece[:size])
        return self

    def answer(self):
        """Returns the status, the headers and the JSON of the answer."""
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        self.leave()
        return int(first.split()[1]), headers, json.loads(body)

    def leave(self):
        self.socket.close()


def post(url, body, path=WRITE, **headers):
    client = Client(url, path, Content_Length=len(body), **headers)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server may refuse before it has read all
        client.send(body)
    return client.answer()


def spilled(process):
    """Returns the sizes of the server's temporary files."""
    sizes = []
    folder = pathlib.Path(f"/proc/{process.pid}/fd")
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(entry).endswith(" (deleted)"):
                sizes.append(entry.stat().st_size)
    return sizes


def anonymous_memory(process):
    """Returns the resident bytes without those of mapped files, which belong to the page cache."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.02)


def zstd(data):
    if not shutil.which("zstd"):
        pytest.skip("no zstd")
    return subprocess.run(["zstd", "-q", "-1", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def test_the_limit_and_one_byte_beyond(dipper, root):
    most = 20 * MIB
    with serving_process(dipper, root, "--max-write-body-bytes", "20MiB") as (url, process):
        for size in (most, most + 1):
            plain = b" " * size
            for body, encoding in ((plain, "identity"), (gzip.compress(plain, 1), "gzip"), (zstd(plain), "zstd")):
                status, _, answer = post(url, body, Content_Encoding=encoding)
                if size == most:
                    assert status in TAKEN, (encoding, status, answer)
                else:
                    assert status == 413 and str(most) in answer["error"], (encoding, status, answer)
            for chunk in (MIB, 1000):  # the server reads several small chunks at once
                client = Client(url, Transfer_Encoding="chunked")
                chunks = (plain[at:at + chunk] for at in range(0, size, chunk))
                client.send(b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in chunks) + b"0\r\n\r\n")
                status, _, answer = client.answer()
                assert status in TAKEN if size == most else status == 413 and str(most) in answer["error"]
        assert spilled(process) == []
        # Other routes keep their limit.
        status, _, answer = post(url, b" " * (32 * MIB + 1), "/v2/namespaces/packages/query")
        assert status == 413 and str(32 * MIB) in answer["error"]


def test_the_default_limit(dipper, root):
    with serving_process(dipper, root) as (url, _):
        assert Client(url, Content_Length=256 * MIB).send_blanks(256 * MIB).answer()[0] in TAKEN
        status, _, answer = post(url, gzip.compress(bytes(256 * MIB + 1), 1), Content_Encoding="gzip")
        assert status == 413 and str(256 * MIB) in answer["error"]


def test_a_declared_length_beyond_the_limit_is_refused_at_once(dipper, root):
    with serving_process(dipper, root) as (url, process):
        status, headers, answer = Client(url, Content_Length=256 * MIB + 1).answer()
        assert status == 413 and str(256 * MIB) in answer["error"] and headers["connection"] == "close"
        status, _, _ = Client(url, Content_Length=256 * MIB + 1, Expect="100-continue").answer()
        assert status == 413
        assert spilled(process) == []


def test_four_large_bodies_take_little_memory(dipper, root):
    """The memory of a server while 4 clients send 200 MB each stays within 64 MiB for each."""
    with serving_process(dipper, root) as (url, process):
        before, most, files = anonymous_memory(process), 0, 0
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(lambda: Client(url, Content_Length=200_000_000).send_blanks(200_000_000).answer())
                     for _ in range(4)]
            while not all(future.done() for future in asked):
                most = max(most, anonymous_memory(process))
                files = max(files, len(spilled(process)))
                time.sleep(0.005)
        for future in asked:
            assert future.result()[0] in TAKEN
        print(f"4 × 200 MB: {(most - before) / MIB:.1f} MiB of memory, {files} files at a time")
        assert most - before <= 4 * 64 * MIB
        assert files >= 1
        assert spilled(process) == []


def rows_of(text, count):
    """Returns a write of about 200 MB: `count` rows, each the text `text` with the row's number in place of @."""
    body = b",".join(text.replace(b"@", b"%d" % i) for i in range(count))
    assert 190_000_000 <= len(body) <= 256 * MIB
    return b'{"distance_metric":"cosine_distance","upsert_rows":[' + body + b"]}"


@pytest.mark.parametrize("text, count, says", [
    (b'{"id":@}', 13_500_000, "more than 131072 rows"),
    (b'{"id":@,"s":"' + b"x" * 200_000_000 + b'"}', 1, "a row"),
    (b'{"id":@,"s":"' + b"\\u00e9" * 33_000_000 + b'"}', 1, "a row"),
    (b'{"id":@' + b"".join(b',"%03d":null' % i for i in range(1000)) + b"}", 18_000, "more than 1048576 values"),
], ids=["rows", "value", "escapes", "values"])
def test_rows_that_are_too_many_take_little_memory(dipper, root, text, count, says):
    """A write that neither an entry of the log nor a load can hold is refused before the parser needs more than 64 MiB."""
    body = rows_of(text, count)
    with serving_process(dipper, root) as (url, process):
        before, most = anonymous_memory(process), 0
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(post, url, body, "/v2/namespaces/new")
            while not asked.done():
                most = max(most, anonymous_memory(process))
                time.sleep(0.003)
        status, _, answer = asked.result()
        print(f"{(most - before) / MIB:.1f} MiB of memory, {status} {answer}")
        assert status == 413 and says in answer["error"], answer
        assert most - before <= 64 * MIB


def memory_of_post(url, process, body, path):
    """Returns the answer, and the MiB of memory that the server needed for it."""
    before, most = anonymous_memory(process), 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(post, url, body, path)
        while not asked.done():
            most = max(most, anonymous_memory(process))
            time.sleep(0.003)
    return asked.result(), (most - before) / MIB


@pytest.mark.parametrize("text, count", [
    (b'{"id":@,"a":"@","vector":"' + b"AACAPwAA" * 256 + b'"}', 15_000),
    (b'{"id":@,"s":"' + b"x" * 20_000 + b'"}', 2_000),
], ids=["vectors", "documents"])
def test_a_large_write_becomes_a_load(dipper, root, text, count):
    """Upserts that do not fit in an entry of the log take effect at one moment, like any write. With a condition they are refused."""
    body = b",".join(text.replace(b"@", b"%d" % i) for i in range(count))
    assert len(body) > 30_000_000
    name = f"load{count}"
    path = f"/v2/namespaces/{name}"
    first = text.replace(b"@", b"7")
    with serving_process(dipper, root) as (url, process):
        start = b'{"distance_metric":"cosine_distance","upsert_rows":['
        assert post(url, start + first + b"]}", path)[0] == 200
        (status, _, answer), memory = memory_of_post(url, process, start + body + b"]}", path)
        print(f"{len(body) / MIB:.0f} MiB of rows: {memory:.1f} MiB of memory, {status}")
        assert status == 200 and answer["rows_upserted"] == count, answer
        assert memory <= 64
        assert post(url, b'{"deletes":[3],"patch_rows":[{"id":4,"b":true}]}', path)[0] == 200
        query = b'{"rank_by":["id","asc"],"limit":4,"include_attributes":["b"],"filters":["id","Gte",2]}'
        rows = post(url, query, path + "/query")[2]["rows"]
        assert [(row["id"], row.get("b")) for row in rows] == [(2, None), (4, True), (5, None), (6, None)]
        status, _, answer = post(url, start + body + b'],"upsert_condition":["id","Gt",5]}', path)
        assert status == 413 and "split it" in answer["error"], answer
        manifest = json.loads((root / name / "manifest.json").read_text(encoding="utf-8"))
        assert manifest.get("pending", []) == [] and manifest["segments"]


def test_a_bomb_costs_no_disk_beyond_the_limit(dipper, root):
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(16 * MIB)) for _ in range(64)] + [packer.flush()])  # 1 GiB in 1 MB
    with serving_process(dipper, root, "--max-write-body-bytes", "64MiB") as (url, process):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(post, url, bomb, Content_Encoding="gzip")
            most = 0
            while not asked.done():
                most = max([most, *spilled(process)])
        status, _, answer = asked.result()
        assert status == 413 and str(64 * MIB) in answer["error"]
        assert most <= 64 * MIB and spilled(process) == []


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_lying_encodings(dipper, root, encoding):
    plain = os.urandom(12 * MIB)
    whole = gzip.compress(plain, 1) if encoding == "gzip" else zstd(plain)
    with serving_process(dipper, root) as (url, process):
        for body in (plain, whole[:-1], whole + b"x", whole[:len(whole) // 2], b"{}"):
            status, _, answer = post(url, body, Content_Encoding=encoding)
            assert status == 400 and f"{encoding} stream" in answer["error"], answer
        status, _, answer = post(url, whole, Content_Encoding="br")
        assert status == 415 and "zstd" in answer["error"]
        assert spilled(process) == []


def test_a_client_that_leaves_takes_its_file_along(dipper, root):
    with serving_process(dipper, root) as (url, process):
        for headers in ({"Content_Length": 100 * MIB}, {"Content_Length": 100 * MIB, "Content_Encoding": "gzip"}):
            packer = zlib.compressobj(0, wbits=31)
            data = packer.compress(b" " * (20 * MIB))[:18 * MIB] if len(headers) > 1 else b" " * (18 * MIB)
            client = Client(url, **headers).send(data)
            until(lambda: spilled(process))
            client.leave()
            until(lambda: not spilled(process))


def test_a_body_that_comes_too_slowly_takes_its_file_along(dipper, root):
    with serving_process(dipper, root, "--body-timeout", "2s") as (url, process):
        client = Client(url, Content_Length=100 * MIB).send_blanks(18 * MIB)
        until(lambda: spilled(process))
        until(lambda: not spilled(process))
        client.leave()


def test_a_server_ends_in_the_middle_of_a_body(dipper, root):
    with serving_process(dipper, root, "--drain-timeout", "1s") as (url, process):
        client = Client(url, Content_Length=100 * MIB).send_blanks(18 * MIB)
        until(lambda: spilled(process))
        process.send_signal(signal.SIGINT)
        process.wait(60)
        client.leave()


def test_files_of_all_bodies_together_have_a_limit(dipper, root):
    with serving_process(dipper, root, "--max-spilled-bytes", "20MiB") as (url, process):
        first = Client(url, Content_Length=15 * MIB + 1).send_blanks(15 * MIB)
        until(lambda: sum(spilled(process)) > 8 * MIB)
        status, headers, answer = post(url, b" " * (12 * MIB))
        assert status == 503 and headers["retry-after"] == "1" and "disk space" in answer["error"]
        assert post(url, b" " * (8 * MIB))[0] in TAKEN  # needs no file
        assert first.send(b" ").answer()[0] in TAKEN
        assert post(url, b" " * (12 * MIB))[0] in TAKEN


def test_without_a_folder_for_temporary_files(dipper, root):
    with serving_process(dipper, root, env={"TMPDIR": "/nonexistent/folder"}) as (url, _):
        status, headers, answer = post(url, b" " * (12 * MIB))
        assert status == 503 and headers["retry-after"] == "1" and "temporary file" in answer["error"]
        assert post(url, b" " * (8 * MIB))[0] in TAKEN


def test_a_full_disk(dipper, root, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10m", "none", disk], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounts are not allowed")
    try:
        with serving_process(dipper, root, env={"TMPDIR": str(disk)}) as (url, process):
            status, _, answer = post(url, b" " * (12 * MIB))
            assert status == 507 and "TMPDIR" in answer["error"]
            assert spilled(process) == []
            assert post(url, b" " * (9 * MIB))[0] in TAKEN
    finally:
        subprocess.run(["umount", disk], check=True)
