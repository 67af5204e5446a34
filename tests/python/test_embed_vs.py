"""bench/embed_vs.py without its peers: its bindings of the C library agree with the header, its page is well formed."""
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.tree  # Python without sanitizers loads libdipper

LINE = "Not measured on a quiet machine yet."


@pytest.fixture(scope="module")
def page(source, build, tmp_path_factory):
    """A page with what the script printed between its marks."""
    path = tmp_path_factory.mktemp("page") / "embedding.md"
    path.write_text(f"above\n{mark('begins')}{LINE}\n{mark('ends')}below\n", encoding="utf-8")
    done = subprocess.run([sys.executable, str(source / "bench" / "embed_vs.py"), "--build", str(build), "--peers", "",
                           "--threads", "2", "--rounds", "1", "--texts", "3", "--documents", "4", "--write", str(path)],
                          capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    text = path.read_text(encoding="utf-8")
    assert done.stdout.strip() in text
    return text


def mark(what):
    return f"<!-- what bench/embed_vs.py printed {what} -->\n"


def rows(text, title):
    """The cells of the table under a heading."""
    section = re.split(r"^### ", text, flags=re.M)
    (found,) = [s for s in section if s.startswith(title)]
    lines = [line.strip("| ").split(" | ") for line in found.splitlines() if line.startswith("|")]
    return lines[2:]


def test_the_page_keeps_text_outside_the_marks(page, source):
    assert page.startswith("above\n" + mark("begins")) and page.endswith(mark("ends") + "below\n")
    assert LINE not in page
    committed = (source / "docs" / "benchmarks" / "embedding.md").read_text(encoding="utf-8")
    assert committed.count(mark("begins")) == committed.count(mark("ends")) == 1


@pytest.mark.parametrize("title", ["A query of 12 tokens", "Cranfield queries"])
def test_each_precision_and_thread_count_is_measured(page, title):
    table = rows(page, title)
    assert [row[:2] for row in table] == [[f"Dipper {p}", f"{t}"] for p in ("int8", "fp32")
                                          for t in ("1 thread", "2 threads")]
    assert all(float(row[2]) > 0 for row in table)


def test_a_query_of_12_tokens_has_12(page):
    assert "12.0 tokens on average" in page


def test_rates_are_also_given_as_a_share_of_the_peak(page):
    for title in ("Cranfield documents, all at once, 1 thread", "Cranfield documents, all at once, 2 threads"):
        for row in rows(page, title):
            assert float(row[2]) > 0
            assert re.fullmatch(r"\d+%", row[-1]), row


def test_int8_is_compared_with_fp32(page):
    (row,) = rows(page, "Accuracy")
    assert row[0] == "Dipper int8"
    assert 0.998 <= float(row[1]) <= float(row[2]) < 1
