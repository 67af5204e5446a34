"""Orders, groups, aggregates, fused queries and scores through the server, against short Python models of them. Some rows are in a
segment, some in the log, some were replaced or deleted."""
import collections
import itertools
import json
import math
import random
import re
import subprocess
import urllib.error
import urllib.request

import pytest

from program import clean_environment
from serving import serving

WORDS = "red green blue grey black white stone wood water fire earth wind salt".split()
COLOURS = ["red", "green", "blue", None]


def post(url, path, body):
    """Returns status and answer of a POST."""
    request = urllib.request.Request(f"{url}/v2/namespaces/{path}", data=json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def make_row(rng, number):
    row = {"id": number, "vector": [rng.gauss(0, 1) for _ in range(4)], "colour": rng.choice(COLOURS),
           "size": rng.choice([None, -3, 0, 1, 2, 10]), "weight": rng.choice([0.5, 1.5, -2.25]),
           "tags": rng.sample(["a", "b", "c"], rng.randrange(4)),
           "text": rng.choice([None, " ".join(rng.choices(WORDS, k=rng.randrange(1, 60)))]),
           "lines": [" ".join(rng.choices(WORDS, k=3)) for _ in range(rng.randrange(3))]}
    return {name: value for name, value in row.items() if value is not None}


@pytest.fixture(scope="module")
def place(dipper, tmp_path_factory):
    """The address of a server, and the rows that the namespace "rows" has."""
    rng = random.Random(5)
    root = tmp_path_factory.mktemp("language") / "root"
    schema = {"text": {"type": "string", "full_text_search": True}, "colour": "string", "size": "int", "weight": "float",
              "tags": "[]string", "lines": {"type": "[]string", "full_text_search": {"k1": 0.9, "b": 0.4, "k3": 2}}}
    rows = {}
    with serving(dipper, root, "--log-format", "off") as url:
        def write(numbers, **more):
            batch = [make_row(rng, number) for number in numbers]
            rows.update((row["id"], row) for row in batch)
            status, answer = post(url, "rows", {"upsert_rows": batch, "distance_metric": "euclidean_squared", **more})
            assert status == 200, answer
        write(range(150), schema=schema)
        subprocess.run([dipper, "ns", "compact", "rows", "--root", root], env=clean_environment(), check=True, timeout=60)
        write(range(100, 200))
        assert post(url, "rows", {"deletes": [3, 4, 190]})[0] == 200
        for number in (3, 4, 190):
            del rows[number]
        yield url, rows


def ask(place, **query):
    status, answer = post(place[0], "rows/query", query)
    assert status == 200, answer
    return answer


def ids(answer):
    return [row["id"] for row in answer["rows"]]


def key_of(value):
    return (value is not None, value if value is not None else 0)


def test_order_by_several_attributes(place):
    rows = place[1].values()
    for directions in itertools.product((False, True), repeat=3):
        expected = sorted(rows, key=lambda row: row["id"])
        for name, descending in reversed(list(zip(("colour", "size", "id"), directions))):
            expected.sort(key=lambda row: key_of(row.get(name)), reverse=descending)
        rank_by = [[name, "desc" if descending else "asc"]
                   for name, descending in zip(("colour", "size", "id"), directions)]
        for limit in (7, 500):
            assert ids(ask(place, rank_by=rank_by, limit=limit)) == [row["id"] for row in expected][:limit]


def square_distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b))


def first_of_groups(ordered, names, per, limit):
    taken = collections.Counter()
    kept = []
    for row in ordered:
        group = tuple(row.get(name) for name in names)
        taken[group] += 1
        if taken[group] <= per:
            kept.append(row["id"])
    return kept[:limit]


@pytest.mark.parametrize("names", [["colour"], ["colour", "size"]])
@pytest.mark.parametrize("per,limit", [(1, 100), (2, 3), (3, 100)])
def test_limit_per_group(place, names, per, limit):
    rows = sorted(place[1].values(), key=lambda row: row["id"])
    limits = {"total": limit, "per": {"attributes": names, "limit": per}}
    by_weight = sorted(rows, key=lambda row: -row["weight"])
    assert ids(ask(place, rank_by=["weight", "desc"], limit=limits)) == first_of_groups(by_weight, names, per, limit)
    vector = [0.1, -0.2, 0.3, 0.4]
    near = sorted(rows, key=lambda row: square_distance(row["vector"], vector))
    for operator in ("ANN", "kNN"):
        found = ids(ask(place, rank_by=["vector", operator, vector], limit=limits))
        assert found == first_of_groups(near, names, per, limit)


