"""The search page in Chromium. Only `make check-all` runs these tests, because they need the browser."""
import json
import os
import re
import shutil
import struct
import subprocess
import urllib.parse

import pytest

from accounts import Accounts, wait_for
from program import clean_environment
from serving import get, make_root, serving, write_rows

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
    """Returns the page's elements after its scripts have run."""
    return chromium("--dump-dom", f"{url}/?{urllib.parse.urlencode({'ns': namespace, 'q': words})}")


def test_page_shows_results_and_their_cost(url):
    shown = page(url, "packages", "what fills my disk")
    assert re.findall(r"<h2>(.*?)</h2>", shown)[0] == "ncdu"
    assert "find out what <mark>fills</mark> the <mark>disk</mark>" in shown
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


class Browser:
    """A Chromium that the test controls through a pipe, by the remote debugging protocol."""

    def __init__(self, folder):
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        os.set_inheritable(theirs_in, True)
        os.set_inheritable(theirs_out, True)
        # The protocol's file descriptors are 3 and 4.
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            ["bash", "-c", command, "browser", shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
             f"--user-data-dir={folder}", "--remote-debugging-pipe"], pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.input, self.output = os.fdopen(ours_in, "rb"), os.fdopen(ours_out, "wb")
        self.count, self.session = 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.output.write(json.dumps(message).encode() + b"\0")
        self.output.flush()
        while True:
            text = b""
            while not text.endswith(b"\0"):
                more = self.input.read(1)
                assert more, "the browser ended"
                text += more
            answer = json.loads(text[:-1])
            if answer.get("id") == self.count:
                return answer["result"]

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait(self, expression):
        return wait_for(lambda: self.value(expression), expression)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.input.close()
        self.output.close()


def test_page_asks_for_a_key_where_the_server_does(dipper, tmp_path):
    make_root(dipper, tmp_path)
    accounts = Accounts(dipper, f"sqlite://{tmp_path}/accounts.db")
    key = accounts.key()["key"]
    with accounts.serve(tmp_path) as node:
        browser = Browser(tmp_path / "browser")
        try:
            browser.call("Page.navigate", url=f"{node.url}/?ns=packages&q=what+fills+my+disk")
            assert "asks for an API key" in browser.wait("!keyform.hidden && message.textContent")
            browser.value("document.getElementById('key').value = 'fe_wrong'; keyform.requestSubmit()")
            assert "not valid" in browser.wait("!keyform.hidden && /valid/.test(message.textContent) && message.textContent")
            browser.value(f"document.getElementById('key').value = '{key}'; keyform.requestSubmit()")
            assert browser.wait("document.querySelector('#results h2')?.textContent") == "ncdu"
            assert browser.value("keyform.hidden") is True
            browser.call("Page.reload")
            assert browser.wait("document.querySelector('#results h2')?.textContent") == "ncdu"
        finally:
            browser.close()


ASKED = "performance.getEntriesByType('resource').filter((entry) => entry.name.endsWith('/query')).length"
TYPE = """for (const letter of %s) {
    words.value += letter;
    words.dispatchEvent(new Event("input"));
}"""


@pytest.fixture
def browser(tmp_path):
    shown = Browser(tmp_path / "browser")
    yield shown
    shown.close()


