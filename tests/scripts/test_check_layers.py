"""scripts/check-layers: the order of the rooms, and which rooms may use which library."""
import subprocess

import pytest

pytestmark = pytest.mark.tree


@pytest.fixture
def layers(check_files):
    """layers(files): what scripts/check-layers says of a small repository of these files."""
    return lambda files: check_files("check-layers", files)


HOUSE = {
    "src/base/error.h": "#include <dipper/status.h>\n",
    "src/store/store.h": '#include "base/error.h"\n',
    "src/store/local.c": '#include "store/store.h"\n#include "store/s3/sign.h"\n#include <openssl/sha.h>\n',
    "src/store/s3/sign.h": "/* int hidden(void); */\nint sign(const char *text,\n         int (*part)(int));\n"
                           "struct pen {\n    int (*write)(void);\n};\nstatic inline int twice(int a)\n{\n    return f(a);\n}\n",
    "src/store/s3/sign.c": '#include "store/s3/sign.h"\n#include "base/error.h"\n'
                           "int sign(const char *text, int (*part)(int))\n{\n    return part(*text);\n}\n",
    "src/store/s3/s3.h": "int sign_all(void);\n",
    "src/store/s3/all.c": "int sign_all(void)\n{\n    return 0;\n}\n",
    "src/server/http.h": "\n",
    "src/server/http_mhd.c": "#include <microhttpd.h>\n",
    "include/dipper/status.h": "#include <stddef.h>\n",
}


def test_rooms_in_order_pass(layers):
    assert layers(HOUSE) == (0, [])


def test_the_repository_passes(source):
    assert subprocess.run([source / "scripts" / "check-layers"], capture_output=True).returncode == 0


@pytest.mark.parametrize("name, text, said", [
    ("src/base/up.c", '#include "store/store.h"\n', 'src/base/up.c:1: room base includes "store/store.h" of a later'),
    ("src/store/up.c", '\n#  include "server/http.h"\n', "src/store/up.c:2: room store includes"),
    ("src/embed/reach.c", '#include "store/s3/sign.h"\n', '"store/s3/sign.h" is private to room store'),
    ("src/store/s3/up.c", '#include "server/http.h"\n', "src/store/s3/up.c:1: room store includes"),
    ("src/store/here.c", '#include "store.h"\n', 'not of the form "room/header.h"'),
    ("src/store/climb.c", '#include "../base/error.h"\n', "climbs out"),
    ("src/store/gone.c", '#include "base/gone.h"\n', "does not exist"),
    ("src/server/page.c", "#include <microhttpd.h>\n", "<microhttpd.h> is not open to server/page"),
    ("src/cli/hash.c", "#include <openssl/evp.h>\n", "<openssl/evp.h> is not open to cli/hash"),
    ("src/vector/read.c", "#include <unistd.h>\n", "room vector does no I/O"),
    ("src/base/thread.c", "#include <pthread.h>\n", "room base does no I/O"),
    ("src/embed/socket.c", "#include <sys/socket.h>\n", "<sys/socket.h> is not open to embed/socket"),
    ("src/attic/old.c", "\n", "src/attic: not a room"),
    ("src/store/s3/all.h", "int sign_all(void);\n\nint sign(int);\n", "src/store/s3/all.h:3: sign is not defined in all.c"),
    ("src/store/s3/face.h", "int sign_all(void);\n", "src/store/s3/face.h:1: sign_all is not defined in face.c"),
    ("include/dipper/extra.h", '#include "base/error.h"\n', "a public header includes base/error.h"),
    ("include/dipper/extra.h", "#include <zstd.h>\n#include <sys/uio.h>\n", "a public header includes sys/uio.h"),
    ("src/server/pen.c", "struct pen {\n    int length;\n};\n", "the tag pen is defined at"),
    ("src/server/pen.c", "/* struct a { */\nstruct pen *p;\nenum\npen { A };\n", "the tag pen is defined at"),
    ("src/base/meson.build", "base_lib = static_library('room_base',\n  dependencies: [store_dep])\n",
     "src/base/meson.build:2: room base links the later room store"),
])
def test_a_breach_is_named_with_its_line(layers, name, text, said):
    status, lines = layers({**HOUSE, name: text})
    assert status == 1
    assert len(lines) == 1 and said in lines[0], lines


def test_an_include_in_a_comment_is_no_include(layers):
    text = '/* for example\n#include "server/http.h"\n*/\n// #include <curl/curl.h>\n'
    assert layers({**HOUSE, "src/base/words.c": text}) == (0, [])


def test_nothing_to_check_fails(layers):
    assert layers({"src/base/meson.build": "\n"})[0] == 1