def test_aggregates(place):
    rows = list(place[1].values())
    aggregate_by = {"n": ["Count"], "sized": ["Count", "size"], "size": ["Sum", "size"], "weight": ["Sum", "weight"]}

    def model(some):
        return {"n": len(some), "sized": sum("size" in row for row in some), "size": sum(row.get("size", 0) for row in some),
                "weight": sum(row["weight"] for row in some)}

    assert ask(place, aggregate_by=aggregate_by)["aggregations"] == model(rows)
    light = [row for row in rows if row["weight"] < 1]
    answer = ask(place, aggregate_by=aggregate_by, filters=["weight", "Lt", 1])
    assert answer["aggregations"] == model(light) and "rows" not in answer

    groups = collections.defaultdict(list)
    for row in rows:
        groups[(row.get("colour"), row.get("size"))].append(row)
    expected = [{"colour": key[0], "size": key[1], **model(groups[key])}
                for key in sorted(groups, key=lambda key: (key_of(key[0]), key_of(key[1])))]
    for limit in (3, 100):
        answer = ask(place, aggregate_by=aggregate_by, group_by=["colour", "size"], limit=limit)
        assert answer["aggregation_groups"] == expected[:limit]

    tags = collections.Counter(tag for row in rows for tag in row["tags"])
    answer = ask(place, aggregate_by={"n": ["Count"]}, group_by=[{"tag": ["ForEachUnique", "tags"]}])
    assert answer["aggregation_groups"] == [{"tag": tag, "n": tags[tag]} for tag in sorted(tags)]


def test_fused_queries(place):
    queries = [{"rank_by": ["size", "desc"], "limit": 20, "include_attributes": ["size"]},
               {"rank_by": ["vector", "kNN", [1, 0, 0, 0]], "limit": 10},
               {"rank_by": ["weight", "asc"], "limit": 15, "offset": 2}]
    lanes = [ids(result) for result in ask(place, queries=queries)["results"]]
    scores = collections.defaultdict(float)
    for lane, weight in zip(lanes, (1, 2, 0.5)):
        for rank, number in enumerate(lane, 1):
            scores[number] += weight / (7 + rank)
    expected = sorted(scores, key=lambda number: (-scores[number], number))
    rerank_by = ["RRF", {"rank_constant": 7, "weights": [1, 2, 0.5]}]
    answer = ask(place, queries=queries, rerank_by=rerank_by)["results"]
    assert len(answer) == 1 and ids(answer[0]) == expected
    assert [row["$dist"] for row in answer[0]["rows"]] == pytest.approx([scores[number] for number in expected], rel=1e-6)
    assert ids(ask(place, queries=queries, rerank_by=rerank_by, limit=5, offset=3)["results"][0]) == expected[3:8]


@pytest.mark.parametrize("filters", [None, ["colour", "Eq", "red"], ["size", "Gt", 0], ["text", "ContainsAllTokens", "red fire"],
                                     ["lines", "ContainsAnyToken", "sa", {"last_as_prefix": True}], ["text", "ContainsTokenSequence", "red fire"],
                                     ["Not", ["text", "ContainsAnyToken", "red fire wood"]], ["colour", "Eq", "nowhere"]])
def test_a_count_of_rows_equals_their_number(place, filters):
    more = {"filters": filters} if filters else {}
    rows = ask(place, rank_by=["id", "asc"], limit=1000, **more)["rows"]
    counted = ask(place, aggregate_by={"n": ["Count"], "again": ["Count", "id"]}, **more)
    assert counted["aggregations"] == {"n": len(rows), "again": len(rows)}


def test_limits_of_orders_and_groups(place):
    count = {"n": ["Count"]}
    for most, query in ((8, lambda n: {"rank_by": [["size", "asc"]] * n}),
                        (8, lambda n: {"rank_by": ["id", "asc"], "limit": {"total": 1, "per": {"attributes": ["size"] * n, "limit": 1}}}),
                        (8, lambda n: {"aggregate_by": {str(i): ["Count"] for i in range(n)}}),
                        (8, lambda n: {"aggregate_by": count, "group_by": ["size"] * n})):
        assert post(place[0], "rows/query", query(most))[0] == 200
        assert post(place[0], "rows/query", query(most + 1))[0] == 400


# ---- scores ----------------------------------------------------------------------------------------------------------


