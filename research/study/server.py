# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a study and the server that collects its votes: standard library only, no external
resources, no key.

A vote is a line in `votes/RATER.jsonl`, on the disk before the page gets the confirmation. Of
several votes of a rater on one pair the last counts. A rater who returns with the same name
continues at the first pair without a vote.
"""

import contextlib
import json
import os
import random
import re
import sys
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from research.study.pairs import film_path, public_of, QUESTIONS, SCALE, VOTES
from thunder_core.html import source_of

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
LARGEST_VOTE = 4096  # bytes
# seconds to wait for a browser's next request, and for it to take an answer
LONGEST_WAIT, LONGEST_ANSWER = 10.0, 120.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_RATER = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})\Z")
_STYLE, _SCRIPT = (
    source_of(re.search(f"<{kind}>(.*)</{kind}>", PAGE, re.S)[1]) for kind in ("style", "script")
)
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src {_STYLE}; script-src {_SCRIPT}; "
                               f"media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}  # fmt: skip


class BadVote(Exception):
    """The reason why a vote is refused, in a sentence for the page."""


def problem_of(answers: object) -> str:
    """What is wrong with the answers of a vote, in a sentence; "" for nothing."""
    if not isinstance(answers, dict) or set(answers) != set(QUESTIONS):
        return "Some question has no answer: answer all of them"
    most = len(SCALE) // 2
    if not all(type(value) is int and -most <= value <= most for value in answers.values()):
        return "An answer is not on the scale: reload the page"
    return ""


def read_votes(path: Path, skipped: list[str] | None = None) -> list[dict]:
    """The votes in a file, in the order in which they were given. What is no vote is left out, and
    named in `skipped`.

    A power cut may leave a line unfinished, and a file may be damaged.
    """
    votes, skipped = [], [] if skipped is None else skipped
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        skipped.append(f"{path.name} ({error.strerror})")
        return []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            vote = json.loads(line)
            if problem_of(vote["answers"]):
                raise ValueError
            votes.append({"pair": str(vote["pair"]), "answers": vote["answers"]})
        except (ValueError, KeyError, TypeError, RecursionError):
            skipped.append(f"{path.name}, line {number}")
    return votes


class Study:
    """A study that is open for votes."""

    def __init__(self, folder: Path):
        self.folder, self.public = Path(folder), public_of(folder)
        self.films = {
            film for pair in self.public["pairs"] for film in (pair["left"], pair["right"])
        }
        self.pairs = {pair["id"] for pair in self.public["pairs"]}
        self._saving = threading.Lock()

    def _file(self, rater: str) -> Path:
        if not _RATER.match(rater):
            raise BadVote(
                "A name has 1 to 40 letters, digits, hyphens or underscores: choose another one"
            )
        return self.folder / VOTES / f"{rater}.jsonl"

    def for_rater(self, rater: str) -> dict:
        """The page's data: the pairs in this rater's order, the questions, and the votes so
        far. Raises BadVote."""
        given = {
            vote["pair"]: vote["answers"]
            for vote in read_votes(self._file(rater))
            if vote["pair"] in self.pairs
        }
        pairs = sorted(self.public["pairs"], key=lambda pair: pair["id"])
        random.Random(f"order of {rater}").shuffle(pairs)
        return {
            "pairs": pairs,
            "questions": self.public["questions"],
            "scale": self.public["scale"],
            "votes": given,
        }

    def save(self, vote: object) -> None:
        """Check a vote and write it to the disk. Raises BadVote, or OSError if it cannot be
        written."""
        if not isinstance(vote, dict) or not all(
            isinstance(vote.get(name), str) for name in ("rater", "pair")
        ):
            raise BadVote("This is no vote: reload the page")
        path, answers = self._file(vote["rater"]), vote.get("answers")
        if vote["pair"] not in self.pairs:
            raise BadVote("This pair is not in the study: reload the page")
        if problem := problem_of(answers):
            raise BadVote(problem)
        line = (
            json.dumps({"pair": vote["pair"], "answers": answers, "time": round(time.time())})
            + "\n"
        )
        with self._saving:
            path.parent.mkdir(exist_ok=True)
            with path.open("ab+") as file:
                if file.seek(0, os.SEEK_END):  # a truncated vote stays a separate line
                    file.seek(-1, os.SEEK_END)
                    line = line if file.read(1) == b"\n" else "\n" + line
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "study", ""

    def __init__(self, study: Study, *args):
        self.study = study
        super().__init__(*args)

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self.connection.settimeout(LONGEST_WAIT)
        super().handle_one_request()

    def parse_request(self) -> bool:
        """Whether a request can be answered: it is valid, and names this server, not another site
        that led a browser here."""
        if not super().parse_request():
            return False
        with contextlib.suppress(ValueError):
            if urlsplit(f"//{self.headers.get('Host', '')}").hostname in self.server.names | {
                self.connection.getsockname()[0]
            }:
                return True
        self.close_connection = True
        self._json(
            HTTPStatus.MISDIRECTED_REQUEST,
            {"error": "The study is not at this address: use the one that its server prints"},
        )
        return False

    def do_GET(self) -> None:
        """The page, a rater's pairs, or a film."""
        try:
            url = urlsplit(self.path)
            if url.path == "/":
                self._send(HTTPStatus.OK, PAGE.encode(), "text/html; charset=utf-8")
            elif url.path == "/pairs":
                self._json(
                    HTTPStatus.OK, self.study.for_rater(parse_qs(url.query).get("rater", [""])[0])
                )
            elif (
                name := url.path.removeprefix("/films/").removesuffix(".mp4")
            ) in self.study.films:
                self._film(film_path(self.study.folder, name))
            else:
                self._json(
                    HTTPStatus.NOT_FOUND, {"error": "There is nothing here: go back to the page"}
                )
        except BadVote as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except ValueError:
            self._json(
                HTTPStatus.BAD_REQUEST, {"error": "There is nothing here: go back to the page"}
            )
        except FileNotFoundError:
            self._json(
                HTTPStatus.NOT_FOUND, {"error": "A film is missing: run `make` of the study again"}
            )

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """A vote."""
        length = self.headers.get("Content-Length", "")
        if (
            self.path != "/vote"
            or not re.fullmatch("[0-9]{1,5}", length)
            or int(length) > LARGEST_VOTE
        ):
            self.close_connection = True  # the request's body is not read
            self._json(HTTPStatus.BAD_REQUEST, {"error": "This is no vote: reload the page"})
            return
        body = self.rfile.read(int(length))
        # Another site's page may send a form to this address, but this type only after a preflight
        # request.
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            self._json(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, {"error": "This is no vote: reload the page"}
            )
            return
        try:
            self.study.save(json.loads(body))
        except BadVote as error:
            self._json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
        except (ValueError, RecursionError):
            self._json(HTTPStatus.BAD_REQUEST, {"error": "This is no vote: reload the page"})
        except OSError as error:
            reason = f"The vote could not be saved ({error.strerror}): tell who runs the study"
            self._json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": reason})
        else:
            self._json(HTTPStatus.OK, {"saved": True})

    def log_message(self, *_) -> None:
        """Print nothing for each request."""

    def _json(self, status: HTTPStatus, value: dict) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(
        self, status: HTTPStatus, body: bytes, kind: str, headers: dict[str, str] | None = None
    ) -> None:
        self.connection.settimeout(LONGEST_ANSWER)
        self.send_response(status)
        for name, value in (
            _HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _film(self, path: Path) -> None:
        """A film or the requested part of it, which some browsers require for playing."""
        data = path.read_bytes()
        part = _RANGE.match(self.headers.get("Range", ""))
        headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=3600"}
        if not part or part.groups() == ("", ""):
            self._send(HTTPStatus.OK, data, "video/mp4", headers)
            return
        first, last = part.groups()
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last), len(data) - 1) if first and last else len(data) - 1
        if start > end:
            self._send(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                b"",
                "video/mp4",
                {"Content-Range": f"bytes */{len(data)}"},
            )
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        self._send(HTTPStatus.PARTIAL_CONTENT, data[start : end + 1], "video/mp4", headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # listening backlog; the library's five would refuse some connections

    def __init__(self, address: tuple[str, int], study: Study):
        self.names = _LOOPBACK | {address[0].lower()}  # by which browsers may call it
        super().__init__(address, partial(_Handler, study))

    def handle_error(self, request, client_address) -> None:
        """Say nothing about connections that end in the middle."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(folder: Path, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """A server of a study, which listens already; port 0 takes a free one. Raises StudyError, or
    OSError."""
    return _Server((host, port), Study(folder))


def run(folder: Path, host: str, port: int) -> None:
    """Serve a study until Ctrl-C."""
    with make_server(folder, host, port) as server:
        print(
            f"The study is at http://{host}:{server.server_port}/ – Ctrl-C ends it; votes are in "
            f"{Path(folder) / VOTES}",
            flush=True,
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
