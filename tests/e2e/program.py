"""Helpers of the end-to-end tests, without fixtures."""
import json
import os
import select
import shutil


def clean_environment(**more):
    """Returns this process's environment without variables that would set Dipper's settings, plus `more`."""
    names = {"HOST", "PORT", "WORKERS", "MODEL_NAME", "MODEL_PATH", "MAX_BATCH_SIZE", "DATABASE_URL", "XDG_STATE_HOME",
             "API_KEY_PREFIX", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "STORAGE_EMULATOR_HOST",
             "GCE_METADATA_HOST", "NO_GCE_CHECK"}
    clouds = ("DIPPER_", "AWS_", "S3_", "GOOGLE_", "CLOUDSDK_")
    env = {k: v for k, v in os.environ.items() if k not in names and not k.startswith(clouds)}
    env.update({k: str(v) for k, v in more.items()})
    return env


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


def files_below(folder):
    """Returns {path below the folder: bytes} of all files in the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def objects(root):
    """Returns the files of a bucket without the folder that the local store keeps for itself."""
    return {k: v for k, v in files_below(root).items() if not k.startswith(".dipper/")}


def copy_bucket(old, new):
    """Copies a bucket with the files' times, which are part of objects' versions."""
    shutil.copytree(old, new)


def shown(rows):
    """Returns the rows of a search's answer, without their distances and in a fixed order."""
    return {json.dumps({k: v for k, v in row.items() if k != "$dist"}, sort_keys=True) for row in rows}


def read_line(process, seconds=60):
    """Reads a line of JSON from the program. It must come while the program's input stays open."""
    line = b""
    while not line.endswith(b"\n"):
        assert select.select([process.stdout], [], [], seconds)[0], f"no answer after {seconds} s; so far {line!r}"
        more = os.read(process.stdout.fileno(), 1 << 16)
        assert more, f"the output ended: {line!r}"
        line += more
    return json.loads(line)
