#!/usr/bin/env python3
"""Records the requests of Azure's own client, with its signatures, into tests/data/azure/requests.txt.

tests/store/test_azure_signing.c computes the signatures anew, and compares Dipper's requests with these. Needs
azure-storage-blob (scripts/venv --golden). Each block of the file is a request: what it does, its request line, its
headers. The account's key is made up.
"""
import base64
import http.server
import pathlib
import sys
import threading

import azure.storage.blob
from azure.core import MatchConditions
from azure.storage.blob import BlobBlock, BlobServiceClient

OUT = pathlib.Path(__file__).parent.parent / "data" / "azure" / "requests.txt"
KEY = base64.b64encode(b"a key of an account that nobody has").decode()
LISTING = (b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs></Blobs><NextMarker/></EnumerationResults>')
HIDDEN = ("user-agent", "accept-encoding", "connection", "host")
seen = []


class Recorder(http.server.BaseHTTPRequestHandler):
    """Answers every request with success, and keeps it."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def serve(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen.append((self.command, self.path, [(k, v) for k, v in self.headers.items() if k.lower() not in HIDDEN]))
        body = LISTING if "comp=list" in self.path else b"0123456789" if self.command in ("GET", "HEAD") else b""
        ranged = self.headers.get("x-ms-range")
        self.send_response({"PUT": 201, "DELETE": 202}.get(self.command, 206 if ranged else 200))
        for name, value in (("ETag", '"0x8D"'), ("Last-Modified", "Fri, 26 Jun 2015 23:39:12 GMT"), ("x-ms-blob-type", "BlockBlob"),
                            ("Content-Length", str(len(body))), ("Content-Type", "application/xml")):
            self.send_header(name, value)
        if ranged:
            self.send_header("Content-Range", "bytes 0-9/10")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_DELETE = serve


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    service = BlobServiceClient(f"http://127.0.0.1:{server.server_port}/account", retry_total=0, api_version="2021-12-02",
                                credential={"account_name": "account", "account_key": KEY})
    container = service.get_container_client("container")
    blob = container.get_blob_client("deep/er/a b+c/\u00e9")
    same = {"etag": '"0x8D"', "match_condition": MatchConditions.IfNotModified}
    steps = {
        "put": lambda: blob.upload_blob(b"0123456789", overwrite=True),
        "put if absent": lambda: blob.upload_blob(b"0123456789", overwrite=False),
        "put if version": lambda: blob.upload_blob(b"0123456789", overwrite=True, **same),
        "read": lambda: blob.download_blob(offset=2, length=5).readall(),
        "head": blob.get_blob_properties,
        "remove": lambda: blob.delete_blob(delete_snapshots="include"),
        "block": lambda: blob.stage_block("b" * 32, b"0123456789"),
        "block list": lambda: blob.commit_block_list([BlobBlock("b" * 32)]),
        "list": lambda: list(container.list_blobs(name_starts_with="deep/er/", results_per_page=11)),
        "list folders": lambda: list(container.walk_blobs(name_starts_with="deep/er/", delimiter="/")),
    }
    text = [f"# Requests of azure-storage-blob {azure.storage.blob.__version__}; see tests/golden/{pathlib.Path(__file__).name}.",
            "account account", f"key {KEY}", ""]
    for what, step in steps.items():
        del seen[:]
        try:
            step()
        except Exception as error:  # pylint: disable=broad-except
            # Newer clients ask for listings in other formats; the request is recorded all the same.
            print(f"{what}: {error}", file=sys.stderr)
        method, target, headers = seen[0]
        text += [what, f"{method} {target}", *(f"{name}: {value}" for name, value in headers), ""]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
