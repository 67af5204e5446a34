"""Attributes of every type over HTTP: declared, written in any form, read in normal form, filtered, changed, dropped."""
import base64
import json
import struct
import urllib.error
import urllib.request

import pytest

from serving import serving

NAME = "/v2/namespaces/typed"
ROW = "769c134d-07b8-4225-954a-b6cc5ffc320"


@pytest.fixture(scope="module", name="url")
def make_url(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    with serving(dipper, root) as url:
        yield url


def send(url, method, path, body):
    """The body is an object, or a text that is sent as it is. Returns the status and the JSON of the answer."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def rows(url, filters=None, path=NAME, **more):
    body = {"rank_by": ["id", "asc"], "limit": 100, "include_attributes": True} | more
    status, answer = send(url, "POST", path + "/query", body | ({"filters": filters} if filters else {}))
    assert status == 200, answer
    return answer["rows"]


def test_types_come_back_in_normal_form(url):
    schema = {"id": "uuid", "u": "uint", "t": "datetime", "b": "bytes", "f": "float", "tags": "[]string", "who": "[]uuid",
              "small": {"type": "[2]i8", "ann": True}, "half": {"type": "[2]f16", "ann": True}}
    status, answer = send(url, "POST", NAME, {"schema": schema, "upsert_rows": [
        {"id": ROW.upper() + "C", "u": 2**64 - 1, "t": "2024-03-01T01:02:03.456789+05:30", "b": "AQ", "f": 1, "tags": ["é", "\n"],
         "who": [ROW.upper() + "0"], "n": 9007199254740993, "none": None, "small": [1, -128],
         "half": base64.b64encode(struct.pack("<2f", 1, 2049)).decode()},
        {"id": ROW + "d", "n": -5}]})
    assert status == 200, answer
    first, second = rows(url)
    assert first == {"id": ROW + "c", "u": 2**64 - 1, "t": "2024-02-29T19:32:03.456000000Z", "b": "AQ==", "f": 1,
                     "tags": ["é", "\n"], "who": [ROW + "0"], "n": 9007199254740993, "small": [1, -128], "half": [1, 2048]}
    assert second == {"id": ROW + "d", "n": -5}
    shown = rows(url, vector_encoding="base64", include_attributes=["half"])[0]["half"]
    assert struct.unpack("<2f", base64.b64decode(shown)) == (1, 2048)


@pytest.mark.parametrize("filters, found", [
    (["u", "Eq", 2**64 - 1], "c"), (["u", "Lt", 2**64 - 1], "d"), (["n", "Gt", 9007199254740992], "c"),
    (["t", "Gte", "2024-02-29T19:32:03.456Z"], "c"), (["tags", "ContainsAny", ["x", "é"]], "c"),
    (["who", "Contains", (ROW + "0").replace("-", "")], "c"), (["id", "In", [(ROW + "D").upper()]], "d"),
    (["tags", "Glob", "?"], "c"), (["tags", "NotGlob", "*"], "d"), (["tags", "IGlob", "\u00c9*"], "c"),
    (["Not", ["n", "Lt", 0]], "c"), (["nowhere", "Eq", None], "cd"), (["And", []], "cd")])
def test_filters_know_types(url, filters, found):
    assert [row["id"][-1] for row in rows(url, filters, include_attributes=False)] == list(found)


@pytest.mark.parametrize("filters, words", [
    (["b", "Eq", "AQ=="], "bytes cannot be filtered"), (["half", "Eq", None], "cannot be filtered"),
    (["n", "Eq", "5"], "has type int"), (["id", "Eq", "x"], "has type uuid"), (["t", "Lt", "soon"], "not a time"),
    (["tags", "Glob", "x["], "class without"), (["tags", "Regex", "x"], '"regex": true'), (["n", "Glob", "x*"], "attributes of strings"), (["tags", "Lt", "x"], "without arrays"),
    (["n", "Eq", {"$ref_new": "n"}], "conditions of a write")])
def test_filters_are_refused_by_name(url, filters, words):
    status, answer = send(url, "POST", NAME + "/query", {"rank_by": ["id", "asc"], "limit": 1, "filters": filters})
    assert status == 400 and words in answer["error"], answer


BAD_ROWS = [
    ('{"id":"%s0","u":NaN}', 422, ""), ('{"id":"%s0","f":1e999}', 400, "out of range"), ('{"id":"%s0","u":-1}', 400, "0 to 2^64"),
    ('{"id":"%s0","u":18446744073709551616}', 400, "0 to 2^64"), ('{"id":"%s0","n":9223372036854775808}', 400, "2^63"),
    ('{"id":"%s0","n":1.5}', 400, "fraction"), ('{"id":"%s0","x":9223372036854775808}', 400, "beyond int64"),
    ('{"id":"%s0","x":"\\ud800"}', 422, "surrogate"), ('{"id":"%s0","u":1,"u":2}', 400, "twice"), ('{"id":"%s0","b":"!"}', 400, "base64"),
    ('{"id":"%s0","t":"2023-02-29"}', 400, "not a time"), ('{"id":"%s0","t":"2016-12-31T23:59:60Z"}', 400, "not a time"),
    ('{"id":"%s0","small":[1,128]}', 400, "i8"), ('{"id":"%s0","half":[1,65520]}', 400, "f16"),
    ('{"id":"%s0","half":"AADAfwAAgD8="}', 400, "finite"), ('{"id":"%s0","half":[1]}', 400, "2 dimensions"),
    ('{"id":"%s0","tags":["a",null]}', 400, "null"), ('{"id":"%s0","who":["x"]}', 400, "not a UUID"),
    ('{"id":7}', 400, "uuid"), ('{"id":"%szz"}', 400, "not a UUID")]


@pytest.mark.parametrize("row, status, words", BAD_ROWS)
def test_bad_rows_change_nothing(url, row, status, words):
    before = rows(url)
    got, answer = send(url, "POST", NAME, '{"upsert_rows":[' + row.replace("%s", ROW) + "]}")
    assert got == status and words in answer["error"], answer
    assert rows(url) == before


def test_options_change_in_place_and_attributes_are_dropped(url):
    path = "/v1/namespaces/typed/schema"
    assert send(url, "POST", path, {"n": "string"})[0] == 400
    status, schema = send(url, "POST", path, {"n": {"type": "int", "filterable": False}})
    assert status == 200 and schema["n"]["filterable"] is False
    status, answer = send(url, "POST", NAME + "/query", {"rank_by": ["id", "asc"], "limit": 1, "filters": ["n", "Eq", 1]})
    assert status == 400 and "not filterable" in answer["error"]
    status, schema = send(url, "POST", path, {"f": {"drop": True}})
    assert status == 200 and "f" not in schema
    assert all("f" not in row for row in rows(url))
    status, answer = send(url, "POST", NAME, {"upsert_rows": [{"id": ROW + "e", "f": 1}]})
    assert status == 400 and "was dropped" in answer["error"]


def test_the_vector_may_be_declared_later(url):
    path = "/v2/namespaces/later"
    assert send(url, "POST", path, {"upsert_rows": [{"id": 1, "x": 1}]})[0] == 200
    status, answer = send(url, "POST", path, {"schema": {"vector": {"type": "[2]f16", "ann": True}}, "distance_metric": "euclidean_squared",
                                              "upsert_rows": [{"id": 2, "vector": [2049, 1]}]})
    assert status == 200, answer
    assert send(url, "GET", path + "/schema", None)[1]["vector"]["type"] == "[2]f16"
    assert rows(url, ["id", "Eq", 2], path)[0]["vector"] == [2048, 1]
