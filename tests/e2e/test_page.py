"""The search page, looked at by Chromium. Needs the browser, so it belongs to `make check-all`."""
import re
import shutil
import struct
import subprocess
import urllib.parse

import pytest

from serving import get, make_root, serving

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def url(dipper, tmp_path_factory):
    with serving(dipper, make_root(dipper, tmp_path_factory.mktemp("page"))) as address:
        yield address


def chromium(*arguments):
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "no Chromium: scripts/setup --all"
    done = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
         "--window-size=1200,900", "--virtual-time-budget=5000", *arguments],
        capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def page(url, namespace, words):
    """The page's elements after its scripts have run."""
    return chromium("--dump-dom", f"{url}/?{urllib.parse.urlencode({'ns': namespace, 'q': words})}")


def test_page_shows_results_and_their_cost(url):
    shown = page(url, "packages", "what fills my disk")
    assert re.findall(r"<h2>(.*?)</h2>", shown)[0] == "ncdu"
    assert "find out what fills the disk" in shown
    assert re.search(r'<p id="figures"><b>[\d.,]+ ms</b> · \d+ rounds? · \d+ requests? · [\d.]+ [KM]?B read', shown)
    assert "<title>what fills my disk – Dipper</title>" in shown
    assert "7 rows, 384 dimensions, all-MiniLM-L6-v2" in shown
    assert re.search(r"<dt>section</dt><dd[^>]*>admin</dd>", shown)


def test_page_offers_every_namespace(url):
    shown = page(url, "orchestra", "drums")
    assert '<option value="orchestra">' in shown and '<option value="packages">' in shown
    assert "the timpani of the orchestra" in shown


def test_page_says_when_a_link_names_no_namespace(url):
    assert 'there is no namespace "nowhere"' in page(url, "nowhere", "drums")


def test_page_never_takes_data_for_markup(url):
    shown = page(url, "packages", "hostile markup in a row")
    assert "owned" not in re.search(r"<title>(.*?)</title>", shown).group(1)
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown and "<img src=\"x\"" not in shown
    assert "&lt;script&gt;" in shown
    assert 'href="javascript:' not in shown
    shown = page(url, "packages", "<img src=x onerror=alert(1)>")
    assert "<img src=\"x\"" not in shown


def test_page_says_when_there_is_nothing(dipper, tmp_path):
    with serving(dipper, tmp_path / "empty") as address:
        assert "dipper index NAMESPACE FILE.jsonl" in chromium("--dump-dom", address)


def test_page_needs_no_other_site(url):
    _, headers, body = get(url)
    text = body.decode()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    for path in re.findall(r'(?:src|href)="(/[^"]*)"', text):
        assert get(url + path)[0] == 200
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert " style=" not in text and " onclick=" not in text and "<style" not in text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_screenshot(url, build, scheme):
    """Pictures for people, in the build folder; the test only sees that they are pictures of a page."""
    path = build / f"page-{scheme}.png"
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    chromium(*dark, f"--screenshot={path}", f"{url}/?ns=packages&q=look+at+pictures+and+films")
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1200, 900)
    assert len(png) > 20000
