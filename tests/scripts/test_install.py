"""make install puts each file in its place. The examples of README and the guides build and run with the result."""
import os
import re
import shutil
import struct
import subprocess

import pytest

pytestmark = pytest.mark.tree


def run(*command, **kwargs):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300, **kwargs)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def block(page, language, before):
    """Returns the page's first fenced block of `language` after the words `before`."""
    text = page.read_text(encoding="utf-8")
    found = re.search(re.escape(before) + r".*?^```" + language + r"\n(.*?)^```$", text, re.S | re.M)
    assert found, f"{page.name} has no ```{language} block after {before!r}"
    return found.group(1)


@pytest.fixture(scope="module")
def installed(build, source, tmp_path_factory):
    """Runs `make install DESTDIR=…` and returns the prefix below that folder."""
    folder = tmp_path_factory.mktemp("install")
    run("meson", "install", "-C", build, "--no-rebuild", "--destdir", folder)
    (config,) = folder.rglob("dipper.pc")
    prefix = re.search(r"^prefix=(.*)$", config.read_text(encoding="utf-8"), re.M).group(1)
    return folder / prefix.lstrip("/")


@pytest.fixture(scope="module")
def flags(installed):
    """Asks pkg-config for the flags of the installed library."""
    (config,) = installed.rglob("dipper.pc")

    def ask(*arguments):
        env = dict(os.environ, PKG_CONFIG_PATH=str(config.parent))
        return run("pkg-config", f"--define-variable=prefix={installed}", *arguments, "dipper", env=env).split()

    return ask


@pytest.fixture(scope="module")
def example(source, tmp_path_factory):
    """A folder with the program of docs/guide-c.md, of which README shows a part, and the rows of README's tour."""
    folder = tmp_path_factory.mktemp("example")
    program = block(source / "docs" / "guide-c.md", "c", "compiled and run by the tests")
    part = block(source / "README.md", "c", "C, after `make install`")
    assert part in re.sub("^    ", "", program, flags=re.M), "README shows other calls than docs/guide-c.md"
    (folder / "example.c").write_text(program, encoding="utf-8")
    tour = block(source / "README.md", "sh", "## A tour in 60 seconds")
    rows = re.search(r"<<'ROWS'\n(.*?)^ROWS$", tour, re.S | re.M).group(1)
    (folder / "notes.jsonl").write_text(rows, encoding="utf-8")
    return folder


def library(installed, name):
    (found,) = installed.rglob(name)
    return found


def ask_example(program, flags, folder, root, **kwargs):
    answer = run(program, *flags("--variable=model"), root, folder / "notes.jsonl", **kwargs).splitlines()
    assert len(answer) == 2
    assert answer[0].split()[0] == "2" and "food" in answer[0], answer


def test_install_puts_everything_in_its_place(installed):
    assert os.access(installed / "bin" / "dipper", os.X_OK)
    assert (installed / "include" / "dipper" / "dipper.h").exists()
    assert (installed / "include" / "dipper" / "status.h").exists()
    library(installed, "libdipper.a")
    library(installed, "libdipper.so")
    assert "0." in run(installed / "bin" / "dipper", "--version")


def test_the_pkg_config_file_tells_the_version(flags, source):
    version = re.search(r"version: '([^']+)'", (source / "meson.build").read_text(encoding="utf-8")).group(1)
    assert flags("--modversion") == [version]


def test_pkg_config_lists_what_a_static_program_needs(flags):
    needed = set(run("pkg-config", "--static", "--libs", "libcurl", "hiredis", "libzstd", "libxxhash", "libcrypto").split())
    assert "-lcurl" in needed and needed <= set(flags("--static", "--libs"))


def test_the_readme_example_runs_with_the_shared_library(installed, flags, example, tmp_path):
    program = tmp_path / "example"
    run("gcc", "-Wall", "-Wextra", "-Werror", example / "example.c", "-o", program, *flags("--cflags", "--libs"))
    env = dict(os.environ, LD_LIBRARY_PATH=str(library(installed, "libdipper.so").parent))
    ask_example(program, flags, example, tmp_path / "bucket", env=env)


def test_the_readme_example_runs_with_the_static_library(installed, flags, example, tmp_path):
    """The system's libraries stay shared, because Debian has no static version of some that curl needs. Its stemmer's
    library has no pkg-config file."""
    program = tmp_path / "example"
    others = run("pkg-config", "--libs", *flags("--print-requires-private")).split()
    libraries = [library(installed, "libdipper.a"), *others, "-lstemmer", "-pthread", "-lm"]
    run("gcc", example / "example.c", "-o", program, *flags("--cflags"), *libraries)
    assert "libdipper" not in run("ldd", program)
    ask_example(program, flags, example, tmp_path / "bucket")


