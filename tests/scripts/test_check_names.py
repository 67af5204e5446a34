"""scripts/check-names: the files and functions that comments and pages name exist."""
import subprocess

import pytest

pytestmark = pytest.mark.tree


@pytest.fixture
def names(check_files):
    """names(files): what scripts/check-names says of a small repository of these files."""
    return lambda files: check_files("check-names", files)


HOUSE = {
    "src/store/s3/write.c": "/* s3/write.c: see store_put() and store/s3/*.c, and <stdio.h>. */\nint store_put(void);\n",
    "tests/test_x.py": '"""Runs write.c."""\n# and test_x.py\nlast = "gone.c"\n',
    "docs/page.md": "`src/store/s3/write.c` has `store_put`; see [it](../src/store/s3/write.c)\n",
}


def test_names_that_exist_pass(names):
    assert names(HOUSE) == (0, [])


def test_the_repository_passes(source):
    done = subprocess.run([source / "scripts" / "check-names"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name, text, said", [
    ("src/a.c", "\n/* as in gone.c */\n", "src/a.c:2: gone.c is no file here"),
    ("src/a.c", "int x; // local/write.c\n", "src/a.c:1: local/write.c is no file here"),
    ("src/a.h", "/* s4/*.h are the others */\n", "s4/*.h is no file here"),
    ("src/a.c", "/* store_gone() did it */\n", "store_gone() is no function here"),
    ("tests/test_y.py", "# like test_z.py\n", "test_z.py is no file here"),
    ("docs/other.md", "\n`store_take` does it\n", "docs/other.md:2: `store_take` is no name here"),
    ("README.md", "[there](src/gone.h)\n", "src/gone.h is no file here"),
])
def test_a_missing_name_is_reported_with_its_line(names, name, text, said):
    status, lines = names({**HOUSE, name: text})
    assert status == 1
    assert len(lines) == 1 and said in lines[0], lines


def test_strings_are_no_comments(names):
    assert names({**HOUSE, "src/a.c": 'const char *x = "/* gone.c */ //", y = \'"\';\n'}) == (0, [])


def test_nothing_to_check_fails(names):
    assert names({"docs/page.md": "\n"})[0] == 1
