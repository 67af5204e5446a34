"""Namespaces written over HTTP: by plain requests and by the public turbopuffer client, over restarts, kills and two servers."""
import base64
import concurrent.futures
import datetime
import json
import random
import struct
import subprocess
import urllib.error
import urllib.request
import uuid

import pytest
import turbopuffer

from serving import serving, serving_process

COSINE = "cosine_distance"
EVERYTHING = {"rank_by": ["id", "asc"], "limit": 10000, "include_attributes": True}


def send(url, method, path, body=None):
    """Returns the status and the JSON of the answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def write(url, name, body, status=200):
    got, answer = send(url, "POST", f"/v2/namespaces/{name}", body)
    assert got == status, answer
    return answer


def query(url, name, body):
    status, answer = send(url, "POST", f"/v2/namespaces/{name}/query", body)
    assert status == 200, answer
    return answer["rows"]


def ids(rows):
    return [row["id"] for row in rows]


@pytest.fixture(name="root")
def make_root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def vector_of(number):
    return [float(number % 7 + 1), float(number % 5), float(number % 3)]


def test_a_write_is_read_back_at_once_and_after_a_restart(dipper, root):
    with serving(dipper, root) as url:
        answer = write(url, "films", {"distance_metric": COSINE, "upsert_rows": [
            {"id": 1, "vector": [1, 0], "title": "Night train", "year": 1959, "tags": ["rail"]},
            {"id": 2, "vector": [0, 1], "title": "Cats at sea", "year": 2016}]})
        assert answer["status"] == "OK" and answer["rows_upserted"] == 2 and "rows_deleted" not in answer
        rows = query(url, "films", {"rank_by": ["vector", "ANN", [1, 0]], "limit": 2, "include_attributes": ["title"]})
        assert rows == [{"id": 1, "$dist": 0, "title": "Night train"}, {"id": 2, "$dist": 1, "title": "Cats at sea"}]
        assert write(url, "films", {"patch_rows": [{"id": 2, "year": None, "seen": True}, {"id": 3, "year": 1}],
                                    "deletes": [1]})["rows_patched"] == 1
        kept = query(url, "films", EVERYTHING)
        assert kept == [{"id": 2, "vector": [0, 1], "title": "Cats at sea", "seen": True}]
    with serving(dipper, root) as url:
        assert query(url, "films", EVERYTHING) == kept
        assert ids(query(url, "films", {"rank_by": ["vector", "ANN", [1, 0]], "limit": 5})) == [2]
        status, facts = send(url, "GET", "/v1/namespaces/films/metadata")
        assert status == 200 and facts["approx_row_count"] == 1


def test_an_acknowledged_write_outlives_a_killed_server(dipper, root):
    for number in range(3):
        with pytest.raises(AssertionError), serving_process(dipper, root) as (url, process):
            for i in range(5):
                write(url, "kept", {"distance_metric": COSINE, "upsert_rows": [
                    {"id": 10 * number + i, "vector": vector_of(i), "text": f"row {i} of life {number}"}]})
            process.kill()
    with serving(dipper, root) as url:
        rows = query(url, "kept", EVERYTHING)
        assert ids(rows) == [10 * number + i for number in range(3) for i in range(5)]
        assert rows[-1]["text"] == "row 4 of life 2"


def test_two_servers_write_and_see_each_other(dipper, root):
    with serving(dipper, root) as one, serving(dipper, root) as two:
        urls = (one, two)
        write(one, "shared", {"distance_metric": COSINE, "upsert_rows": [{"id": 0, "vector": vector_of(0)}]})

        def write_some(worker):
            url, other = urls[worker % 2], urls[1 - worker % 2]
            for i in range(10):
                number = 1 + worker * 10 + i
                write(url, "shared", {"upsert_rows": [{"id": number, "vector": vector_of(number), "n": number}]})
                assert ids(query(other, "shared", {"rank_by": ["id", "asc"], "limit": 5,
                                                   "filters": ["n", "Eq", number]})) == [number]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(write_some, range(4)))
        for url in urls:
            assert ids(query(url, "shared", EVERYTHING)) == list(range(41))
        assert send(one, "DELETE", "/v2/namespaces/shared") == (200, {"status": "OK"})
        assert send(two, "POST", "/v2/namespaces/shared/query", EVERYTHING)[0] == 404
        write(two, "shared", {"distance_metric": "euclidean_squared", "upsert_rows": [{"id": "a", "vector": [1]}]})
        assert query(one, "shared", EVERYTHING) == [{"id": "a", "vector": [1]}]


def test_counting_up_under_a_condition_loses_nothing(dipper, root):
    """Each of four clients on two servers reads a counter and writes it back, one higher, if nobody was faster."""
    with serving(dipper, root) as one, serving(dipper, root) as two:
        write(one, "count", {"upsert_rows": [{"id": 1, "n": 0}]})

        def count(worker):
            url, done = (one, two)[worker % 2], 0
            while done < 8:
                before = query(url, "count", EVERYTHING)[0]["n"]
                done += write(url, "count", {"patch_rows": [{"id": 1, "n": before + 1}],
                                             "patch_condition": ["n", "Eq", before]})["rows_patched"]

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(count, range(4)))
        assert query(two, "count", EVERYTHING) == [{"id": 1, "n": 32}]


def apply(rows, upserts, patches, deletes):
    """Applies the rows of one request to the rows of a namespace; returns the result."""
    rows = dict(rows)
    for row in upserts:
        rows[row["id"]] = {key: value for key, value in row.items() if key != "vector"}
    for row in patches:
        if row["id"] in rows:
            rows[row["id"]] = rows[row["id"]] | row
    for number in deletes:
        rows.pop(number, None)
    return rows


def test_random_writes_equal_a_model(dipper, root):
    choice, model = random.Random(15), {}
    with serving(dipper, root) as url:
        for step in range(120):
            upserts, patches, deletes, old = [], [], [], dict(model)
            for number in choice.sample(range(40), choice.randint(1, 8)):
                kind = choice.random()
                if kind < 0.5:
                    row = {"id": number, "vector": vector_of(number + step), "step": step}
                    if choice.random() < 0.5:
                        row["word"] = choice.choice(["a", "b", "ä"])
                    upserts.append(row)
                elif kind < 0.8:
                    patches.append({"id": number, "word": choice.choice(["c", None]), "step": step})
                else:
                    deletes.append(number)
            by_filter = {}
            if step and choice.random() < 0.3:  # a request applies its filters before its rows
                least, before = choice.randrange(step), dict(old)
                by_filter = {"delete_by_filter": ["And", [["step", "Lt", least], ["word", "Eq", "a"]]],
                             "patch_by_filter": {"filters": ["word", "Eq", "c"], "patch": {"word": "d", "step": step}}}
                for number, row in before.items():
                    if row["step"] < least and row.get("word") == "a":
                        del old[number]
                    elif row.get("word") == "c":
                        old[number] = row | {"word": "d", "step": step}
            model = apply(old, upserts, patches, deletes)
            write(url, "model", {"distance_metric": "euclidean_squared", "upsert_rows": upserts or None, **by_filter,
                                 "patch_rows": patches or None, "deletes": deletes or None,
                                 "create_namespace": True, "schema": {"id": "uint"}})
            if step % 10 == 9:
                expected = [{key: value for key, value in model[number].items() if value is not None}
                            for number in sorted(model)]
                assert query(url, "model", EVERYTHING | {"include_attributes": ["step", "word"]}) == expected
                assert sorted(ids(query(url, "model", {"rank_by": ["vector", "ANN", [1, 2, 3]], "limit": 100}))) == \
                    sorted(model)


# ---- the public client ------------------------------------------------------------------------------------------------


@pytest.fixture(name="url", scope="module")
def serve_all(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("client") / "root"
    root.mkdir()
    with serving(dipper, root) as url:
        yield url


@pytest.fixture(name="namespace", params=[False, True], ids=["plain", "gzip"])
def make_namespace(url, request):
    client = turbopuffer.Turbopuffer(base_url=url, api_key="none", max_retries=0, compression=request.param)
    namespace = client.namespace(f"client-{uuid.uuid4()}")
    assert not namespace.exists()
    yield namespace
    if namespace.exists():
        namespace.delete_all()


def test_client_rows_columns_and_patches(namespace):
    answer = namespace.write(upsert_rows=[{"id": 1, "vector": [0.1, 0.2], "name": "one"}, {"id": 2, "vector": [3, 4]}],
                             distance_metric=COSINE, return_affected_ids=True)
    assert answer.rows_affected == 2 and answer.upserted_ids == [1, 2]
    namespace.write(upsert_columns={"id": [3, 4], "vector": [[1.0, 0.0], [0.0, 1.0]], "name": ["three", None]})
    namespace.write(upsert_columns={"id": [5, 6], "vector": [1.0, 0.5, 0.5, 1.0]})
    assert namespace.write(patch_rows=[{"id": 2, "name": "two"}]).rows_patched == 1
    assert namespace.write(patch_columns={"id": [4], "name": ["four"]}, deletes=[5]).rows_affected == 2
    rows = namespace.query(rank_by=("id", "asc"), limit=10, include_attributes=["name"]).rows
    assert [(row.id, row.model_extra.get("name")) for row in rows] == \
        [(1, "one"), (2, "two"), (3, "three"), (4, "four"), (6, None)]
    near = namespace.query(rank_by=("vector", "ANN", [1.0, 0.0]), top_k=1, include_attributes=["vector"]).rows
    assert near[0].id == 3 and near[0].vector == [1, 0]
    assert namespace.exists()
    assert namespace.delete_all().status == "OK" and not namespace.exists()


def test_client_types_come_back_as_they_went(namespace):
    one, who = uuid.uuid4(), uuid.uuid4()
    when = datetime.datetime(2024, 3, 1, 1, 2, 3, 456000, tzinfo=datetime.timezone.utc)
    namespace.write(
        upsert_rows=[{"id": one, "vector": [0.5, 0.25], "when": when, "who": who, "big": 2**64 - 1, "b": "aGk=",
                      "i": -2**63, "f": 0.1, "ok": True, "tags": ["a", "b"], "numbers": [1, 2], "none": None}],
        schema={"id": "uuid", "when": "datetime", "who": "uuid", "big": "uint", "b": "bytes"}, distance_metric=COSINE)
    row = namespace.query(rank_by=("vector", "ANN", [0.5, 0.25]), top_k=1, include_attributes=True).rows[0].model_dump()
    assert row["id"] == str(one) and row["who"] == str(who) and row["when"] == "2024-03-01T01:02:03.456000000Z"
    assert (row["big"], row["b"], row["i"], row["f"], row["ok"]) == (2**64 - 1, "aGk=", -2**63, 0.1, True)
    assert row["tags"] == ["a", "b"] and row["numbers"] == [1, 2] and "none" not in row
    found = namespace.query(rank_by=("id", "asc"), limit=1, filters=("when", "Gte", datetime.datetime(2024, 3, 1))).rows
    assert [row.id for row in found] == [str(one)]
    encoded = namespace.query(rank_by=("vector", "ANN", [0.5, 0.25]), top_k=1, include_attributes=["vector"],
                              vector_encoding="base64").rows[0].vector
    assert struct.unpack("<2f", base64.b64decode(encoded)) == (0.5, 0.25)


def test_client_schema_and_metadata(namespace):
    namespace.write(upsert_rows=[{"id": "a", "vector": [1.0, 0.0], "n": 1}], distance_metric=COSINE)
    assert namespace.schema()["n"].type == "int" and namespace.schema()["id"].type == "string"
    changed = namespace.update_schema(schema={"x": {"type": "string", "filterable": False}})
    assert changed["x"].filterable is False and changed["n"].type == "int"
    with pytest.raises(turbopuffer.BadRequestError, match="filterable"):
        namespace.query(rank_by=("id", "asc"), limit=1, filters=("x", "Eq", "y"))
    facts = namespace.metadata()
    assert facts.approx_row_count == 1 and facts.encryption.mode == "default" and facts.index.status == "updating"
    assert namespace.update_metadata(read_only=True).read_only
    with pytest.raises(turbopuffer.PermissionDeniedError):
        namespace.write(deletes=["a"])
    assert not namespace.update_metadata(read_only=False).read_only
    assert namespace.hint_cache_warm().status in ("ACCEPTED", "OK")
    assert namespace.write(deletes=["a"]).rows_deleted == 1


def test_client_several_queries(namespace):
    namespace.write(upsert_rows=[{"id": i, "vector": [1.0, float(i)], "n": i % 3} for i in range(20)], distance_metric=COSINE)
    answer = namespace.multi_query(queries=[
        {"rank_by": ("vector", "ANN", [1.0, 0.0]), "limit": 2},
        {"rank_by": ("n", "desc"), "limit": 3, "filters": ("id", "Lt", 10), "include_attributes": ["n"]}])
    assert [row.id for row in answer.results[0].rows] == [0, 1]
    assert [row.n for row in answer.results[1].rows] == [2, 2, 2]


def test_client_explains_and_measures(namespace):
    namespace.write(upsert_rows=[{"id": i, "vector": [1.0, float(i)]} for i in range(30)], distance_metric=COSINE)
    assert "log" in namespace.explain_query(rank_by=("vector", "ANN", [1.0, 0.0]), limit=2).plan_text
    recall = namespace.recall(num=5, top_k=3, include_ground_truth=True)
    assert (recall.avg_recall, recall.avg_exhaustive_count, recall.avg_ann_count) == (1, 3, 3)
    assert [row.id for row in recall.ground_truth[0].nearest_neighbors] == [0, 1, 2]


def test_client_conditions(namespace):
    namespace.write(upsert_rows=[{"id": 1, "vector": [1.0, 0.0], "version": 5}], distance_metric=COSINE)

    def newer(version):
        return namespace.write(upsert_rows=[{"id": 1, "vector": [1.0, 0.0], "version": version}],
                               upsert_condition=("version", "Lt", {"$ref_new": "version"})).rows_upserted

    assert [newer(version) for version in (4, 5, 6, 6, 9, 7)] == [0, 0, 1, 0, 1, 0]
    assert namespace.query(rank_by=("id", "asc"), limit=1, include_attributes=["version"]).rows[0].version == 9
    assert namespace.write(deletes=[1], delete_condition=("version", "NotEq", 9)).rows_deleted == 0
    assert namespace.write(deletes=[1], delete_condition=("version", "Eq", 9)).rows_deleted == 1


def test_client_writes_by_filter(namespace):
    namespace.write(upsert_rows=[{"id": i, "vector": [1.0, float(i)], "n": i, "kind": "odd" if i % 2 else "even"}
                                 for i in range(20)], distance_metric=COSINE)
    answer = namespace.write(delete_by_filter=("n", "Lt", 4), upsert_rows=[{"id": 2, "vector": [1.0, 0.0], "n": 100}],
                             patch_by_filter={"filters": ("kind", "Eq", "even"), "patch": {"seen": True, "kind": None}},
                             patch_rows=[{"id": 1, "n": 50}, {"id": 6, "n": 60}], return_affected_ids=True)
    assert (answer.rows_deleted, answer.rows_patched, answer.rows_upserted, answer.rows_affected) == (4, 9, 1, 14)
    assert answer.deleted_ids == [0, 1, 2, 3] and answer.upserted_ids == [2] and answer.rows_remaining is None
    assert sorted(answer.patched_ids) == [4, 6, 6, 8, 10, 12, 14, 16, 18]
    rows = namespace.query(rank_by=("id", "asc"), limit=30, include_attributes=["n", "seen", "kind"]).rows
    expected = [{"id": 2, "n": 100}]
    expected += [{"id": i, "n": i, "kind": "odd"} if i % 2 else {"id": i, "n": 60 if i == 6 else i, "seen": True}
                 for i in range(4, 20)]
    assert [row.model_dump(exclude_none=True) for row in rows] == expected
    near = namespace.query(rank_by=("vector", "ANN", [1.0, 19.0]), top_k=1).rows
    assert near[0].id == 19  # the patch did not change the vector
    answer = namespace.write(delete_by_filter=("missing", "NotEq", None), delete_by_filter_allow_partial=True)
    assert answer.rows_deleted == 0 and answer.rows_remaining is False
    answer = namespace.write(delete_by_filter=("id", "NotEq", 7))
    assert answer.rows_deleted == 16 and namespace.metadata().approx_row_count == 1
    for bad in ({"delete_by_filter": ("kind", "Eq", 7)}, {"patch_by_filter": {"filters": ("n", "Eq", 7), "patch": {"n": "x"}}}):
        with pytest.raises(turbopuffer.BadRequestError, match="by_filter"):
            namespace.write(**bad)


def test_another_servers_new_attribute_is_no_missing_one(dipper, root):
    """A server whose schema is old must not treat an attribute that it does not know as null in all rows."""
    with serving(dipper, root) as one, serving(dipper, root) as two:
        write(one, "new", {"distance_metric": COSINE, "upsert_rows": [{"id": i, "vector": [1, i]} for i in range(3)]})
        assert write(two, "new", {"deletes": [9]})["rows_deleted"] == 1  # it has opened the namespace
        write(one, "new", {"patch_rows": [{"id": 1, "fresh": 5}]})
        assert write(two, "new", {"delete_by_filter": ["fresh", "Eq", None]})["rows_deleted"] == 2
        write(one, "new", {"patch_rows": [{"id": 1, "newer": 5}]})
        assert write(two, "new", {"deletes": [1], "delete_condition": ["newer", "Eq", None]})["rows_deleted"] == 0
        assert ids(query(one, "new", EVERYTHING)) == [1]


def test_client_ranks_by_other_vectors(namespace):
    namespace.write(
        upsert_rows=[{"id": i, "vector": [1.0, float(i)], "img": [float(i), 1.0], "small": [i, 1]} for i in range(10)],
        schema={"img": {"type": "[2]f32", "ann": True}, "small": {"type": "[2]i8", "ann": True}}, distance_metric=COSINE)
    for attribute in ("img", "small"):
        rows = namespace.query(rank_by=(attribute, "ANN", [1.0, 0.0]), top_k=3).rows
        assert [row.id for row in rows] == [9, 8, 7]
        rows = namespace.query(rank_by=(attribute, "kNN", [0.0, 1.0]), top_k=2, filters=("id", "Gt", 4)).rows
        assert [row.id for row in rows] == [5, 6]


def test_other_vectors_in_segments_are_ranked(dipper, root):
    query_of = {"rank_by": ["img", "ANN", [1, 0]], "limit": 5}
    with serving(dipper, root) as url:
        write(url, "img", {"distance_metric": "euclidean_squared", "schema": {"img": {"type": "[2]f32", "ann": True}},
                           "upsert_rows": [{"id": i, "img": [i, 1]} for i in range(200)]})
        before = query(url, "img", query_of)
    assert ids(before) == [1, 0, 2, 3, 4] and [row["$dist"] for row in before] == [1, 2, 2, 5, 10]
    subprocess.run([dipper, "ns", "compact", "img", "--root", root], check=True, capture_output=True, timeout=60)
    with serving(dipper, root) as url:
        write(url, "img", {"patch_rows": [{"id": 150, "tag": "x"}], "deletes": [1]})
        assert ids(query(url, "img", query_of)) == [0, 2, 3, 4, 5]
        status, facts = send(url, "GET", "/v1/namespaces/img/metadata")
        assert status == 200 and facts["segments"] == 1


def test_client_idempotency_key(namespace):
    """turbopuffer's clients send no such key of their own, but pass on a header that the caller gives."""
    key = {"Idempotency-Key": f"key-{uuid.uuid4()}"}
    body = {"upsert_rows": [{"id": 1, "vector": [1.0, 0.0], "n": 1}], "distance_metric": COSINE}
    assert namespace.write(**body, extra_headers=key).rows_upserted == 1
    namespace.write(patch_rows=[{"id": 1, "n": 2}])
    assert namespace.write(**body, extra_headers=key).rows_upserted == 1  # the answer of the first write, which is not repeated
    assert namespace.query(rank_by=("id", "asc"), limit=1, include_attributes=["n"]).rows[0].n == 2
    with pytest.raises(turbopuffer.BadRequestError, match="same key"):
        namespace.write(deletes=[1], extra_headers=key)
    with pytest.raises(turbopuffer.BadRequestError, match="1 to 255 printable"):
        namespace.write(deletes=[1], extra_headers={"Idempotency-Key": "x" * 256})


