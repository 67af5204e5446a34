"""README and docs/: they are short enough, and true as far as a script can check."""
import re

import pytest

pytestmark = pytest.mark.tree

README_LINES = 130
SNIPPET_LINES = 8


def pages(source):
    """Returns every page of documentation."""
    folders = (source, source / "docs", source / "docs" / "internals", source / "docs" / "benchmarks",
               source / "examples" / "questions", source / "examples" / "cranfield")
    return sorted(page for folder in folders for page in folder.glob("*.md"))


def anchor(heading):
    """Returns the anchor of a heading, as hosts of repositories make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)


def test_readme_is_short(source):
    text = (source / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= README_LINES
    program = text.split("## From your program")[1].split("\n## ")[0]
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", program, re.S | re.M)
    assert [language for language, _ in blocks] == ["sh", "python", "c"]
    for language, block in blocks:
        assert len(block.splitlines()) <= SNIPPET_LINES, language


def test_readmes_figures_are_the_benchmarks(source):
    """Each row of README's table links to a page. All figures of the row are on that page."""
    readme = (source / "README.md").read_text(encoding="utf-8")
    table = readme.split("## Measured")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 5
    for row in rows:
        _, what, ours, beside, link, _ = row.split("|")
        page = re.search(r"\((docs/benchmarks/[^)#]+)", link)
        assert page, what
        text = (source / page.group(1)).read_text(encoding="utf-8")
        for figure in re.findall(r"\d[\d,.]*\d", ours + beside):
            assert figure in text, f"{what}: {figure} is not in {page.group(1)}"


def test_links_between_pages_lead_somewhere(source):
    broken = []
    for page in pages(source):
        for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, name = target.partition("#")
            file = (page.parent / path).resolve() if path else page
            if not file.exists():
                broken.append(f"{page.relative_to(source)}: {target}")
            elif name and file.suffix == ".md":
                headings = re.findall(r"^#+ (.*)$", without_code(file.read_text(encoding="utf-8")), re.M)
                if name not in map(anchor, headings):
                    broken.append(f"{page.relative_to(source)}: {target}: no such heading")
    assert not broken, "\n".join(broken)


def test_the_architecture_lists_every_lock_and_thread(source):
    page = (source / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    threads = page.split("\n## Threads")[1].split("\n## ")[0]
    locks = page.split("\n## Locks")[1].split("\n## ")[0]
    missing = []
    for file in sorted((source / "src").rglob("*.[ch]")):
        text, name = file.read_text(encoding="utf-8"), str(file.relative_to(source / "src"))
        if re.search(r"^[^*\n]*\bpthread_(mutex|rwlock)_t \w+;", text, re.M) and f"`{name}`" not in locks:
            missing.append(f"{name} has a lock")
        if re.search(r"\bos_thread_start\(", text) and f"`{name}`" not in threads and not name.startswith("os/thread"):
            missing.append(f"{name} starts a thread")
        for thread in re.findall(r'os_thread_start\([^;]*"(dipper-\w+)"', text):
            if f"`{thread}`" not in threads:
                missing.append(f"{name} starts {thread}")
    assert not missing, "\n".join(missing)


def test_the_architecture_lists_every_room(source):
    page = (source / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    house = page.split("\n## The house")[1].split("\n## ")[0]
    rows = {row.group(1): row.group(0) for row in re.finditer(r"^\| `src/(\w+)/` .*$", house, re.M)}
    rooms = [folder for folder in sorted((source / "src").iterdir()) if folder.is_dir()]
    assert sorted(rows) == [room.name for room in rooms]
    for room in rooms:
        for inside in room.iterdir():
            assert not inside.is_dir() or f"`{inside.name}/`" in rows[room.name], f"{room.name}/{inside.name}"


def test_the_page_of_faults_names_tests_that_exist(source):
    page = (source / "docs" / "internals" / "faults.md").read_text(encoding="utf-8")
    named = re.findall(r"(?<!then )`(tests/[\w/.]+?)::?(\w+)`", page)
    assert named
    missing = [f"{file}: {name}" for file, name in named
               if not (source / file).exists() or not re.search(rf"\b{name}\b", (source / file).read_text(encoding="utf-8"))]
    assert not missing, "\n".join(missing)


def test_every_page_can_be_reached_from_readme(source):
    found, open_pages = set(), [source / "README.md"]
    while open_pages:
        page = open_pages.pop()
        if page in found:
            continue
        found.add(page)
        for target in re.findall(r"\]\(([^)\s#]+\.md)[^)\s]*\)", without_code(page.read_text(encoding="utf-8"))):
            file = (page.parent / target).resolve()
            if file.exists():
                open_pages.append(file)
    lost = [str(page.relative_to(source)) for page in pages(source) if page not in found]
    assert not lost
