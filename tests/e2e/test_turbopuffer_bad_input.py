"""Bad input of writes over HTTP: the right status, an error that names the field or the byte, and nothing is written.

422: the body is no write at all. 400: it breaks a rule. Each bad row has a good one beside it, so the tests see that all
rows of a request count, or none does.
"""
import base64
import gzip
import json
import math
import struct
import urllib.error
import urllib.request

import pytest

from serving import serving

WRITE = "/v2/namespaces/rows"
SCHEMA = {"n": "int", "u": "uint", "f": "float", "t": "datetime", "b": "bytes", "s": "string", "w": "bool", "g": "uuid",
          "ns": "[]int", "pic": "[2]f16", "small": "[2]i8"}
GOOD = [{"id": 1, "vector": [1, 0, 0], "n": -2**63, "u": 2**64 - 1, "f": 1.5, "t": "2024-02-29", "b": "AAAA", "s": "x",
         "w": True, "g": "769c134d-07b8-4225-954a-b6cc5ffc320c", "ns": [1, 2**63 - 1], "pic": [0.5, 1], "small": [-128, 127]},
        {"id": 2**64 - 1, "vector": [0, 1, 0]}]


def send(url, path, body, **headers):
    """Returns status and JSON of a POST."""
    data = body if isinstance(body, bytes) else body.encode("utf-8")
    request = urllib.request.Request(url + path, data=data, method="POST",
                                     headers={name.replace("_", "-"): value for name, value in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def state(url):
    """Returns all that a client can see of the namespace."""
    status, rows = send(url, WRITE + "/query", json.dumps({"rank_by": ["vector", "ANN", [1, 2, 3]], "limit": 1000,
                                                           "include_attributes": True}))
    assert status == 200, rows
    with urllib.request.urlopen(url + "/v1/namespaces/rows/metadata", timeout=60) as answer:
        about = json.load(answer)
    return rows["rows"], about["schema"], about["approx_row_count"]


@pytest.fixture(scope="module")
def url(dipper, tmp_path_factory):
    with serving(dipper, tmp_path_factory.mktemp("bad") / "root", "--log-format", "off") as address:
        status, answer = send(address, WRITE, json.dumps({"upsert_rows": GOOD, "schema": SCHEMA,
                                                          "distance_metric": "cosine_distance"}))
        assert status == 200, answer
        yield address


@pytest.fixture
def refused(url):
    """refused(body, status, says): the write gets this status and an error that holds `says`, and changes nothing."""
    def go(body, status, says, **headers):
        before = state(url)
        got, answer = send(url, WRITE, body, **headers)
        assert (got, answer.get("status")) == (status, "error"), answer
        assert says in answer["error"], answer
        assert state(url) == before
        return answer["error"]

    return go


def base64_of(*numbers):
    return json.dumps(base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode())


def with_vector(text):
    return '{"upsert_rows":[{"id":100,"vector":[1,2,3]},{"id":5,"vector":' + text + "}]}"


def with_values(text):
    return '{"upsert_rows":[{"id":100,"vector":[1,2,3]},{"id":5,"vector":[1,2,3],' + text + "}]}"


@pytest.mark.parametrize("vector, status, says", [
    ("[NaN,1,2]", 422, "at byte 62"), ("[1,-Infinity,2]", 422, "at byte"), ("[1e39,1,2]", 422, "out of range: 1e39"),
    ("[1e999,1,2]", 422, "out of range: 1e999"),
    (base64_of(math.nan, 1, 2), 400, "vector holds NaN"), (base64_of(1, math.inf, 2), 400, "an infinite number"),
    (base64_of(1, 2, -math.inf), 400, "an infinite number"),
    ('"!!!!"', 422, '"vector" is not base 64'), ('"AAAA"', 422, '"vector" is not base 64'),
    ('"AACAPwAAAAAAAAA"', 422, '"vector" is not base 64'), ('"AACAPwAAAAAAAAAB=="', 422, '"vector" is not base 64'),
    ('"AACA PwAAAAAAAAAA"', 422, '"vector" is not base 64'), ('""', 400, "a vector has 1 to 16384 numbers, not 0"),
    ("[]", 400, "a vector has 1 to 16384 numbers, not 0"),
    ("[1,2]", 400, 'row 5: "vector" has 2 dimensions'), ("[1,2,3,4]", 400, 'row 5: "vector" has 4 dimensions'),
    ("[0,0,0]", 400, 'row 5: "vector" has length zero'), ("[-0.0,0,0e5]", 400, 'row 5: "vector" has length zero'),
    ("[1e-46,0,0]", 400, 'row 5: "vector" has length zero'), (base64_of(0, 0, 0), 400, 'row 5: "vector" has length zero'),
    ("null", 400, 'row 5: "vector" is missing'), ('["1",2,3]', 422, '"vector" must be a number, not a string'),
    ("[null,2,3]", 422, '"vector" must be a number, not null'), ("[true,2,3]", 422, '"vector" must be a number, not a boolean'),
    ("[[1,2,3]]", 422, '"vector" must be a number, not an array'), ("{}", 422, '"vector" must be an array, not an object'),
    ("7", 422, '"vector" must be an array, not a number'),
])
def test_vectors(refused, vector, status, says):
    refused(with_vector(vector), status, says)


@pytest.mark.parametrize("values, says", [
    ('"n":9223372036854775808', '"n" has type int, but the value is a number outside'),
    ('"n":-9223372036854775809', '"n" has type int, but the value is a number outside'),
    ('"n":1e30', '"n" has type int, but the value is a number outside'), ('"n":1.5', '"n" has type int'),
    ('"n":"1"', '"n" has type int, but the value is a string'), ('"n":true', '"n" has type int, but the value is a boolean'),
    ('"n":[1]', '"n" has type int, but the value is an array'), ('"n":{"x":1}', '"n" has type int, but the value is an object'),
    ('"u":18446744073709551616', '"u" has type uint, but the value is a number outside'),
    ('"u":-1', '"u" has type uint, but the value is a number outside'), ('"u":"1"', '"u" has type uint'),
    ('"f":1e999', '"f": a number out of range'), ('"f":"1"', '"f" has type float'),
    ('"new":9223372036854775808', '"new" is an integer beyond int64'), ('"new":-9223372036854775809', '"new"'),
    ('"new":1e999', '"new": a number out of range'), ('"new":[1,"a"]', '"new" must be'), ('"new":[[1]]', '"new" must be'),
    ('"new":{"a":1}', '"new" must be'), ('"ns":[1,9223372036854775808]', '"ns" has type []int'), ('"ns":[null]', '"ns"'),
    ('"w":1', '"w" has type bool'), ('"w":"true"', '"w" has type bool'),
    ('"b":"%%%"', '"b" has type bytes'), ('"b":"A"', '"b" has type bytes'), ('"b":5', '"b" has type bytes'),
    ('"g":"x"', '"g" has type uuid'), ('"g":5', '"g" has type uuid'), ('"g":"769c134d-07b8-4225-954a-b6cc5ffc320g"', '"g"'),
    ('"pic":[1]', '"pic"'), ('"pic":[1e6,0]', '"pic"'), ('"pic":"AAAA"', '"pic"'), ('"pic":[0,null]', '"pic"'),
    ('"small":[128,0]', '"small"'), ('"small":[0.5,0]', '"small"'), ('"small":' + base64_of(math.nan, 0), '"small"'),
    ('"$x":1', '"$x"'), ('"":1', "attribute's name has 1 to 128 bytes, not 0"), (f'"{"a" * 129}":1', "1 to 128 bytes, not 129"),
    ('"n":1,"n":2', '"n" is given twice'), ('"n":1,"\\u006e":2', '"n" is given twice'), ('"id":6', '"id" is given twice'),
    ('"vector":[1,2,3]', '"vector" is given twice'),
])
def test_values(refused, values, says):
    refused(with_values(values), 400, says)


@pytest.mark.parametrize("time", [
    "2024-02-30", "2023-02-29", "1900-02-29", "2024-13-01", "2024-00-10", "2024-04-31", "2024-1-1", "24-01-01", "yesterday", "",
    " 2024-03-01", "2024-03-01T25:00:00Z", "2024-03-01T24:00:00Z", "2024-03-01T10:60:00Z", "2024-03-01T10:00:61Z",
    "2024-03-01T10:00:00+25:00", "10000-01-01", "-0001-01-01", "2024-03-01T10:00:00Zjunk", "2024-03-01T10:00:00.1234567890Z",
    "2024-03-01T", "2024/03/01", "0x7e8-03-01", "２０２４-03-01"])
def test_odd_dates(refused, time):
    refused(with_values('"t":' + json.dumps(time)), 400, 'row 5: attribute "t" has type datetime')


def test_numbers_are_no_dates(refused):
    for value in ("5", "1709251200000", "true", "[]"):
        refused(with_values(f'"t":{value}'), 400, 'row 5: attribute "t" has type datetime')


@pytest.mark.parametrize("body", [
    with_values('"s":"\\ud800"'), with_values('"s":"\\udc00x"'), with_values('"s":"\\ud800\\ud800"'), with_values('"\\ud800":1'),
    '{"deletes":["\\ud800"]}', '{"upsert_rows":[{"id":"\\udfff","vector":[1,2,3]}]}'])
def test_lone_surrogates(refused, body):
    refused(body, 422, "lone surrogate")


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", b"\xe2\x82"])
def test_bytes_that_are_no_utf8(refused, text):
    refused(with_values('"s":"@"').encode().replace(b"@", text), 422, "invalid UTF-8 in a string at byte")


@pytest.mark.parametrize("id, status, says", [
    ("-1", 422, "an id must be"), ("18446744073709551616", 422, "an id must be"), ("1.5", 422, "an id must be"),
    ("1e3", 422, "an id must be"), ("null", 422, "an id must be"), ("true", 422, "an id must be"), ("[1]", 422, "an id must be"),
    ('"five"', 400, '"five" is not of type uint'), ('"5"', 400, '"5" is not of type uint'), ('""', 400, "an id has 1 to 128 bytes"),
    ('"769c134d-07b8-4225-954a-b6cc5ffc320c"', 400, "is not of type uint"),
])
def test_ids(refused, id, status, says):
    refused(f'{{"upsert_rows":[{{"id":100,"vector":[1,2,3]}},{{"id":{id},"vector":[1,2,3]}}]}}', status, says)
    refused(f'{{"patch_rows":[{{"id":1,"n":5}},{{"id":{id},"n":1}}]}}', status, says)
    refused(f'{{"deletes":[1,{id}]}}', status, says)


def test_ids_of_several_kinds_in_a_new_namespace(url):
    for first, second, says in (("1", '"one"', '"one" is not of type uint'), ('"one"', "1", "1 is not of type string")):
        body = f'{{"upsert_rows":[{{"id":{first},"a":1}},{{"id":{second},"a":1}}]}}'
        status, answer = send(url, "/v2/namespaces/mixed", body)
        assert status == 400 and says in answer["error"], answer
        assert send(url, "/v2/namespaces/mixed/query", '{"rank_by":["id","asc"],"limit":1}')[0] == 404


@pytest.mark.parametrize("body", [
    '{"upsert_rows":[{"id":5,"vector":[1,2,3]},{"id":5,"vector":[1,2,3]}]}',
    '{"upsert_rows":[{"id":5,"vector":[1,2,3]}],"deletes":[5]}', '{"deletes":[5,6,5]}',
    '{"patch_rows":[{"id":5,"n":4}],"deletes":[5]}', '{"upsert_columns":{"id":[5],"vector":[[1,2,3]]},"patch_rows":[{"id":5}]}'])
def test_one_id_twice(refused, body):
    refused(body, 400, "id 5 occurs twice")


@pytest.mark.parametrize("body, status, says", [
    ("", 422, "byte 0"), ("null", 422, "must be an object"), ("[]", 422, "must be an object"), ('"x"', 422, "must be an object"),
    ("[" * 100000, 422, "must be an object"), ('{"upsert_rows":' + "[" * 100000, 422, "at byte"),
    (with_values('"new":' + "[" * 1000 + "]" * 1000), 422, "nested deeper"),
    ('{"deletes":[1]', 422, "end of the text"), ('{"deletes":[1]}x', 422, "expected the end"), ('{"deletes":[1]}{}', 422, "byte 15"),
    ('{"deletes":[1,]}', 422, "at byte 14"), ("{'deletes':[1]}", 422, "at byte 1"), ('{"deletes":[01]}', 422, "at byte"),
    ('{"upsert_rows":{}}', 422, "upsert_rows must be an array"), ('{"upsert_rows":[5]}', 422, "each of upsert_rows must be an object"),
    ('{"upsert_columns":[]}', 422, "upsert_columns must be an object"), ('{"deletes":5}', 422, "deletes must be an array"),
    ('{"upsert_rows":[{"vector":[1,2,3]}]}', 422, "upsert_rows lacks its id"),
    ('{"upsert_rows":[],"upsert_rows":[]}', 422, '"upsert_rows" is given twice'), ('{"nonsense":1}', 422, '"nonsense"'),
    ('{"upsert_columns":{"id":[5,6],"vector":[[1,2,3]]}}', 400, 'column "vector" has 1 values'),
    ('{"upsert_columns":{"id":[5,6],"vector":[1,2,3]}}', 400, 'column "vector" has 3 numbers for 2 rows'),
    ('{"upsert_columns":{"id":[5],"vector":[[1,2,3]],"n":[]}}', 400, 'column "n" has 0 values'),
    ('{"upsert_columns":{"vector":[[1,2,3]]}}', 422, 'lacks the column "id"'),
    ('{"distance_metric":"euclidean_squared","deletes":[1]}', 400, "distance_metric differs"),
    ('{"distance_metric":"dot_product","deletes":[1]}', 422, "distance_metric must be"),
    ('{"schema":{"n":"string"},"deletes":[1]}', 400, '"n" has type int, which cannot become string'),
    ('{"schema":{"q":"number"},"deletes":[1]}', 400, '"number" is not a type'),
    ('{"schema":{"id":"string"},"deletes":[1]}', 400, '"id" has type uint'),
    ('{"patch_rows":[{"id":1,"vector":[1,2,3]}]}', 400, 'cannot change "vector"'),
    ('{"upsert_condition":["n","Near",1],"upsert_rows":[{"id":1,"vector":[1,2,3]}]}', 400, '"Near"'),
    ('{"delete_condition":["n","Eq","x"],"deletes":[1]}', 400, 'delete_condition: attribute "n" has type int'),
    ('{"patch_condition":["n"],"patch_rows":[{"id":1,"n":1}]}', 400, "patch_condition"),
])
def test_bodies(refused, body, status, says):
    refused(body, status, says)


def test_lying_encodings(refused):
    body = with_values('"n":1').encode()
    whole = gzip.compress(body)
    refused(body, 400, "not a whole gzip stream", Content_Encoding="gzip")
    refused(whole[:-1], 400, "not a whole gzip stream", Content_Encoding="gzip")
    refused(whole[:-8] + b"\0\0\0\0" + whole[-4:], 400, "not a whole gzip stream", Content_Encoding="gzip")  # the checksum
    refused(whole[:-4] + b"\1\0\0\0", 400, "not a whole gzip stream", Content_Encoding="gzip")  # the length
    refused(whole, 400, "not a whole zstd stream", Content_Encoding="zstd")
    refused(whole, 422, "at byte 0")
    refused(gzip.compress(whole), 422, "at byte 0", Content_Encoding="gzip")
    refused(whole, 415, '"gzip" and "zstd"', Content_Encoding="deflate")
    refused(body.decode().encode("utf-16"), 422, "at byte 0")
    refused(b"\xef\xbb\xbf" + body, 422, "at byte 0")
