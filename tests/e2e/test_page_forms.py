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
