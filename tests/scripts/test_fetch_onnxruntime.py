"""scripts/fetch-onnxruntime with a wheel that pip finds in a folder and a Debian mirror on a local port."""
import hashlib
import http.server
import os
import platform
import shutil
import subprocess
import threading
import zipfile

import pytest

pytestmark = pytest.mark.tree

VERSION = "1.31.1"
LIBRARY = b"\x7fELF a library\n" * 100
HEADER = b"#define ORT_API_VERSION 21\n"
DEB = "pool/main/o/onnxruntime/libonnxruntime-dev_1.21.0+dfsg-1_amd64.deb"
needs_apt = pytest.mark.skipif(not os.access("/usr/lib/apt/apt-helper", os.X_OK) or not shutil.which("dpkg-deb"),
                               reason="this is not a Debian system")


class Mirror(http.server.ThreadingHTTPServer):
    """Serves self.files, by their unquoted path below /debian/."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/debian"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.removeprefix("/debian/").replace("%2b", "+")
        self.server.asked.append(name)
        body = self.server.files.get(name)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror():
    server = Mirror()
    yield server
    server.shutdown()
    server.server_close()


def make_wheel(folder, library=LIBRARY):
    name = f"onnxruntime-{VERSION}"
    tag = f"cp312-cp312-manylinux_2_28_{platform.machine()}"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{tag}.whl", "w") as wheel:
        wheel.writestr(f"onnxruntime/capi/libonnxruntime.so.{VERSION}", library)
        wheel.writestr("onnxruntime/LICENSE", "MIT")
        wheel.writestr("onnxruntime/ThirdPartyNotices.txt", "others")
        wheel.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {VERSION}\n")
        wheel.writestr(f"{name}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n")
        wheel.writestr(f"{name}.dist-info/RECORD", "")


def make_deb(folder, header=HEADER):
    """Returns the bytes of a Debian package that contains the header."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text("Package: libonnxruntime-dev\nVersion: 1.21.0+dfsg-1\nArchitecture: amd64\n"
                                             "Maintainer: Nobody <nobody@example.org>\nDescription: a test\n",
                                             encoding="ascii")
    (tree / "usr/include/onnxruntime").mkdir(parents=True)
    (tree / "usr/include/onnxruntime/onnxruntime_c_api.h").write_bytes(header)
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, folder / "made.deb"], check=True,
                   capture_output=True)
    shutil.rmtree(tree)
    return (folder / "made.deb").read_bytes()


@pytest.fixture
def fetch(source, tmp_path, mirror):
    """fetch(…): runs the script with the target tmp_path/onnxruntime and returns the finished process."""
    def digest(data):
        return hashlib.sha256(data).hexdigest()

    def run(**more):
        deb = mirror.files.get(DEB, b"")
        environment = dict(os.environ) | dict(
            no_proxy="127.0.0.1", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(tmp_path / "wheels"),
            DIPPER_ONNXRUNTIME_MIRRORS=mirror.url, DIPPER_ONNXRUNTIME_SYSTEM=str(tmp_path / "include"),
            DIPPER_ONNXRUNTIME_SHA256=digest(LIBRARY), DIPPER_ONNXRUNTIME_HEADER_SHA256=digest(HEADER),
            DIPPER_ONNXRUNTIME_DEB_SHA256=digest(deb)) | more
        return subprocess.run([source / "scripts/fetch-onnxruntime", tmp_path / "onnxruntime"], env=environment,
                              capture_output=True, text=True, timeout=120)

    return run


def expect_whole(folder):
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()) == [
        "LICENSE", "ThirdPartyNotices.txt", "include/onnxruntime_c_api.h", "lib/libonnxruntime.so",
        f"lib/libonnxruntime.so.{VERSION}"]
    assert (folder / "lib" / "libonnxruntime.so").read_bytes() == LIBRARY
    assert (folder / "include" / "onnxruntime_c_api.h").read_bytes() == HEADER


def left_over(tmp_path):
    return [p.name for p in tmp_path.iterdir() if p.name.startswith("onnxruntime.")]


@needs_apt
def test_fetch_onnxruntime_brings_library_and_header(fetch, mirror, tmp_path):
    mirror.files[DEB] = make_deb(tmp_path)
    make_wheel(tmp_path / "wheels")
    done = fetch()
    assert done.returncode == 0, done.stdout + done.stderr
    expect_whole(tmp_path / "onnxruntime")
    assert left_over(tmp_path) == []
    mirror.asked.clear()
    shutil.rmtree(tmp_path / "wheels")
    done = fetch()
    assert done.returncode == 0 and "is there and verified" in done.stdout and mirror.asked == []


