"""A folder with two namespaces and a `dipper serve` over it, for the tests that speak HTTP."""
import contextlib
import json
import os
import resource
import signal
import subprocess
import urllib.request

from conftest import clean_environment

ROWS = [
    {"id": 1, "title": "rsync", "text": "fast, versatile, remote (and local) file-copying tool that keeps two folders"
     " in sync", "section": "net", "size": 416, "homepage": "https://rsync.samba.org/"},
    {"id": 2, "title": "ncdu", "text": "ncurses disk usage viewer: find out what fills the disk", "section": "admin",
     "size": 120},
    {"id": 3, "title": "htop", "text": "interactive processes viewer", "section": "utils", "size": 387,
     "tags": ["interface::text-mode", "admin::monitoring"]},
    {"id": "four", "title": "ffmpeg", "text": "tools for transcoding, streaming and playing of multimedia files",
     "section": "video", "size": 2270, "free": True},
    {"id": 5, "title": "gimp", "text": "image manipulation program for editing photographs", "section": "graphics"},
    {"id": 6, "title": "<img src=x onerror=alert(1)>", "text": "</p><script>document.title='owned'</script> hostile"
     " markup in a row", "section": "<b>web</b>", "homepage": "javascript:alert(1)"},
    {"id": 7, "title": "nmap", "text": "the network mapper: explore networks and look for open ports",
     "section": "net"},
]
OTHER = [{"id": i, "text": f"the {word} of the orchestra"} for i, word in enumerate(("violin", "oboe", "timpani"))]


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def make_root(dipper, folder):
    """Indexes the rows above under folder/root."""
    root = folder / "root"
    for name, rows in (("packages", ROWS), ("orchestra", OTHER)):
        done = subprocess.run([dipper, "index", name, write_rows(folder / f"{name}.jsonl", rows), "--root", root],
                              capture_output=True, text=True, timeout=120, env=clean_environment(), check=False)
        assert done.returncode == 0, done.stderr
    return root


@contextlib.contextmanager
def serving(dipper, root, *arguments, files=None, env=None):
    """Runs a server over `root` that may open `files` files, and gives its address. SIGINT must end it cleanly."""
    with serving_process(dipper, root, *arguments, files=files, env=env) as (url, _):
        yield url


@contextlib.contextmanager
def serving_process(dipper, root, *arguments, files=None, env=None):
    """As serving, but gives the address and the process."""
    limit = (lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))) if files else None
    process = subprocess.Popen([dipper, "serve", "--root", root, "--listen", "127.0.0.1:0", *arguments],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
                               env=clean_environment(**(env or {})))
    try:
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:"), process.stderr.read()
        yield url, process
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def get(url):
    """Returns the status, headers and body of a GET."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.status, answer.headers, answer.read()
