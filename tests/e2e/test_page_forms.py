"""web/forms.js, which prepares answers for the search page. Node.js runs it; without Node.js the tests are skipped."""
import json
import shutil
import subprocess

import pytest

pytestmark = [pytest.mark.tree,
              pytest.mark.skipif(not shutil.which("node"), reason="Node.js is not here; make check-all has Chromium")]


@pytest.fixture
def value(source):
    """value(expression): evaluates the expression with the functions of web/forms.js."""
    code = (source / "web" / "forms.js").read_text(encoding="utf-8")

    def go(expression):
        done = subprocess.run(["node", "-"], input=f"{code}\nconsole.log(JSON.stringify({expression}));",
                              capture_output=True, encoding="utf-8", timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return go


def test_whole_numbers_are_shown_exactly(value):
    text = ('{"rows": [{"id": 9007199254740993, "$dist": 0.12345678901234567, "n": [18446744073709551615, 7], '
            '"t": "a \\"9007199254740993\\" \\\\", "x": 1e300, "m": -9007199254740993, "l": 9007199254740991}]}')
    (row,) = value(f"parseExactly({json.dumps(text)})")["rows"]
    assert row == {"id": "9007199254740993", "$dist": 0.12345678901234567, "n": ["18446744073709551615", 7],
                   "t": 'a "9007199254740993" \\', "x": 1e300, "m": "-9007199254740993", "l": 9007199254740991}
    assert value("parseExactly('[1, 2.5, null]')") == [1, 2.5, None]
    assert value("(() => { try { parseExactly('{12345678901234567'); } catch (e) { return e.name; } })()") == "SyntaxError"


def test_the_bar_of_times_is_full_however_short_they_are(value):
    for ms in (0.1, 1, 250):
        stages = {"tokenize": ms / 10, "embed": ms / 2, "store": 0, "scan": ms / 10}
        times = value(f"timeShares({json.dumps({'ms': ms, 'stages_ms': stages})})")
        assert [time["name"] for time in times] == ["tokenize", "embed", "scan", "other"]
        assert abs(sum(time["share"] for time in times) - 1) < 1e-9
        assert abs(times[1]["share"] - 0.5) < 1e-9
    none = {"tokenize": 0, "embed": 0, "store": 0, "scan": 0}
    assert value(f"timeShares({json.dumps({'ms': 0, 'stages_ms': none})})") == []
    more = {"tokenize": 2, "embed": 2, "store": 0, "scan": 0}  # stages that ran at the same time
    assert [t["share"] for t in value(f"timeShares({json.dumps({'ms': 3, 'stages_ms': more})})")] == [0.5, 0.5]


def test_the_score_equals_that_of_the_command_line(value):
    assert value("scoreOf(0.4814, 'cosine_distance')") == {"label": "similarity", "value": 1 - 0.4814, "text": "0.519"}
    assert value("scoreOf(3.25, 'euclidean_squared')") == {"label": "distance", "value": 3.25, "text": "3.250"}
    assert value("scoreOf(3.25, undefined)")["label"] == "distance"
    assert value("scoreOf(0.0163934, 'cosine_distance', 'hybrid')") == {"label": "score", "value": 0.0163934, "text": "0.01639"}
    assert value("scoreOf(4.5, 'cosine_distance', 'words')")["text"] == "4.500"


def test_a_query_is_printed_as_programs_have_it(value, tmp_path):
    request = {"rank_by": ["vector", "ANN", ["Embed", "it's \"here\" $HOME \\ é"]], "limit": 10}
    printed = "asCode(%s, 'http://h:1', 'a b', " + json.dumps(request) + ", %s)"
    assert json.loads(value(printed % ("'json'", "false"))) == request
    (tmp_path / "curl").write_text("#!/bin/sh\nfor word; do printf '%s\\n' \"$word\"; done\n", encoding="utf-8")
    (tmp_path / "curl").chmod(0o755)
    for counted in ("false", "true"):
        done = subprocess.run(["sh", "-c", value(printed % ("'curl'", counted))], capture_output=True, encoding="utf-8",
                              env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DIPPER_KEY": "fe_1"}, check=True).stdout.split("\n")
        assert done[1] == "http://h:1/v2/namespaces/a%20b/query" and json.loads(done[-2]) == request
        assert ("Authorization: Bearer fe_1" in done) == (counted == "true")
        code = value(printed % ("'python'", counted))
        scope = {}
        exec(code.split("request =")[0], scope)  # pylint: disable=exec-used
        assert scope["query"] == request
        compile(code, "query.py", "exec")


FACTS = {"dimensions": 3, "schema": {
    "vector": {"type": "[3]f32"}, "text": {"type": "string", "filterable": False, "full_text_search": True},
    "section": {"type": "string", "filterable": True}, "tags": {"type": "[]string"}, "at": {"type": "datetime"}}}


def test_the_page_knows_what_a_namespace_can_do(value):
    facts = json.dumps(FACTS)
    assert value(f"ranksOf({facts})") == ["meaning", "words", "hybrid"]
    assert value("[ranksOf(null), ranksOf({dimensions: 3, schema: {}}), "
                 "ranksOf({dimensions: 0, schema: {text: {full_text_search: {}}}})]") == [["meaning"], ["meaning"], ["words"]]
    assert value(f"ranksOf({{...{facts}, rank: 'hybrid'}})") == ["hybrid", "meaning", "words"]
    assert value(f"facetsOf({facts})") == ["section", "tags"] and value("facetsOf(null)") == []


def test_a_query_ranks_by_meaning_by_words_or_by_both(value):
    meaning, words = value("queryOf('meaning', 'x', 10)"), value("queryOf('words', 'x', 10, ['a', 'Eq', 1])")
    assert meaning == {"rank_by": ["vector", "ANN", ["Embed", "x"]], "limit": 10, "exclude_attributes": ["vector"]}
    assert words == {"rank_by": ["text", "BM25", "x"], "limit": 10, "exclude_attributes": ["vector"], "filters": ["a", "Eq", 1]}
    both = value("queryOf('hybrid', 'x', 10, ['a', 'Eq', 1])")
    assert [query["limit"] for query in both["queries"]] == [50, 50] and (both["limit"], both["rerank_by"]) == (10, ["RRF"])
    assert [query["filters"] for query in both["queries"]] == [["a", "Eq", 1]] * 2
    assert '["results"][0]["rows"]' in value("asCode('python', 'http://h', 'n', queryOf('hybrid', 'x', 10))")
    assert value("[rowsOf({rows: [1]}), rowsOf({results: [{rows: [2]}]})]") == [[1], [2]]


def test_chosen_values_make_a_filter(value):
    facts = json.dumps(FACTS)
    for chosen, filters in (([], None), ([["section", "net"]], ["section", "Eq", "net"]),
                            ([["section", "net"], ["tags", "a"], ["section", None]],
                             ["And", [["Or", [["section", "Eq", "net"], ["section", "Eq", None]]], ["tags", "Contains", "a"]]])):
        assert value(f"filterOf({json.dumps(chosen)}, {facts}) ?? null") == filters
    assert value(f"countsOf('section', undefined, {facts})") == {
        "aggregate_by": {"rows": ["Count"]}, "group_by": ["section"], "limit": 1000}
    assert value(f"countsOf('tags', ['a', 'Eq', 1], {facts})")["group_by"] == [{"value": ["ForEachUnique", "tags"]}]
    groups = {"aggregation_groups": [{"value": "a", "rows": 1}, {"value": None, "rows": 7}, {"value": "c", "rows": 3}]}
    assert value(f"topValues({json.dumps(groups)}, 'tags', 2)") == [[None, 7], ["c", 3]]
    assert value("topValues({aggregation_groups: Array(1000).fill({a: 1, rows: 1})}, 'a', 2)") is None


def test_the_words_of_a_search_are_marked(value):
    assert value("markParts('The disk, a DISK: diskette', 'what fills the disk')") == [
        ["The ", False], ["disk", True], [", a ", False], ["DISK", True], [": diskette", False]]
    assert value("markParts('Größe 猫', 'GRÖSSE größe 猫')") == [["Größe", True], [" 猫", False]]
    assert value("[markParts('', 'a'), markParts('a b', '')]") == [[], [["a b", False]]]


def test_examples_are_first_clauses(value):
    assert value("[exampleOf(' find files quickly, and more '), exampleOf('word'), exampleOf('')]") == ["find files quickly", "", ""]
    assert len(value("exampleOf('word '.repeat(50))")) <= 60


def test_rows_that_are_not_close_are_told(value):
    far = "isFar([{$dist: %s}], %s)"
    assert value("[%s, %s, %s, isFar([], 'cosine_distance')]" % (
        far % (0.71, "'cosine_distance'"), far % (0.5, "'cosine_distance'"), far % (9, "'euclidean_squared'"))) == [
            True, False, False, False]


def test_more_like_this_asks_for_the_beginning_of_the_text(value):
    assert value("likeText(' a\\n b ')") == "a b"
    assert value("likeText('word '.repeat(200))") == " ".join(["word"] * 80)


def test_answers_are_kept_for_a_while(value):
    assert value("""(() => {
        const answers = new Answers(2, 100);
        const got = [answers.put("a", 1, 0), answers.get("a", 99), answers.get("a", 100), answers.get("b", 0)];
        answers.put("b", 2, 50); answers.put("a", 3, 60); answers.put("c", 4, 70);
        got.push(answers.get("a", 80), answers.get("b", 80), answers.get("c", 80));
        answers.clear();
        got.push(answers.get("c", 80));
        return got;
    })()""") == [1, 1, None, None, 3, None, 4, None]


def test_figures_have_units(value):
    assert value("[bytes(999), bytes(1500), bytes(145000), bytes(2500000), plural(1, 'row'), plural(2, 'row'), "
                 "milliseconds(0.04), milliseconds(12.3)]") == [
        "999 B", "1.5 KB", "145 KB", "2.5 MB", "1 row", "2 rows", "0.0 ms", "12 ms"]