def test_fetch_onnxruntime_takes_the_installed_header(fetch, mirror, tmp_path):
    (tmp_path / "include/onnxruntime").mkdir(parents=True)
    (tmp_path / "include/onnxruntime/onnxruntime_c_api.h").write_bytes(HEADER)
    make_wheel(tmp_path / "wheels")
    done = fetch()
    assert done.returncode == 0, done.stdout + done.stderr
    expect_whole(tmp_path / "onnxruntime")
    assert mirror.asked == []


@needs_apt
def test_fetch_onnxruntime_asks_the_mirrors_of_apt(fetch, mirror, tmp_path):
    """A stand-in for apt-get names three mirrors. The first mirror lacks the file; the script skips the mirror of
    security updates."""
    mirror.files[DEB] = make_deb(tmp_path)
    make_wheel(tmp_path / "wheels")
    top = mirror.url.removesuffix("debian")
    uris = [f"{top}{archive}/dists/stable/{file}" for archive in ("another", "debian-security", "debian") for file in
            ("InRelease", "main/binary-amd64/Packages.xz", "main/binary-all/Packages.xz")]
    program = tmp_path / "bin" / "apt-get"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\ncat <<END\n" + "".join(f"'{uri}' file 0\n" for uri in uris) + "END\n", encoding="ascii")
    program.chmod(0o755)
    done = fetch(DIPPER_ONNXRUNTIME_MIRRORS="", PATH=f"{program.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr
    expect_whole(tmp_path / "onnxruntime")
    assert mirror.asked == [f"/another/{DEB}", DEB]


@needs_apt
def test_fetch_onnxruntime_replaces_damaged_files(fetch, mirror, tmp_path):
    mirror.files[DEB] = make_deb(tmp_path)
    make_wheel(tmp_path / "wheels")
    assert fetch().returncode == 0
    (tmp_path / "onnxruntime" / "lib" / f"libonnxruntime.so.{VERSION}").write_bytes(b"damaged")
    assert fetch().returncode == 0
    expect_whole(tmp_path / "onnxruntime")


@needs_apt
def test_fetch_onnxruntime_deletes_another_library(fetch, mirror, tmp_path):
    mirror.files[DEB] = make_deb(tmp_path)
    make_wheel(tmp_path / "wheels", LIBRARY[:-1])
    done = fetch()
    assert done.returncode == 1 and "SHA-256" in done.stderr and "--onnxruntime-library" in done.stderr
    assert not (tmp_path / "onnxruntime").exists() and left_over(tmp_path) in ([], ["onnxruntime.lock"])


@needs_apt
def test_fetch_onnxruntime_deletes_another_header(fetch, mirror, tmp_path):
    mirror.files[DEB] = make_deb(tmp_path, HEADER + b"more")
    make_wheel(tmp_path / "wheels")
    done = fetch()
    assert done.returncode == 1 and "SHA-256" in done.stderr and "libonnxruntime-dev" in done.stderr
    assert not (tmp_path / "onnxruntime").exists()


@needs_apt
def test_fetch_onnxruntime_refuses_another_package(fetch, mirror, tmp_path):
    mirror.files[DEB] = make_deb(tmp_path)
    make_wheel(tmp_path / "wheels")
    done = fetch(DIPPER_ONNXRUNTIME_DEB_SHA256=hashlib.sha256(b"the one that was meant").hexdigest())
    assert done.returncode == 1 and "no source gave the C header" in done.stderr
    assert mirror.asked and not (tmp_path / "onnxruntime").exists()


def test_fetch_onnxruntime_says_what_to_do_when_nobody_answers(fetch, tmp_path):
    done = fetch()
    assert done.returncode == 1
    assert "no source gave the C header" in done.stderr and "apt-get install libonnxruntime-dev" in done.stderr
    assert left_over(tmp_path) in ([], ["onnxruntime.lock"])


def test_fetch_onnxruntime_says_what_to_do_without_pip_packages(fetch, tmp_path):
    (tmp_path / "include/onnxruntime").mkdir(parents=True)
    (tmp_path / "include/onnxruntime/onnxruntime_c_api.h").write_bytes(HEADER)
    (tmp_path / "wheels").mkdir()
    done = fetch()
    assert done.returncode == 1 and "--onnxruntime-library" in done.stderr
    assert not (tmp_path / "onnxruntime").exists()
