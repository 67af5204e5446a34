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
