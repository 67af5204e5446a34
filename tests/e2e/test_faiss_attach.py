"""`dipper faiss attach`: a file that stock FAISS wrote gets texts, attributes and filters, and stays where it is."""
import http.server
import json
import shutil
import threading
import urllib.error
import urllib.request

import faiss
import numpy as np
import pytest

from program import json_lines
from serving import serving

DIM, COUNT = 16, 600
COLOURS = ("red", "green", "blue")


def make_vectors():
    rng = np.random.default_rng(7)
    return rng.standard_normal((COUNT, DIM)).astype(np.float32)


def build(factory, metric, vectors, ids):
    """An index that FAISS itself made, with ids of its users."""
    index = faiss.index_factory(DIM, factory, metric)
    if not factory.startswith("IDMap"):
        index.train(vectors)
    index.add_with_ids(vectors, ids)
    return index


def row(i):
    return {"id": i, "text": f"row number {i} " + ("bread oven" if i % 5 == 0 else "river stone"),
            "colour": COLOURS[i % 7 % 3], "size": i}


@pytest.fixture(params=[("IVF12,Flat", faiss.METRIC_L2), ("IVF8,Flat", faiss.METRIC_INNER_PRODUCT),
                        ("IDMap,Flat", faiss.METRIC_L2)], ids=["ivf-l2", "ivf-ip", "flat-idmap"])
def attached(request, run, rows, tmp_path):
    """Vectors 0 to 599 have the ids 1000, 1003, …; the last 50 have no row, and 20 rows have no vector."""
    factory, metric = request.param
    vectors = make_vectors()
    ids = (1000 + 3 * np.arange(COUNT)).astype(np.int64)
    path = tmp_path / "their.index"
    faiss.write_index(build(factory, metric, vectors, ids), str(path))
    mine = [row(int(i)) for i in ids[:COUNT - 50]] + [row(i) for i in range(20)]
    done = run("faiss", "attach", "shop", path, "--rows", rows(*mine), "--root", tmp_path / "root", "--json")
    assert json.loads(done.stdout) == {"rows": COUNT - 30, "loaded": COUNT - 30, "vectors": COUNT, "joined": COUNT - 50,
                                       "rows_without_vector": 20, "vectors_without_row": 50}
    return {"path": path, "root": tmp_path / "root", "vectors": vectors, "ids": ids, "metric": metric}


def query(url, body, status=200, namespace="shop", verb="query"):
    request = urllib.request.Request(f"{url}/v2/namespaces/{namespace}/{verb}", data=json.dumps(body).encode(),
                                     headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            assert answer.status == status
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        assert error.code == status, error.read()
        return json.loads(error.read())


def brute_force(a, vector, allowed, k):
    """The k nearest rows among the ids of `allowed`: (id, distance)."""
    dots = a["vectors"].astype(np.float64) @ vector
    squares = ((a["vectors"].astype(np.float64) - vector) ** 2).sum(axis=1)
    distances = 1 - dots if a["metric"] == faiss.METRIC_INNER_PRODUCT else squares
    order = sorted((float(d), int(i)) for d, i in zip(distances, a["ids"]) if int(i) in allowed)
    return order[:k]


def check(found, expected):
    assert [r["id"] for r in found] == [i for _, i in expected]
    for r, (distance, _) in zip(found, expected):
        assert r["$dist"] == pytest.approx(distance, rel=1e-4, abs=1e-4)


def test_queries_equal_brute_force(dipper, attached):
    a = attached
    having = {int(i) for i in a["ids"][:COUNT - 50]}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        for seed in range(4):
            vector = np.random.default_rng(seed).standard_normal(DIM)
            exact = {"rank_by": ["vector", "kNN", vector.tolist()], "top_k": 12, "include_attributes": ["colour"]}
            found = query(url, exact)["rows"]
            check(found, brute_force(a, vector, having, 12))
            assert all(r["colour"] == COLOURS[r["id"] % 7 % 3] for r in found)
            near = query(url, {**exact, "rank_by": ["vector", "ANN", vector.tolist()]})["rows"]
            assert len(near) == 12
            red = {i for i in having if i % 7 % 3 == 0}
            check(query(url, {**exact, "filters": ["colour", "Eq", "red"]})["rows"], brute_force(a, vector, red, 12))
            big = {i for i in having if i >= 2600}
            filtered = query(url, {**exact, "filters": ["size", "Gte", 2600]})["rows"]
            check(filtered, brute_force(a, vector, big, 12))
            few = query(url, {**exact, "rank_by": ["vector", "ANN", vector.tolist()],
                              "filters": ["And", [["size", "Gte", 1006], ["size", "Lt", 1020]]]})["rows"]
            check(few, brute_force(a, vector, {i for i in having if 1006 <= i < 1020}, 12))
            assert query(url, {**exact, "filters": ["colour", "Eq", "none"]})["rows"] == []
        words = query(url, {"rank_by": ["text", "BM25", "bread oven"], "top_k": 200})["rows"]
        assert {r["id"] for r in words} == {i for i in having | set(range(20)) if i % 5 == 0}


def test_later_writes_count(dipper, run, attached):
    a = attached
    vector = np.random.default_rng(1).standard_normal(DIM)
    having = {int(i) for i in a["ids"][:COUNT - 50]}
    exact = {"rank_by": ["vector", "kNN", vector.tolist()], "top_k": 5}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        first = brute_force(a, vector, having, 1)[0][1]
        body = {"deletes": [first], "upsert_rows": [{"id": int(a["ids"][-1]), "text": "late", "size": 1}]}
        request = urllib.request.Request(f"{url}/v2/namespaces/shop", data=json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=60).close()
        check(query(url, exact)["rows"], brute_force(a, vector, having - {first} | {int(a["ids"][-1])}, 5))
        refused = {"upsert_rows": [{"id": 5, "vector": [0.0] * DIM}], "distance_metric": "euclidean_squared"}
        request = urllib.request.Request(f"{url}/v2/namespaces/shop", data=json.dumps(refused).encode(),
                                         headers={"Content-Type": "application/json"})
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=60)
        assert error.value.code == 400 and "has its vectors" in error.value.read().decode()
        del refused["distance_metric"]  # the message is not about the metric
        request = urllib.request.Request(f"{url}/v2/namespaces/shop", data=json.dumps(refused).encode())
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request, timeout=60)
        assert error.value.code == 400 and "has its vectors" in error.value.read().decode()


