"""docs/limits.md says what the source and the tests say."""
import re

import pytest

pytestmark = pytest.mark.tree

UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def rows(source):
    """Yields what, at most, constant, beyond and test of each row."""
    for line in (source / "docs" / "limits.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("|") and not line.startswith(("|---", "| what ")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def number_of(cell):
    found = re.fullmatch(r"([\d,]+)(?: (KiB|MiB|GiB))?", cell)
    assert found, cell
    return int(found[1].replace(",", "")) * UNITS.get(found[2], 1)


def value_of(name, text):
    """Returns the value of an enumerator or macro in C source. The expression may have only numbers, * and <<."""
    found = (re.search(rf"\b{name} = ([^,;}}\n]+?)\s*(?:[,;}}/\n]|$)", text, re.M) or
             re.search(rf"#define {name}\s+(.+)$", text, re.M))
    assert found, f"there is no {name}"
    expression = re.sub(r"\((?:size_t|uint64_t)\)|UINT64_C|/\*.*", "", found[1])
    assert re.fullmatch(r"[\d\s()*<]+", expression), f"{name} = {found[1]}"
    return eval(expression)  # noqa: S307: numbers, blanks, * and << only


def test_each_limit_is_that_of_the_source(source):
    listed = list(rows(source))
    assert len(listed) >= 25
    for what, most, constant, beyond, _ in listed:
        name, path = re.fullmatch(r"`(\w+)` in `([\w/.]+)`", constant).groups()
        assert value_of(name, (source / path).read_text(encoding="utf-8")) == number_of(most), what
        assert re.match(r"400|413|429|503|refused|a temporary file|the next segment|the oldest|it looks at", beyond), what


def test_each_limit_has_a_test(source):
    code = "\n".join(path.read_text(encoding="utf-8") for suffix in ("c", "py")
                     for path in sorted((source / "tests").rglob(f"*.{suffix}")))
    for what, _, _, _, tests in rows(source):
        names = re.findall(r"`(\w+)`", tests)
        assert names or tests.startswith("none, because "), what
        for name in names:
            assert re.search(rf"^(?:static void|def) {name}\(", code, re.M), f"{what}: there is no {name}"
