"""compute_attributes through the server, by turbopuffer's own client: scores, distances and highlights of each row. Some rows are in
a segment, some in the log."""
import math
import subprocess

import pytest
import turbopuffer

from program import clean_environment
from serving import serving

TEXT = 'Foxes run. "A fox sleeps!" Two\u00a0dogs \U0001f600 see a fox.\n\nThe end.'
ROWS = [
    {"id": 1, "vector": [1.0, 0.0], "text": TEXT, "n": 4, "place": [3.0, 4.0], "kind": "a"},
    {"id": 2, "vector": [0.0, 2.0], "text": "A dog.", "n": -3},
    {"id": 3, "vector": [1.0, 1.0], "text": "No such word\nhere. Fox fox", "n": 1, "place": [0.0, 0.0], "kind": "b"},
    {"id": 4, "vector": [-1.0, 0.0]},
]
SCHEMA = {"text": {"type": "string", "full_text_search": {"stemming": True}}, "place": {"type": "[2]f32", "ann": True}}


@pytest.fixture(scope="module", name="namespace")
def make_namespace(dipper, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    with serving(dipper, root) as url:
        client = turbopuffer.Turbopuffer(base_url=url, api_key="none", max_retries=0)
        namespace = client.namespace("computed")
        namespace.write(upsert_rows=ROWS[:2], distance_metric="cosine_distance", schema=SCHEMA)
        subprocess.run([dipper, "ns", "compact", "computed", "--root", str(root)], check=True, env=clean_environment(), stdout=subprocess.DEVNULL)
        namespace.write(upsert_rows=ROWS[2:], distance_metric="cosine_distance")
        yield namespace


def ask(namespace, computed, **query):
    query = {"rank_by": ("id", "asc"), "top_k": 10} | query
    return [row.model_dump() for row in namespace.query(compute_attributes=computed, **query).rows]


def column(namespace, expression, **query):
    return [row["x"] for row in ask(namespace, {"x": expression}, **query)]


def test_distances(namespace):
    assert column(namespace, ("vector", "VectorDist", [2, 0])) == pytest.approx([0, 1, 1 - math.sqrt(0.5), 2], abs=1e-6)
    found = column(namespace, ("place", "VectorDist", [0, 1]))
    assert found[0] == pytest.approx(0.2, abs=1e-6) and found[1:] == [None, None, None]
    found = ask(namespace, {"x": ("vector", "VectorDist", [1, 0])}, rank_by=("vector", "ANN", [1, 0]))
    assert [row["x"] for row in found] == pytest.approx([row["$dist"] for row in found])
    assert all(set(row) == {"id", "$dist", "x", "vector"} and row["vector"] is None or "vector" not in row for row in found)


def test_scores(namespace):
    assert column(namespace, ("Max", [0, ("Attribute", "n")])) == [4, 0, 1, 0]
    assert column(namespace, ("kind", "Eq", "b")) == [0, 0, 1, 0]
    assert column(namespace, ("id", "In", [1, 4])) == [1, 0, 0, 1]
    query = ("Sum", [("text", "BM25", "fox"), ("Product", 2, ("text", "BM25", "dogs"))])
    ranked = {row["id"]: row["$dist"] for row in ask(namespace, {}, rank_by=query)}
    assert len(ranked) == 3
    two = [(row["x"], row["y"]) for row in ask(namespace, {"x": query, "y": ("text", "BM25", "no end")})]
    assert [x for x, _ in two] == column(namespace, query) and [y > 0 for _, y in two] == [True, False, True, False]
    assert column(namespace, query) == pytest.approx([ranked.get(i, 0) for i in (1, 2, 3, 4)], rel=1e-6)
    assert [row["x"] for row in ask(namespace, {"x": query}, rank_by=("text", "BM25", "dog"))] == pytest.approx([ranked[2], ranked[1]], rel=1e-6)


def test_scores_beyond_all_numbers_are_finite(namespace):
    huge = ("Product", 1e300, ("Product", 1e300, ("Max", [0, ("Attribute", "n")])))
    assert column(namespace, huge) == [1.7976931348623157e308, 0, 1.7976931348623157e308, 0]
    for query in (huge, ("Product", 1e300, ("text", "BM25", "fox"))):
        assert [row["$dist"] for row in ask(namespace, {}, rank_by=query)] == [pytest.approx(3.4028235e38)] * 2


def test_rows_have_what_was_asked_for(namespace):
    computed = {"n": ("Max", [0, ("Attribute", "n")]), "d": ("place", "VectorDist", [1, 0])}
    rows = ask(namespace, computed, include_attributes=["kind", "n"])
    assert [set(row) - {"vector", "$dist"} for row in rows] == [{"id", "kind", "n", "d"}, {"id", "n", "d"}, {"id", "kind", "n", "d"}, {"id", "n", "d"}]
    assert rows[1]["n"] == 0 and rows[0]["kind"] == "a"
    everything = ask(namespace, computed, include_attributes=True)[0]
    assert everything["vector"] == [1, 0] and everything["place"] == [3, 4] and everything["text"] == TEXT and everything["n"] == 4
    distance = {"x": ("vector", "VectorDist", [1, 0])}
    answer = namespace.multi_query(queries=[{"rank_by": ("text", "BM25", "fox"), "top_k": 5, "compute_attributes": distance},
                                            {"rank_by": ("vector", "ANN", [0, 1]), "top_k": 1, "compute_attributes": {"x": ("kind", "Eq", None)}}],
                                   rerank_by=("RRF",))
    assert {row.id: row.model_dump()["x"] for row in answer.results[0].rows} == {1: pytest.approx(0, abs=1e-6), 3: pytest.approx(0.2929, abs=1e-4), 2: 1}


def parts(text, ranges):
    return [text[begin:end] for begin, end in ranges]


def test_highlights(namespace):
    rows = ask(namespace, {"x": ("Highlight", "text")}, rank_by=("text", "BM25", "fox"))
    found = {row["id"]: [f["text"] for f in row["x"]] for row in rows}
    assert sorted(found) == [1, 3] and sorted(found[1]) == sorted(['Foxes run.', '"A fox sleeps!"', "Two\u00a0dogs \U0001f600 see a fox."])
    assert found[3] == ["Fox fox"]
    fragment = {"rank_fragments_by": ("$fragment", "BM25", "dogs"), "include_offsets": "codepoints"}
    first, second, third, fourth = column(namespace, ("Highlight", "text", fragment))
    assert [set(f) for f in first] == [{"text", "fragment_range", "match_ranges"}]
    assert parts(TEXT, [first[0]["fragment_range"]]) == [first[0]["text"]] == ["Two\u00a0dogs \U0001f600 see a fox."]
    assert parts(TEXT, first[0]["match_ranges"]) == ["dogs"]
    assert second == [{"text": "A dog.", "fragment_range": [0, 6], "match_ranges": [[2, 5]]}] and third == fourth == []
    for unit, code in (("utf-8", "utf-8"), ("utf-16", "utf-16-le")):
        query = fragment | {"include_offsets": unit, "rank_fragments_by": ("$fragment", "BM25", "foxes")}
        whole, width = TEXT.encode(code), 2 if unit == "utf-16" else 1
        for f in column(namespace, ("Highlight", "text", query))[0]:
            begin, end = (width * at for at in f["fragment_range"])
            assert whole[begin:end].decode(code) == f["text"]
            assert all(whole[width * b:width * e].decode(code).lower() in ("fox", "foxes") for b, e in f["match_ranges"])
    assert [[f["text"] for f in row] for row in column(namespace, ("Highlight", "text", {"fragment_by": "paragraph", "fragment_limit": 1}))] == [
        [TEXT.split("\n\n")[0]], ["A dog."], ["No such word\nhere. Fox fox"], []]
    words = {"fragment_by": "word", "rank_fragments_by": ("$fragment", "BM25", "do", {"last_as_prefix": True})}
    assert [f["text"] for f in column(namespace, ("Highlight", "text", words))[0]] == ["dogs"]
    assert column(namespace, ("Highlight", "text", {"fragment_by": "none"}), filters=("id", "Eq", 1)) == [[{"text": TEXT}]]


@pytest.mark.parametrize("computed, words", [
    ({"x": ("Highlight", "n")}, "full_text_search"), ({"x": ("Highlight", "text", {"fragment_by": "line"})}, 'no "line"'),
    ({"x": ("Highlight", "text", {"fragment_limit": 1025})}, "1 to 1024"), ({"x": ("Highlight", "text", {"colour": 1})}, "no option"),
    ({"x": ("Highlight", "text", {}, 1)}, "a highlight is"), ({"x": ("Highlight", "text", {"rank_fragments_by": ("text", "BM25", "a")})}, "no attribute"),
    ({"x": ("vector", "VectorDist", [1])}, "2 dimensions"), ({"x": ("vector", "VectorDist", ("Embed", "a"))}, "embed the text first"), ({"x": ("vector", "VectorDist", [0, 0])}, "no direction"),
    ({"x": ("n", "VectorDist", [1])}, "holds no vectors"), ({"x": ("Attribute", "n")}, "x"), ({"x": ("nix", "BM25", "a")}, "no attribute"),
    ({"id": ("kind", "Eq", "a")}, "cannot be a label"), ({"$x": ("kind", "Eq", "a")}, "cannot be a label"),
    ({f"l{i}": ("kind", "Eq", "a") for i in range(257)}, "at most 256"),
    ({"x": ("kind", "In", [str(i) for i in range(5000)])}, "more than 4096")])
def test_what_cannot_be_computed(namespace, computed, words):
    with pytest.raises(turbopuffer.BadRequestError, match=words):
        ask(namespace, computed)


def test_computed_attributes_and_aggregates_exclude_each_other(namespace):
    with pytest.raises(turbopuffer.BadRequestError, match="exclude each other"):
        namespace.query(aggregate_by={"n": ("Count",)}, compute_attributes={"x": ("kind", "Eq", "a")})
