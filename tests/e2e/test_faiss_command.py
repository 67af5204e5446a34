"""`dipper faiss`: showing and searching FAISS files where they lie."""
import http.server
import json
import re
import shutil
import struct
import threading

import pytest

from program import json_lines
from test_http_root import NO_PROXY, Handler

pytestmark = pytest.mark.quick

FILE = "sq8-ip-d48"
LISTS = 8


def golden(test_data, name):
    """(queries, {nprobe: (ids, distances)}) of tests/golden/make_faiss_golden.py, as lists."""
    raw = (test_data / "faiss" / f"{name}.answers").read_bytes()
    count, d, k, searches, _ = struct.unpack_from("<4If", raw, 8)
    at = 28
    queries = [list(row) for row in struct.iter_unpack(f"<{d}f", raw[at:at + 4 * count * d])]
    at += 4 * count * d
    answers = {}
    for _ in range(searches):
        nprobe, = struct.unpack_from("<I", raw, at)
        ids = [list(row) for row in struct.iter_unpack(f"<{k}i", raw[at + 4:at + 4 + 4 * count * k])]
        at += 4 + 4 * count * k
        answers[nprobe] = ids, [list(row) for row in struct.iter_unpack(f"<{k}f", raw[at:at + 4 * count * k])]
        at += 4 * count * k
    return queries, answers


def write_fvecs(path, vectors):
    path.write_bytes(b"".join(struct.pack(f"<i{len(v)}f", len(v), *v) for v in vectors))
    return path


def write_npy(path, vectors):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(vectors)}, {len(vectors[0])}), }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                     b"".join(struct.pack(f"<{len(v)}f", *v) for v in vectors))
    return path


@pytest.fixture
def file(test_data):
    return test_data / "faiss" / f"{FILE}.ivf"


@pytest.fixture
def web(test_data):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.root, server.query, server.seen, server.failures = test_data / "faiss", "X-Signature=secret", [], []
    server.lock = threading.Lock()
    server.url = f"http://127.0.0.1:{server.server_port}/{FILE}.ivf?{server.query}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_faiss_info(run, file):
    info = json.loads(run("faiss", "info", file, "--json").stdout)
    assert info["kind"] == "IwSq" and info["codes"] == "SQ8" and info["d"] == 48
    assert info["metric"] == "inner_product" and info["nlist"] == LISTS and info["vectors"] == 600
    assert info["cluster_data_offset"] + info["vectors"] * (48 + 8) == info["file_bytes"] == file.stat().st_size
    histogram = info["lists"]["histogram"]
    assert sum(bucket["lists"] for bucket in histogram) == LISTS
    assert histogram[0]["from"] <= info["lists"]["least"] <= info["lists"]["mean"] <= info["lists"]["largest"]
    assert info["open"]["rounds"] <= 2
    shown = run("faiss", "info", file).stdout
    assert "IwSq: IVF8,SQ8" in shown and "600 of 48 dimensions, inner product" in shown


def test_faiss_info_counts_vectors_in_no_list(run, test_data, tmp_path):
    """FAISS counts a vector with a NaN and never finds it."""
    path = test_data / "faiss" / "nan-flat.ivf"
    info = json.loads(run("faiss", "info", path, "--json").stdout)
    assert info["vectors"] == 60 and info["in_no_list"] == 3 and info["lists"]["mean"] == 57 / 5
    assert "60 of 6 dimensions" in run("faiss", "info", path).stdout
    assert "3 of them in no list" in run("faiss", "info", path).stdout
    queries, _ = golden(test_data, "nan-flat")
    shutil.copy(path, tmp_path / "nan.ivf")
    run("faiss", "calibrate", tmp_path / "nan.ivf", "--queries", write_fvecs(tmp_path / "q.fvecs", queries))
    run("faiss", "search", tmp_path / "nan.ivf", "--queries", tmp_path / "q.fvecs", "--recall", 0.9)


