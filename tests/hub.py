# SPDX-License-Identifier: GPL-3.0-or-later
"""A hub of models on this machine, which answers the library's own requests over HTTP."""

import json
import threading
import time
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SHA = "0123456789abcdef0123456789abcdef01234567"
BLOCK = 1 << 17  # bytes sent at once


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, models, pause, *given):
        self.models, self.pause = models, pause  # seconds between two blocks
        super().__init__(*given)

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = self.path.partition("?")[0].strip("/").split("/")
        is_about = parts[:2] == ["api", "models"]
        name = "/".join(parts[2:4] if is_about else parts[:2])
        folder = self.models.get(name)
        if folder is None:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        files = sorted(path for path in Path(folder).iterdir() if path.is_file())
        if is_about:
            tree = [
                {"type": "file", "path": each.name, "size": each.stat().st_size, "oid": each.name}
                for each in files
            ]
            about = {"id": name, "sha": SHA, "siblings": [{"rfilename": f.name} for f in files]}
            answer = tree if "tree" in parts else about
            return self._send(
                200, json.dumps(answer).encode(), {"Content-Type": "application/json"}
            )
        content = Path(folder, parts[-1]).read_bytes()
        self._send(200, content, {"ETag": f'"{parts[-1]}"', "X-Repo-Commit": SHA})

    def _send(self, status, content, headers):
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        for start in range(0, len(content) if self.command == "GET" else 0, BLOCK):
            self.wfile.write(content[start : start + BLOCK])
            time.sleep(self.pause)


@contextmanager
def serving(answers):
    """The address of a web server on this machine with this handler, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hub(models, pause=0.0):
    """The address of a hub with these models {OWNER/NAME: folder}, while the block runs."""
    with serving(partial(_Answers, models, pause)) as address:
        yield address