def tokens_of(value):
    texts = value if isinstance(value, list) else [value or ""]
    return [token for text in texts for token in re.findall(r"[a-z0-9]+", text.lower())]


def coded(length):
    """A length after a trip through Lucene's one-byte code: exact below 40, then four significant bits."""
    if length < 40:
        return length
    shift = (length - 24).bit_length() - 4
    return 24 + ((length - 24) >> shift << shift)


def bm25(rows, name, query, k1=1.2, b=0.75, k3=8.0, prefix=None):
    """Returns the scores of rows by id, without those of 0."""
    texts = {row["id"]: tokens_of(row.get(name)) for row in rows}
    texts = {number: tokens for number, tokens in texts.items() if tokens}
    average = sum(coded(len(tokens)) for tokens in texts.values()) / len(texts)
    scores = collections.defaultdict(float)
    for token, times in collections.Counter(query).items():
        df = sum(token in tokens for tokens in texts.values())
        idf = math.log(1 + (len(texts) - df + 0.5) / (df + 0.5))
        for number, tokens in texts.items():
            tf = tokens.count(token)
            if tf:
                part = tf / (tf + k1 * (1 - b + b * coded(len(tokens)) / average))
                scores[number] += idf * part * times * (k3 + 1) / (times + k3)
    for number, tokens in texts.items():
        if prefix and any(token.startswith(prefix) for token in tokens):
            scores[number] += 1
    return scores


def check_scores(answer, scores, limit):
    expected = sorted(scores, key=lambda number: (-scores[number], number))[:limit]
    assert ids(answer) == expected
    assert [row["$dist"] for row in answer["rows"]] == pytest.approx([scores[number] for number in expected], rel=1e-5)


@pytest.mark.parametrize("limit", [1, 10, 1000])
def test_bm25(place, limit):
    rows = list(place[1].values())
    for query in ("red", "red stone", "Wind wind WIND salt", "nothing", "earth, water; nothing!"):
        answer = ask(place, rank_by=["text", "BM25", query], limit=limit)
        check_scores(answer, bm25(rows, "text", tokens_of(query)), limit)
    answer = ask(place, rank_by=["text", "BM25", ["red", "stone"]], limit=limit)
    check_scores(answer, bm25(rows, "text", ["red", "stone"]), limit)
    answer = ask(place, rank_by=["lines", "BM25", "salt salt fire"], limit=limit)
    check_scores(answer, bm25(rows, "lines", ["salt", "salt", "fire"], 0.9, 0.4, 2), limit)
    answer = ask(place, rank_by=["text", "BM25", "salt gre", {"last_as_prefix": True}], limit=limit)
    check_scores(answer, bm25(rows, "text", ["salt"], prefix="gre"), limit)


def test_bm25_counts_all_rows_whatever_the_filter(place):
    rows = list(place[1].values())
    scores = bm25(rows, "text", ["red", "fire"])
    kept = {row["id"]: scores[row["id"]] for row in rows if row["weight"] < 1 and row["id"] in scores}
    check_scores(ask(place, rank_by=["text", "BM25", "red fire"], filters=["weight", "Lt", 1], limit=500), kept, 500)


def test_bm25_reads_the_text_indexes(place):
    """Only the rows of the log are looked at, which explain_query says, too."""
    url, rows = place
    words = {"rank_by": ["text", "BM25", "red stone"], "limit": 5}
    more = {"rank_by": ["Sum", [words["rank_by"], 1]], "limit": 5}
    assert ask(place, **words)["performance"]["exhaustive_search_count"] < len(rows)
    assert ask(place, **more)["performance"]["exhaustive_search_count"] == len(rows)
    plan = post(url, "rows/explain_query", words)[1]["plan_text"]
    assert re.search("in the text indexes of [12] segments, read ", plan), plan  # two if the log was folded meanwhile
    assert f"look at all {len(rows)} rows; rank them by score" in post(url, "rows/explain_query", more)[1]["plan_text"]


def combine(function, *all_scores):
    numbers = set().union(*all_scores)
    return {number: function(*(scores.get(number, 0) for scores in all_scores)) for number in numbers}