@pytest.mark.parametrize("write", [write_fvecs, write_npy])
@pytest.mark.parametrize("name", [FILE, "idmap-pca-hnsw-pq", "rabitqfs4-l2"])
def test_faiss_search_answers_as_faiss_does(run, test_data, tmp_path, name, write):
    queries, answers = golden(test_data, name)
    path = write(tmp_path / "queries", queries)
    for nprobe, (ids, distances) in answers.items():
        lines = json_lines(run("faiss", "search", test_data / "faiss" / f"{name}.ivf", "--queries", path, "--nprobe", nprobe,
                               "--json").stdout)
        assert len(lines) == len(queries)
        for line, their_ids, their_distances in zip(lines, ids, distances):
            assert list(line) == ["ids", "distances", "rounds", "requests", "bytes", "ms"]
            assert [i < 0 for i in line["ids"]] == [i < 0 for i in their_ids]
            assert line["rounds"] <= 1 and line["requests"] <= nprobe
            for ours, theirs, i in zip(line["distances"], their_distances, their_ids):
                assert i < 0 or ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def check_answers(lines, ids, distances):
    assert len(lines) == len(ids)
    for line, their_ids, their_distances in zip(lines, ids, distances):
        assert [i < 0 for i in line["ids"]] == [i < 0 for i in their_ids]
        for ours, theirs, i in zip(line["distances"], their_distances, their_ids):
            assert i < 0 or ours == pytest.approx(theirs, rel=1e-3, abs=1e-3)


def test_faiss_searches_a_flat_file(run, test_data, tmp_path):
    path = test_data / "faiss" / "only-idmap-flat-ip.ivf"
    queries, answers = golden(test_data, "only-idmap-flat-ip")
    write_npy(tmp_path / "q.npy", queries)
    info = json.loads(run("faiss", "info", path, "--json").stdout)
    assert info["kind"] == "IxFI" and info["quantizer"] == "none" and info["id_map"] and info["nlist"] == 1
    assert "none: each search reads all 2400 bytes of vectors" in run("faiss", "info", path).stdout
    for more in ([], ["--scan-all"], ["--recall", "0.99"], ["--nprobe", "auto"]):  # its recall is 1
        lines = json_lines(run("faiss", "search", path, "--queries", tmp_path / "q.npy", "--json", *more).stdout)
        check_answers(lines, *answers[1])
    assert "its recall is 1" in run("faiss", "calibrate", path, "--queries", tmp_path / "q.npy", status=1).stderr


def test_faiss_searches_a_file_with_a_flat_part(run, test_data, tmp_path):
    path = test_data / "faiss" / "rflat-idmap-pca-sq8-ip.ivf"
    queries, answers = golden(test_data, "rflat-idmap-pca-sq8-ip")
    write_npy(tmp_path / "q.npy", queries)
    search = ["faiss", "search", path, "--queries", tmp_path / "q.npy", "--json", "--nprobe", 5]
    shown = run("faiss", "info", path).stdout
    assert "IVF5,SQ8,RFlat, behind transforms, with an id map" in shown and "default k_factor 2.5" in shown
    lines = json_lines(run(*search).stdout)
    check_answers(lines, *answers[5])
    assert all(line["rounds"] <= 2 for line in lines)
    few = json_lines(run(*search, "--k-factor", 1).stdout)
    assert [line["ids"] for line in few] != [line["ids"] for line in lines]
    check_answers(json_lines(run(*search, "--k-factor", 2.5).stdout), *answers[5])
    assert "--k-factor is '0.5'" in run(*search, "--k-factor", "0.5", status=2).stderr
    assert "no flat part" in run("faiss", "search", test_data / "faiss" / "flat-l2-d1.ivf", "--queries", write_fvecs(
        tmp_path / "one.fvecs", [[1.0]]), "--k-factor", 2, status=1).stderr


def test_faiss_over_http_reads_the_probed_lists_alone(run, file, web, test_data, tmp_path):
    queries, _ = golden(test_data, FILE)
    path = write_fvecs(tmp_path / "q.fvecs", queries[:3])
    local = json_lines(run("faiss", "search", file, "--queries", path, "--nprobe", 3, "--json").stdout)
    remote = json_lines(run("faiss", "search", web.url, "--queries", path, "--nprobe", 3, "--json", "--merge-gap", "none",
                            "--cache-bytes", "none", env=NO_PROXY).stdout)
    assert [line["ids"] for line in remote] == [line["ids"] for line in local]
    for line in remote:
        assert line["rounds"] == 1 and line["requests"] == 3
        assert line["bytes"] % (48 + 8) == 0
    searches = sum(line["requests"] for line in remote)
    info = json.loads(run("faiss", "info", web.url, "--json", env=NO_PROXY).stdout)
    opening = info["open"]["requests"]
    assert len(web.seen) == opening + searches + opening  # the requests of one search and one info
    merged = json_lines(run("faiss", "search", web.url, "--queries", path, "--nprobe", LISTS, "--json", "--cache-bytes",
                            "none", env=NO_PROXY).stdout)
    assert all(line["requests"] == 1 and line["rounds"] == 1 for line in merged)