def test_explain_query_speaks_of_the_file(dipper, attached):
    a = attached
    by_file = {"rank_by": ["vector", "ANN", [0.5] * DIM]}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        def explained(body):
            return query(url, body, namespace="shop", verb="explain_query")["plan_text"]
        assert explained(by_file).startswith("search the lists nearest to the vector of the FAISS file; read the rows")
        assert explained({**by_file, "filters": ["colour", "Eq", "red"]}).startswith(
            f"find the rows that match the filter: look at all {COUNT - 30}; search the lists nearest to the vector "
            "of the FAISS file for the ids of these rows alone")
        assert explained({"rank_by": ["vector", "kNN", [0.5] * DIM]}).startswith("search all vectors of the FAISS file")


def test_branches_and_copies_have_the_file_too(dipper, run, attached):
    a = attached
    run("namespace", "branch", "shop", "branch", "--root", a["root"])
    run("namespace", "cp", "shop", "copy", "--root", a["root"])
    vector = np.random.default_rng(1).standard_normal(DIM)
    exact = {"rank_by": ["vector", "kNN", vector.tolist()], "top_k": 5}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        mine = query(url, exact)["rows"]
        assert len(mine) == 5
        for name in ("branch", "copy"):
            assert query(url, exact, namespace=name)["rows"] == mine


def test_export_names_the_file_and_an_import_uses_it(dipper, run, attached, tmp_path):
    a = attached
    out = tmp_path / "shop.jsonl"
    done = run("ns", "export", "shop", out, "--root", a["root"])
    assert f"the vectors stay in the FAISS file {a['path'].as_uri()}" in done.stdout
    head = json.loads(out.read_text().splitlines()[0])
    products = a["metric"] == faiss.METRIC_INNER_PRODUCT
    assert head["distance_metric"] == ("cosine_distance" if products else "euclidean_squared")
    assert head["faiss_file"]["url"] == a["path"].as_uri() and head["faiss_file"]["dim"] == DIM
    assert set(head["faiss_file"]) == {"url", "version", "size", "vectors", "dim"}
    run("ns", "import", "again", out, "--root", a["root"])
    exact = {"rank_by": ["vector", "kNN", np.random.default_rng(2).standard_normal(DIM).tolist()], "top_k": 5}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        assert query(url, exact, namespace="again")["rows"] == query(url, exact)["rows"] != []
        computed = exact | {"compute_attributes": {"x": ["vector", "VectorDist", exact["rank_by"][2]]}}
        assert "its vectors are in the FAISS file" in query(url, computed, 400)["error"]
    for wrong, words in (({"url": "https://me:secret@host/x"}, "no user, password"), ({"dim": 0}, '"dim" must be 1 to'),
                         ({"more": 1}, "does not know"), ({"url": ""}, "1 to ")):
        bad = head | {"faiss_file": head["faiss_file"] | wrong}
        out.write_text(json.dumps(bad) + "\n")
        failed = run("ns", "import", "bad", out, "--root", a["root"], status=1).stderr
        assert "line 1" in failed and words in failed
    del head["faiss_file"]["size"]
    out.write_text(json.dumps(head) + "\n")
    assert '"faiss_file" lacks "size"' in run("ns", "import", "bad", out, "--root", a["root"], status=1).stderr


