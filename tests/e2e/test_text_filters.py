"""Regex, Fuzzy, Glob and the operators over tokens through the server: in queries, aggregates, scores, conditions of writes, and in
deletions and patches by filter. Some rows are in a segment, some in the log."""
import json
import subprocess
import urllib.error
import urllib.request

import pytest

from program import clean_environment
from serving import serving

ROWS = [
    {"id": 1, "body": "Walruses are large marine mammals, with long tusks.", "path": "sea/walrus.md", "names": ["Odobenus rosmarus", "morse"]},
    {"id": 2, "body": "Seals are marine mammals too;\nmany are small.", "path": "sea/seal.md", "names": ["Phocidae"]},
    {"id": 3, "body": "The tusks of a wild boar grow all its life.", "path": "land/boar.txt"},
    {"id": 4, "path": "land/none.txt", "names": []},
    {"id": 5, "body": "Mammals of the marine kind.", "names": ["marine", "mammals"]},
]
SCHEMA = {"body": {"type": "string", "full_text_search": {"stemming": True, "remove_stopwords": True}, "fuzzy": True},
          "path": {"type": "string", "regex": True, "glob": True},
          "names": {"type": "[]string", "full_text_search": True, "fuzzy": True}}


def send(url, name, path, body):
    request = urllib.request.Request(f"{url}/v2/namespaces/{name}{path}", json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module", name="place")
def make_place(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    with serving(dipper, root) as url:
        status, answer = send(url, "texts", "", {"upsert_rows": ROWS[:3], "schema": SCHEMA})
        assert status == 200, answer
        subprocess.run([dipper, "ns", "compact", "texts", "--root", str(root)], check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
        status, answer = send(url, "texts", "", {"upsert_rows": ROWS[3:]})
        assert status == 200, answer
        yield url


def fill(url, name):
    status, answer = send(url, name, "", {"upsert_rows": ROWS, "schema": SCHEMA})
    assert status == 200, answer


def found(url, name, filters, **more):
    status, answer = send(url, name, "/query", {"rank_by": ["id", "asc"], "limit": 10, "filters": filters} | more)
    assert status == 200, answer
    return [row["id"] for row in answer["rows"]]


ONE = {"max_edit_distance": [{"min_query_chars": 6, "distance": 1}]}
FILTERS = [
    (["body", "ContainsAllTokens", "marine mammal"], [1, 2, 5]), (["body", "ContainsAllTokens", "mammals tusk"], [1]),
    (["body", "ContainsAllTokens", ["walrus", "tusk"]], [1]), (["body", "ContainsAllTokens", "marine mammals short"], []),
    (["body", "ContainsAnyToken", "walrus boars"], [1, 3]), (["body", "ContainsTokenSequence", "marine mammals"], [1, 2]),
    (["body", "ContainsTokenSequence", "tusks of a wild boar"], [3]), (["body", "ContainsTokenSequence", "mammal of the marine"], [5]),
    (["body", "ContainsAllTokens", "mammals tus", {"last_as_prefix": True}], [1]), (["names", "ContainsAllTokens", "morse rosmarus"], [1]),
    (["names", "ContainsTokenSequence", "odobenus rosmarus"], [1]), (["names", "ContainsTokenSequence", "marine mammals"], []),
    (["Not", ["body", "ContainsAnyToken", "mammals"]], [3, 4]), (["body", "Fuzzy", "marrine", ONE], [1, 2, 5]),
    (["body", "Fuzzy", "walruss", {**ONE, "case_sensitive": False}], [1]), (["names", "Fuzzy", "Phocydae", ONE], [2]),
    (["path", "Regex", r"^\w+/[sw].*\.md$"], [1, 2]), (["path", "NotGlob", "sea/*"], [3, 4, 5]),
    (["And", [["path", "IGlob", "SEA/*"], ["Or", [["body", "ContainsAnyToken", "seal"], ["path", "Regex", "boar"]]]]], [2])]


@pytest.mark.parametrize("filters, ids", FILTERS)
def test_text_filters(place, filters, ids):
    assert found(place, "texts", filters) == ids
    status, answer = send(place, "texts", "/query", {"aggregate_by": {"n": ["Count"]}, "filters": filters})
    assert status == 200 and answer["aggregations"]["n"] == len(ids), answer


def test_text_filters_beside_scores(place):
    assert found(place, "texts", ["body", "ContainsAllTokens", "marine mammals"], rank_by=["body", "BM25", "tusks walruses"]) == [1]
    score = ["Sum", [["Product", 2, ["body", "ContainsTokenSequence", "wild boar"]], ["path", "Regex", "none"]]]
    assert found(place, "texts", ["And", []], rank_by=score) == [3, 4]


@pytest.mark.parametrize("filters, words", [
    (["path", "ContainsAllTokens", "a"], '"full_text_search": true'), (["path", "Fuzzy", "walrus", ONE], '"fuzzy": true'),
    (["body", "Regex", "a"], '"regex": true'), (["body", "Eq", "a"], "not filterable"), (["body", "Fuzzy", "walrus"], "max_edit_distance is missing"),
    (["id", "ContainsAnyToken", "a"], "attributes of strings")])
def test_text_filters_are_refused_by_name(place, filters, words):
    status, answer = send(place, "texts", "/query", {"rank_by": ["id", "asc"], "limit": 1, "filters": filters})
    assert status == 400 and words in answer["error"], answer


@pytest.mark.parametrize("number", [0, 4, 6, 9, 14, 16])
def test_text_filters_in_writes(place, number):
    filters, ids = FILTERS[number]
    everyone = [row["id"] for row in ROWS]
    others = [i for i in everyone if i not in ids]
    name = f"writes-{number}"
    fill(place, name)
    status, answer = send(place, name, "", {"patch_by_filter": {"filters": filters, "patch": {"n": 1}}})
    assert status == 200 and answer["rows_affected"] == len(ids), answer
    assert found(place, name, ["n", "Eq", 1]) == ids
    rows = [{"id": i, "n": 2} for i in everyone]
    status, answer = send(place, name, "", {"patch_rows": rows, "patch_condition": filters})
    assert status == 200 and answer["rows_affected"] == len(ids), answer
    assert found(place, name, ["n", "Eq", 2]) == ids
    status, answer = send(place, name, "", {"delete_by_filter": filters})
    assert status == 200 and answer["rows_affected"] == len(ids), answer
    assert found(place, name, ["And", []]) == others