def test_an_idempotency_key_outlives_folds_and_servers(dipper, root):
    def send_keyed(url, key, body):
        request = urllib.request.Request(url + "/v2/namespaces/once", json.dumps(body).encode(), {"Idempotency-Key": key})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer), answer.headers["Idempotent-Replayed"]

    with serving(dipper, root) as url:
        write(url, "once", {"upsert_rows": [{"id": i, "n": 0} for i in range(9)]})
        answer, again = send_keyed(url, "k1", {"delete_by_filter": ["id", "Lt", 3]})
        assert (answer["rows_deleted"], again) == (3, None)
    subprocess.run([dipper, "ns", "compact", "once", "--root", root], check=True, capture_output=True, timeout=60)
    with serving(dipper, root) as url:
        write(url, "once", {"upsert_rows": [{"id": 1, "n": 1}]})
        answer, again = send_keyed(url, "k1", {"delete_by_filter": ["id", "Lt", 3]})
        assert (answer["rows_deleted"], again) == (3, "true")
        assert ids(query(url, "once", EVERYTHING)) == [1, 3, 4, 5, 6, 7, 8]
    checked = subprocess.run([dipper, "ns", "verify", "once", "--root", root], capture_output=True, timeout=60)
    assert checked.returncode == 0, checked.stderr


def test_client_errors(namespace):
    with pytest.raises(turbopuffer.NotFoundError):
        namespace.query(rank_by=("id", "asc"), limit=1)
    with pytest.raises(turbopuffer.NotFoundError):
        namespace.write(deletes=[1])
    with pytest.raises(turbopuffer.BadRequestError, match="occurs twice"):
        namespace.write(upsert_rows=[{"id": 1, "vector": [1.0]}], deletes=[1], distance_metric=COSINE)
    with pytest.raises(turbopuffer.NotFoundError):
        namespace.write(delete_by_filter=("n", "Eq", 1))
    with pytest.raises(turbopuffer.UnprocessableEntityError):
        namespace.write(upsert_rows={"id": 1})
    with pytest.raises(turbopuffer.UnprocessableEntityError):
        namespace.query(rank_by=("id", "asc"), limit=1, consistency="eventual")
    assert not namespace.exists()