def test_url_must_be_permitted_at_each_opening(dipper, run, attached):
    a = attached
    vector = [0.5] * DIM
    asked = {"rank_by": ["vector", "ANN", vector], "top_k": 3}
    with serving(dipper, a["root"]) as url:
        assert "--allow-index-url" in query(url, asked, 403)["error"]
    with serving(dipper, a["root"], "--allow-index-url", "file:///nowhere") as url:
        query(url, asked, 403)


def test_replaced_file_is_stale_until_attached_anew(dipper, run, attached, tmp_path):
    a = attached
    asked = {"rank_by": ["vector", "kNN", [0.5] * DIM], "top_k": 3}
    with serving(dipper, a["root"], "--allow-index-url", a["path"].parent.as_uri()) as url:
        assert len(query(url, asked)["rows"]) == 3
        other = tmp_path / "other.index"
        index = build("IVF5,Flat", faiss.METRIC_L2, a["vectors"][:300], a["ids"][:300])
        faiss.write_index(index, str(other))
        shutil.move(other, a["path"])
        assert "attach it again" in query(url, asked, 503)["error"]
        done = run("faiss", "attach", "shop", a["path"], "--root", a["root"])
        assert "550 rows" not in done.stdout and "300 have a vector" in done.stdout
        assert len(query(url, asked)["rows"]) == 3
        a["path"].unlink()
        assert "attach it again" in query(url, asked, 503)["error"]


class Dated(http.server.BaseHTTPRequestHandler):
    """A web server without ETags: it gives ranges of `server.body`, and `server.modified` as the time of the last change."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body, wanted = self.server.body, self.headers.get("Range")
        first, last = 0, len(body) - 1
        if wanted:
            begin, end = wanted.removeprefix("bytes=").split("-")
            first, last = (len(body) - int(end), last) if not begin else (int(begin), min(int(end or last), last))
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(body)}")
        self.send_header("Content-Length", str(last - first + 1))
        if self.server.modified:
            self.send_header("Last-Modified", self.server.modified)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[first:last + 1])

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


def test_without_etag_the_date_tells_a_replaced_file(dipper, run, rows, tmp_path):
    vectors, ids = make_vectors(), np.arange(COUNT)
    file = tmp_path / "their.index"
    faiss.write_index(build("IVF4,Flat", faiss.METRIC_L2, vectors, ids), str(file))
    first = file.read_bytes()
    faiss.write_index(build("IVF4,Flat", faiss.METRIC_L2, vectors[::-1].copy(), ids), str(file))
    second = file.read_bytes()
    assert len(first) == len(second) and first != second
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dated) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        server.body, server.modified = first, "Mon, 05 Jan 2026 10:00:00 GMT"
        url = f"http://127.0.0.1:{server.server_port}/their.index"
        mine = rows(*(row(i) for i in range(COUNT)))
        run("faiss", "attach", "web", url, "--rows", mine, "--root", tmp_path / "root")
        asked = {"rank_by": ["vector", "kNN", [0.5] * DIM], "top_k": 3}
        with serving(dipper, tmp_path / "root", "--allow-index-url", url) as base:
            assert len(query(base, asked, namespace="web")["rows"]) == 3
        server.body, server.modified = second, "Mon, 05 Jan 2026 10:00:01 GMT"
        with serving(dipper, tmp_path / "root", "--allow-index-url", url) as base:
            assert "attach it again" in query(base, asked, 503, namespace="web")["error"]
        server.modified = None  # nothing would tell a change, so the file is refused
        assert "neither ETag nor Last-Modified" in run("faiss", "attach", "web", url, "--root", tmp_path / "root", status=1).stderr
        server.shutdown()


def test_bad_attachments_are_refused(run, rows, attached):
    a = attached
    good = rows({"id": 1, "text": "a"})
    def attach(name, url, file, status=1):
        return run("faiss", "attach", name, url, "--rows", file, "--root", a["root"], status=status).stderr
    assert "no user, password" in attach("x", "https://user:secret@127.0.0.1:1/their.index", good)
    assert "line 1" in attach("x", a["path"], rows({"id": "one", "text": "a"}))
    assert "line 2" in attach("x", a["path"], rows({"id": 1}, {"id": 2, "vector": [1.0] * DIM}))
    run("index", "own", rows({"id": 1, "vector": [1.0] * DIM}), "--root", a["root"])
    assert "has vectors already" in attach("own", a["path"], good)
    assert "there is no file" in attach("x", "missing.index", good)
    listed = json_lines(run("namespace", "list", "--root", a["root"], "--json").stdout)
    assert "own" in json.dumps(listed)