def test_faiss_over_http_reads_each_list_once(run, web, test_data, tmp_path):
    queries, _ = golden(test_data, FILE)
    path = write_fvecs(tmp_path / "q.fvecs", [*queries[:3], *queries[:3]])
    ask = ["faiss", "search", web.url, "--queries", path, "--nprobe", 3, "--json", "--merge-gap", "none"]
    lines = json_lines(run(*ask, env=NO_PROXY).stdout)
    for first, again in zip(lines[:3], lines[3:]):
        assert again["ids"] == first["ids"] and again["distances"] == first["distances"]
        assert again["rounds"] == again["requests"] == again["bytes"] == 0
    once = len(web.seen)
    assert sum(line["requests"] for line in lines) <= LISTS
    afresh = json_lines(run(*ask, "--cache-bytes", "none", env=NO_PROXY).stdout)
    assert all(line["requests"] == 3 for line in afresh)
    assert len(web.seen) - once > once


def test_faiss_errors_name_what_is_wrong(run, file, web, test_data, tmp_path):
    def complaint(*arguments, status=1):
        done = run("faiss", *arguments, status=status, env=NO_PROXY)
        assert done.stdout == "" and "secret" not in done.stderr
        return done.stderr

    queries = write_fvecs(tmp_path / "q.fvecs", [[1.0, 2.0]])
    assert "queries have 2 dimensions, its vectors 48" in complaint("search", file, "--queries", queries)
    assert "refined by others (IVFPQR) ('IwQR'); supported: " in complaint("info", test_data / "faiss" / "pqr.refused")
    write_npy(tmp_path / "x.npy", [[1.0, 2.0]])
    assert "a NumPy array (.npy); build an index of its vectors: `dipper faiss build" in complaint("info", tmp_path / "x.npy")
    (tmp_path / "cut.ivf").write_bytes(file.read_bytes()[:5000])
    assert re.search(r"cut\.ivf: list \d+ of \d+ vectors reaches beyond the file's 5000 bytes",
                     complaint("info", tmp_path / "cut.ivf"))
    assert "it is text, and vectors are read from .npy" in complaint("search", file, "--queries", test_data / "vectors" / "README.md")
    complaint("info", web.url.replace(FILE, "none"))
    assert "either --queries FILE or --text" in complaint("search", file, status=2)
    assert "either --queries FILE or --text" in complaint("search", file, "--queries", queries, "--text", "x", status=2)
    assert "needs --queries FILE" in complaint("calibrate", file, status=2)
    assert "needs --vectors FILE" in complaint("build", tmp_path / "new.ivf", status=2)
    assert '--text belongs to "search", not to "info"' in complaint("info", file, "--text", "x", status=2)
    assert "nowhere.npy" in complaint("calibrate", file, "--queries", tmp_path / "nowhere.npy")
    assert '"info" takes URL' in complaint("info", status=2)


def test_faiss_text_is_embedded(run, file):
    """The model's 384 dimensions do not fit this file, and the error says so."""
    done = run("faiss", "search", file, "--text", "a cat", status=1)
    assert "queries have 384 dimensions, its vectors 48" in done.stderr


def test_commands_of_the_guide_run_as_written(run, source, file, test_data, tmp_path):
    guide = (source / "docs" / "guide-faiss.md").read_text(encoding="utf-8")
    commands = re.findall(r"^build/dipper (faiss [^#\n]*)", guide, re.M)
    assert len(commands) >= 3
    shutil.copy(file, tmp_path / "cwd" / "vectors.ivf")
    queries = golden(test_data, FILE)[0]
    write_npy(tmp_path / "cwd" / "queries.npy", queries)
    write_npy(tmp_path / "cwd" / "vectors.npy", [[x + i % 7 for x in queries[i % len(queries)]] for i in range(300)])
    (tmp_path / "cwd" / "products.jsonl").write_text('{"id": 7, "text": "a warm coat", "price": 3}\n')
    for command in commands:
        assert run(*command.split()).stdout