def test_score_expressions(place):
    rows = list(place[1].values())
    red, lines = bm25(rows, "text", ["red"]), bm25(rows, "lines", ["fire"], 0.9, 0.4, 2)
    size = {row["id"]: max(0, row.get("size", 0)) for row in rows}
    light = {row["id"]: int(row["weight"] < 1) for row in rows}
    by_red, by_lines = ["text", "BM25", "red"], ["lines", "BM25", "fire"]
    by_size = ["Max", [0, ["Attribute", "size"]]]
    cases = [
        (["Sum", [by_red, by_lines]], combine(lambda a, b: a + b, red, lines)),
        (["Max", [by_red, by_lines]], combine(max, red, lines)),
        (["Product", 2.5, by_red], combine(lambda a: 2.5 * a, red)),
        (["Product", by_red, 0.5], combine(lambda a: 0.5 * a, red)),
        (["Sum", [by_red, ["weight", "Lt", 1]]], combine(lambda a, b: a + b, red, light)),
        (["Sum", [by_red, by_size]], combine(lambda a, b: a + b, red, size)),
        (["Saturate", by_size, {"midpoint": 2, "exponent": 2}], combine(lambda a: a * a / (a * a + 4), size)),
        (["Saturate", ["Attribute", "size"], {"midpoint": 2}], combine(lambda a: a / (a + 2), size)),
        (["Decay", ["Dist", ["Attribute", "weight"], 1], {"midpoint": 3}],
         {row["id"]: 3 / (abs(row["weight"] - 1) + 3) for row in rows}),
        (["weight", "Lt", 1], light),
    ]
    for rank_by, scores in cases:
        scores = {number: score for number, score in scores.items() if score > 0}
        for limit in (5, 500):
            check_scores(ask(place, rank_by=rank_by, limit=limit), scores, limit)


def test_bm25_with_limit_per_group(place):
    rows = list(place[1].values())
    scores = bm25(rows, "text", ["red", "fire"])
    ordered = sorted((row for row in rows if row["id"] in scores), key=lambda row: (-scores[row["id"]], row["id"]))
    limits = {"total": 6, "per": {"attributes": ["colour"], "limit": 2}}
    assert ids(ask(place, rank_by=["text", "BM25", "red fire"], limit=limits)) == first_of_groups(ordered, ["colour"], 2, 6)


def test_bm25_and_vectors_are_fused(place):
    queries = [{"rank_by": ["text", "BM25", "stone"], "limit": 30}, {"rank_by": ["vector", "ANN", [1, 0, 0, 0]], "limit": 30}]
    lanes = [ids(result) for result in ask(place, queries=queries)["results"]]
    scores = collections.defaultdict(float)
    for lane in lanes:
        for rank, number in enumerate(lane, 1):
            scores[number] += 1 / (60 + rank)
    answer = ask(place, queries=queries, rerank_by=["RRF"], limit=10)["results"][0]
    assert ids(answer) == sorted(scores, key=lambda number: (-scores[number], number))[:10]


def test_a_namespace_of_text_alone(place):
    url = place[0]
    rows = [{"id": name, "text": text} for name, text in (("a", "old stone bridge"), ("b", "new bridge"), ("c", "a river"))]
    body = {"upsert_rows": rows, "schema": {"text": {"type": "string", "full_text_search": True}}}
    assert post(url, "texts", body)[0] == 200
    status, answer = post(url, "texts/query", {"rank_by": ["text", "BM25", "stone bridge"], "include_attributes": ["text"]})
    assert status == 200 and [row["id"] for row in answer["rows"]] == ["a", "b"]
    assert answer["rows"][0]["text"] == "old stone bridge" and answer["rows"][0]["$dist"] > answer["rows"][1]["$dist"] > 0


@pytest.mark.parametrize("rank_by,says", [
    (["colour", "BM25", "red"], "BM25 needs full_text_search"),
    (["nothing", "BM25", "red"], 'no attribute "nothing"'),
    (["text", "BM25", 7], "at byte"),
    (["text", "BM25", "x" * 8193], "at most 8192 bytes"),
    (["text", "BM25", "red", {"fuzzy": True}], 'no option "fuzzy"'),
    (["Attribute", "size"], "may be negative"),
    (["Attribute", "colour"], "is no score"),
    (["Sum", []], "lacks an element"),
    (["Product", 1, 2, 3], '"Product" needs'),
    (["Product", -1, ["text", "BM25", "red"]], "0 or more"),
    (["Saturate", ["text", "BM25", "red"], {"midpoint": 0}], "midpoint above 0"),
    (["Sum", [["vector", "ANN", [1, 0, 0, 0]]]], "no part of a score"),
    (["Sum", [0] * 1025], "at most 1024 parts"),
])
def test_scores_that_are_refused(place, rank_by, says):
    status, answer = post(place[0], "rows/query", {"rank_by": rank_by})
    assert status == 400 and says in answer["error"], answer
