"""The limits of docs/limits.md over HTTP: each at its value, and one beyond."""
import json
import urllib.error
import urllib.request

import pytest

from serving import serving


@pytest.fixture(scope="module")
def url(dipper, tmp_path_factory):
    with serving(dipper, tmp_path_factory.mktemp("limits") / "root", "--log-format", "off") as address:
        yield address


def post(url, path, body):
    """Returns status and error of a POST."""
    request = urllib.request.Request(url + "/v2/namespaces/" + path, data=json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]


def upsert(url, path, **row):
    more = {"distance_metric": "cosine_distance"} if "vector" in row else {}
    return post(url, path, {"upsert_rows": [row], **more})


def test_limit_of_names(url):
    assert upsert(url, "n" * 128, id=1)[0] == 200
    status, error = upsert(url, "n" * 129, id=1)
    assert status == 400 and "1 to 128 characters, not 129" in error


def test_limit_of_ids(url):
    for text in ("x" * 128, "é" * 64):
        assert upsert(url, "ids", id=text)[0] == 200
        assert post(url, "ids", {"patch_rows": [{"id": text, "a": 1}]})[0] == 200
        assert post(url, "ids", {"deletes": [text]})[1]["rows_deleted"] == 1
    for body in ({"upsert_rows": [{"id": "x" * 129}]}, {"patch_rows": [{"id": "x" * 129}]}, {"deletes": ["é" * 64 + "x"]}):
        status, error = post(url, "ids", body)
        assert status == 400 and "1 to 128 bytes, not 129" in error, error
    for number, good in ((2**64 - 1, True), (2**64, False)):
        assert (upsert(url, "numbers", id=number)[0] == 200) == good


def test_limit_of_dimensions(url):
    assert upsert(url, "wide", id=1, vector=[1] * 16384)[0] == 200
    status, error = upsert(url, "wider", id=1, vector=[1] * 16385)
    assert status == 400 and "1 to 16384 numbers, not 16385" in error
    assert post(url, "picture", {"upsert_rows": [{"id": 1}], "schema": {"p": "[16384]f16"}})[0] == 200
    assert post(url, "pictures", {"upsert_rows": [{"id": 1}], "schema": {"p": "[16385]f16"}})[0] == 400


def test_limit_of_attributes(url):
    assert upsert(url, "names", id=1, **{"a" * 128: 1})[0] == 200
    status, error = upsert(url, "names", id=1, **{"a" * 129: 1})
    assert status == 400 and "1 to 128 bytes, not 129" in error
    many = {f"a{i}": 1 for i in range(1024)}
    assert upsert(url, "many", id=1, **many)[0] == 200
    status, error = upsert(url, "many", id=2, one_more=1)  # in the namespace
    assert status == 413 and "at most 1024 attributes" in error
    status, error = upsert(url, "more", id=1, one_more=1, **many)  # in the request
    assert status == 400 and "more than 1024 different attributes" in error
    assert upsert(url, "many", id=2, a1023=2)[0] == 200


def test_limit_of_vector_attributes(url):
    schema = {f"v{i}": "[2]f32" for i in range(8)}
    assert post(url, "columns", {"upsert_rows": [{"id": 1}], "schema": schema})[0] == 200
    status, error = post(url, "columns", {"upsert_rows": [{"id": 1}], "schema": {"v8": "[2]f32"}})
    assert status == 413 and "at most 8 vector attributes" in error


def test_limit_of_documents(url):
    longest = 8 * 1024 * 1024 - len('{"s":""}')
    assert upsert(url, "documents", id=1, s="x" * longest)[0] == 200
    status, error = upsert(url, "documents", id=1, s="x" * (longest + 1))
    assert status == 413 and "8388608" in error, error


def test_limit_of_filterable_values(url):
    body = {"schema": {"s": {"type": "string", "filterable": True}}, "upsert_rows": [{"id": 1, "s": "x" * 4096}]}
    assert post(url, "filterable", body)[0] == 200
    body["upsert_rows"][0]["s"] += "x"
    status, error = post(url, "filterable", body)
    assert status == 413 and '"s"' in error and "4096" in error, error


def test_limit_of_rows_in_a_request(url):
    ids = list(range(131072))
    assert post(url, "rows", {"upsert_columns": {"id": ids}})[1]["rows_upserted"] == 131072
    status, error = post(url, "rows", {"deletes": ids + [131072]})
    assert status == 413 and "more than 131072 rows" in error
    assert post(url, "rows", {"deletes": ids})[1]["rows_deleted"] == 131072


def test_limit_of_queries(url):
    query = {"rank_by": ["id", "asc"], "limit": 10000}
    assert upsert(url, "queries", id=1)[0] == 200
    assert post(url, "queries/query", {"queries": [query] * 16})[0] == 200
    status, error = post(url, "queries/query", {"queries": [query] * 17})
    assert status == 400 and "1 to 16 elements, not 17" in error
    status, error = post(url, "queries/query", {**query, "limit": 10001})
    assert status == 400 and "limit must be an integer from 1 to 10000" in error
