# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser without a window, Chromium, driven through chromedriver in the words of WebDriver."""

import base64
import contextlib
import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from timing import until

# `setup/python.sh environment.py browser` installs both; .ci/run does
needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="no chromium and chromedriver here: setup/python.sh environment.py browser",
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage",
)  # fmt: skip
# WebDriver's codes of keys
ENTER, ESCAPE, UP, DOWN, LEFT, RIGHT = "\ue007", "\ue00c", "\ue013", "\ue015", "\ue012", "\ue014"


class Browser:
    """A session of a browser. at: the address of its driver."""

    def __init__(self, at: str, folder: Path, size: tuple[int, int]):
        self.downloads = folder / "downloads"
        self.downloads.mkdir(exist_ok=True)
        options = {
            "args": [
                *FLAGS,
                f"--user-data-dir={folder / 'profile'}",
                f"--window-size={size[0]},{size[1]}",
            ],
            "binary": shutil.which("chromium"),
            "prefs": {"download.default_directory": str(self.downloads)},
        }
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.at = f"{at}/session"
        self.at += (
            "/" + self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        )

    def _ask(self, method: str, path: str, about: dict | None = None):
        data = None if about is None else json.dumps(about).encode()
        request = urllib.request.Request(self.at + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def open(self, page: Path | str) -> None:
        """Open a file, or what has an address, and wait until it is loaded."""
        address = page if isinstance(page, str) else page.absolute().as_uri()
        self.run("window.isEarlier = true")
        self._ask("POST", "/url", {"url": address})
        # on a busy machine the driver answers before the page is another one
        is_new = "return !window.isEarlier && document.readyState === 'complete'"
        if "#" not in address:
            until(lambda: self.run(is_new))

    def run(self, script: str, *arguments):
        """What a function body of JavaScript returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": arguments})

    def text(self, selector: str) -> str:
        """The text of the first such element, as a person sees it."""
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def press(self, *keys: str) -> None:
        """Press and release keys one after the other."""
        acts = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": acts}]})

    def click(self, selector: str, dx: int = 0) -> None:
        """Click into the middle of the first such element, or so many pixels beside it."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        acts = [{"type": "pointerMove", "origin": found, "x": dx, "y": 0}]
        acts += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        self._ask(
            "POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": acts}]}
        )

    def picture(self, path: Path) -> None:
        """Photograph the window."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def log(self) -> list[str]:
        """What the browser complained of since it was asked last."""
        return [each["message"] for each in self._ask("POST", "/se/log", {"type": "browser"})]

    def close(self) -> None:
        """End the session and its browser."""
        self._ask("DELETE", "")


@contextlib.contextmanager
def browser(folder: Path, size: tuple[int, int] = (1366, 768)):
    """A browser with an empty profile in a folder, and its window's size."""
    driver = subprocess.Popen(
        [shutil.which("chromedriver"), "--port=0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        port = next(
            line.rpartition(" ")[2].strip(".\n")
            for line in driver.stdout
            if "started successfully" in line
        )
        opened = Browser(f"http://127.0.0.1:{port}", folder, size)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
