# SPDX-License-Identifier: GPL-3.0-or-later
"""The film of a package that is dragged into a Blender that nobody has used: no module of the
extension is imported before."""

import glob
import os
import signal
import subprocess

from shelf_scenarios import steps, waiting

PER_SECOND = 5  # pictures of the film


def filmed(hand):
    """The same while the screen is filmed: pictures film_NNN.png, and `hand.seen["film"]`, how many
    milliseconds each is seen, and its caption with a clock, which runs from the drag on."""
    pattern = os.path.join(hand.folder, "film_%03d.png")
    screen = [
        "-f",
        "x11grab",
        "-framerate",
        str(PER_SECOND),
        "-draw_mouse",
        "0",
        "-i",
        os.environ["DISPLAY"],
    ]
    number = ["-start_number", "0"]
    camera = subprocess.Popen(
        ["ffmpeg", "-v", "error", *screen, "-compression_level", "1", *number, pattern],
        stdin=subprocess.DEVNULL,
    )
    try:
        yield from waiting(lambda: os.path.exists(pattern % 3), "no picture of the screen")
        yield from steps(hand)
    finally:
        camera.send_signal(signal.SIGINT)
        camera.wait(30)
    times = [os.stat(each).st_mtime for each in sorted(glob.glob(pattern.replace("%03d", "*")))]
    hand.seen["film"] = []
    for now, then in zip(times, [*times[1:], times[-1] + 1.5]):
        second = max(0.0, now - hand.seen["began"])
        done = [text for began, text in hand.seen["labels"] if began <= second]
        caption = f"{second:.1f} s   {done[-1] if done else 'An empty Blender'}"
        hand.seen["film"].append([max(40, round(1000 * (then - now))), caption])