def test_the_readme_example_of_faiss_files_finds_what_faiss_finds(installed, flags, source, tmp_path):
    """The answers file has FAISS's answers; tests/golden/make_faiss_golden.py made it."""
    code, program = tmp_path / "faiss.c", tmp_path / "faiss"
    code.write_text(block(source / "docs" / "guide-faiss.md", "c", "## From C"), encoding="utf-8")
    run("gcc", "-Wall", "-Wextra", "-Werror", code, "-o", program, *flags("--cflags", "--libs"))
    env = dict(os.environ, LD_LIBRARY_PATH=str(library(installed, "libdipper.so").parent))

    data = source / "tests" / "data" / "faiss"
    answers = (data / "flat-l2-d16.answers").read_bytes()
    count, dim, k, searches = struct.unpack_from("<4I", answers, 8)
    at, query = 28 + 4 * count * dim, struct.unpack_from(f"<{dim}f", answers, 28)
    expected = {}
    for _ in range(searches):
        (nprobe,) = struct.unpack_from("<I", answers, at)
        expected[nprobe] = struct.unpack_from("<3i", answers, at + 4)
        at += 4 + 8 * count * k
    assert k >= 3

    lines = run(program, data / "flat-l2-d16.ivf", *map(repr, query), env=env).splitlines()
    assert tuple(int(line.split()[0]) for line in lines[:3]) == expected[8]
    assert " bytes in 7 ranges, " in lines[3], lines  # one of the 8 lists is empty
    refused = subprocess.run([program, data / "flat-l2-d16.ivf", "1"], env=env, capture_output=True, text=True,
                             check=False, timeout=60)
    assert refused.returncode == 1 and "1 dimensions" in refused.stderr


DEFAULT_MODEL = r"""
#include <dipper/dipper.h>
#include <stdio.h>
int main(void)
{
    struct dp_runtime *runtime;
    struct dp_model *model;
    struct dp_error error;
    if (dp_runtime_new(NULL, &runtime, &error) != DP_OK || dp_model_open_default(runtime, NULL, &model, &error) != DP_OK) {
        printf("%s: %s\n", dp_status_name(error.status), error.message);
        return 1;
    }
    printf("%s\n", dp_model_name(model));
    dp_model_close(model);
    dp_runtime_free(runtime);
    return 0;
}
"""


def test_the_library_finds_its_model(installed, flags, tmp_path):
    """The library looks in its prefix, even if that was moved, and beside itself. Otherwise the error says where it looked."""
    code, program, place = tmp_path / "default.c", tmp_path / "default", tmp_path / "elsewhere"
    code.write_text(DEFAULT_MODEL, encoding="utf-8")
    run("gcc", "-Wall", "-Wextra", "-Werror", code, "-o", program, *flags("--cflags", "--libs"))
    shared, model = library(installed, "libdipper.so"), library(installed, "all-MiniLM-L6-v2.dipper")
    env = dict(os.environ, LD_LIBRARY_PATH=str(shared.parent))
    assert run(program, env=env) == "all-MiniLM-L6-v2\n"

    place.mkdir()
    for name in shared.parent.glob("libdipper.so*"):
        shutil.copy(name, place, follow_symlinks=False)
    env["LD_LIBRARY_PATH"] = str(place)
    found = subprocess.run([program], env=env, capture_output=True, text=True, check=False, timeout=60)
    if found.returncode:  # no Dipper is installed on this machine
        assert found.stdout.startswith("not_found: this program carries no model, and no file all-MiniLM-L6-v2.dipper")
        assert "make install" in found.stdout
    os.link(model, place / model.name)
    assert run(program, env=env) == "all-MiniLM-L6-v2\n"


def test_the_headers_example_runs(installed, flags, tmp_path):
    header = (installed / "include" / "dipper" / "dipper.h").read_text(encoding="utf-8")
    lines = re.search(r"\(without error checks\):\n \*\n(.*?)\n \*\n", header, re.S).group(1)
    code, program = tmp_path / "example.c", tmp_path / "example"
    code.write_text("#include <dipper/dipper.h>\n#include <stdio.h>\nint main(void)\n{\n"
                    + re.sub(r"^ \* ", "", lines, flags=re.M) + "\n}\n", encoding="utf-8")
    run("gcc", "-Wall", "-Wextra", "-Werror", code, "-o", program, *flags("--cflags", "--libs"))
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"id": {i}, "text": "{text}"}}\n' for i, text in enumerate(
        ["a boat in the wind", "rye bread", "flour, water and salt"])), encoding="utf-8")
    env = dict(os.environ, LD_LIBRARY_PATH=str(library(installed, "libdipper.so").parent))
    found = run(program, cwd=tmp_path, env=env).splitlines()
    assert sorted(line.split()[0] for line in found) == ["1", "2"]


def test_the_shared_library_exports_its_own_names_only(installed):
    lines = run("nm", "-D", "--defined-only", library(installed, "libdipper.so")).splitlines()
    names = [line.split()[-1].split("@")[0] for line in lines]
    assert names and all(name.startswith("dp_") for name in names), names


def test_the_public_header_compiles_alone(flags, tmp_path):
    for header in ("dipper.h", "status.h"):
        program = tmp_path / "alone.c"
        program.write_text(f"#include <dipper/{header}>\nint main(void) {{ return 0; }}\n", encoding="utf-8")
        if shutil.which("g++"):
            run("g++", "-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", program, *flags("--cflags"))
        run("gcc", "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", program,
            *flags("--cflags"))