def test_page_asks_once_when_one_stops_typing(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=packages")
    browser.wait("/type/.test(message.textContent)")
    browser.value(TYPE % "'what fills my disk'")
    assert browser.wait("document.querySelector('#results h2')?.textContent") == "ncdu"
    assert browser.value(ASKED) == 1
    browser.value("words.value = 'drums'; form.requestSubmit()")
    browser.wait(f"{ASKED} === 2 && !results.classList.contains('stale')")
    browser.value("words.value = 'what fills my disk'; form.requestSubmit()")
    assert browser.wait("document.querySelector('#results h2')?.textContent") == "ncdu"
    assert browser.value(ASKED) == 2  # the page had kept the answer


def test_page_asks_on_enter_alone_where_queries_are_counted(dipper, tmp_path, browser):
    make_root(dipper, tmp_path)
    accounts = Accounts(dipper, f"sqlite://{tmp_path}/accounts.db")
    key = accounts.key()["key"]
    with accounts.serve(tmp_path) as node:
        browser.call("Page.navigate", url=f"{node.url}/?ns=packages")
        browser.wait("!keyform.hidden")
        browser.value(f"document.getElementById('key').value = '{key}'; keyform.requestSubmit()")
        browser.wait("message.textContent === 'Press Enter to search.'")
        browser.value("window.waiting = 0; window.setTimeout = () => ++window.waiting;" + TYPE % "'what fills my disk'")
        assert browser.value("window.waiting") == 0 and browser.value(ASKED) == 0
        browser.value("form.requestSubmit()")
        assert browser.wait("document.querySelector('#results h2')?.textContent") == "ncdu"
        assert browser.value(ASKED) == 1


def test_page_says_when_nothing_is_close_and_offers_more_like_a_row(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=zzzqqq+xkcd+frobnicate&rank=meaning")
    browser.wait("document.querySelector('#results h2')?.textContent")
    assert browser.value("message.textContent") == "Nothing close. These rows are the nearest."
    assert re.fullmatch(r"\d results", browser.value("heard.textContent"))
    browser.value("words.value = 'what fills my disk'; form.requestSubmit()")
    assert browser.wait("!results.classList.contains('stale') && !message.textContent && document.querySelector('h2').textContent")
    assert json.loads(browser.value("document.querySelector('[data-form=json]').textContent"))["rank_by"][2][1] == "what fills my disk"
    text = browser.value("document.querySelector('#results p').textContent")
    browser.value("document.querySelector('#results .like').click()")
    browser.wait("!results.classList.contains('stale')")
    assert browser.value("words.value") == text and browser.value("document.querySelector('#results h2').textContent") == "ncdu"
    assert browser.value("legend.textContent").startswith("tokenize")


def test_page_ranks_by_words_and_by_both(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=what+fills+my+disk&rank=meaning")
    browser.wait("document.querySelector('#results h2')?.textContent")
    assert browser.value("document.querySelectorAll('#results mark').length") == 0
    browser.value("document.querySelector('[value=words]').click()")
    assert browser.wait("/^score \\d/.test(document.querySelector('#results .score').textContent) && results.childElementCount") == 1
    assert browser.value("[...document.querySelectorAll('#results mark')].map((mark) => mark.textContent)") == ["disk", "fills", "disk"]
    browser.value("document.querySelector('[value=hybrid]').click()")
    assert browser.wait("results.childElementCount > 1 && document.querySelector('#results h2').textContent") == "ncdu"
    assert "rank=hybrid" in browser.value("location.search")
    assert browser.value("document.querySelector('#results .score').textContent") == "score 0.03279"  # first by both
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=disk")
    browser.wait("document.querySelector('#results h2')?.textContent")
    assert browser.value("document.querySelector('[value=hybrid]').checked") is True  # the default of this namespace
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=disk&rank=words")
    assert browser.wait("document.querySelector('#results mark')?.textContent") == "disk"
    assert browser.value("document.querySelector('[value=words]').checked") is True


def test_page_filters_by_attributes_with_counts(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=look+at+the+network")
    browser.wait("document.querySelector('#results h2')?.textContent")
    names = "[...document.querySelectorAll('#attribute option')].map((option) => option.value)"
    assert browser.value(names) == ["", "title", "section", "size", "homepage", "tags", "free"]
    browser.value("attribute.value = 'section'; attribute.dispatchEvent(new Event('change'))")
    shown = "[...document.querySelectorAll('#values button')].map((button) => button.textContent)"
    assert browser.wait(f"{shown}.length && {shown}")[0] == "net 2"
    browser.value("document.querySelector('#values button').click()")
    assert browser.wait("!results.classList.contains('stale') && results.childElementCount") == 2
    assert sorted(browser.value("[...document.querySelectorAll('#results h2')].map((h) => h.textContent)")) == ["nmap", "rsync"]
    browser.call("Page.reload")  # the address has the filter
    assert browser.wait("results.childElementCount") == 2
    assert browser.value("document.querySelector('#chosen button').textContent") == "section: net ×"
    browser.value("document.querySelector('#chosen button').click()")
    assert browser.wait("!results.classList.contains('stale') && results.childElementCount > 2")
    assert "filter" not in browser.value("location.search")


def test_page_offers_examples_from_the_namespace(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=orchestra")
    text = browser.wait("!examples.hidden && document.querySelector('#examples button').textContent")
    assert re.fullmatch("the (violin|oboe|timpani) of the orchestra", text)
    browser.value("document.querySelector('#examples button').click()")
    assert browser.wait("document.querySelector('#results p')?.textContent") == text
    assert browser.value("words.value") == text and browser.value("examples.hidden") is True


def test_page_hides_the_cost_of_the_last_query(url, browser):
    browser.call("Page.navigate", url=f"{url}/?ns=packages&q=what+fills+my+disk")
    browser.wait("document.querySelector('#results h2')?.textContent")
    shown = "document.getElementById('cost').getBoundingClientRect().height"
    assert browser.value(shown) > 0
    widths = "[...stages.children].reduce((sum, part) => sum + part.getBoundingClientRect().width + 2, -2)"
    assert abs(browser.value(f"{widths} - stages.getBoundingClientRect().width")) < 2
    browser.value("words.value = ''; form.requestSubmit()")
    browser.wait("message.textContent")
    assert browser.value(shown) == 0


def test_page_shows_ids_above_2_to_53_exactly(dipper, tmp_path, browser):
    root = tmp_path / "root"
    write_rows(tmp_path / "rows.jsonl", [{"id": 9007199254740993, "text": "a large number"}])
    subprocess.run([dipper, "index", "large", tmp_path / "rows.jsonl", "--root", root], check=True, capture_output=True,
                   env=clean_environment())
    with serving(dipper, root) as address:
        browser.call("Page.navigate", url=f"{address}/?ns=large&q=number&rank=meaning")
        assert browser.wait("document.querySelector('#results h2')?.textContent") == "9007199254740993"
        score = browser.value("document.querySelector('#results .score').textContent")
        assert re.fullmatch(r"similarity 0\.\d{3}", score)


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
    """Writes screenshots for people into the build folder. The test only checks that they show a page."""
    path = build / f"page-{scheme}.png"
    dark = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
    chromium(*dark, f"--screenshot={path}", f"{url}/?ns=packages&q=look+at+pictures+and+films")
    png = path.read_bytes()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (1200, 900)
    assert len(png) > 20000
