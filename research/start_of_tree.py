# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the engine of one tree of the repository, for `research/speed.py` to time two commits in
turns.

start_of_tree.py TREE SOUND TAKES   prints JSON: seconds until a new engine's process is ready, until
                                    one has sent the first take of a sound, and its most memory, GB
"""

import json
import sys
import time


def main(tree: str, sound: str, takes: int) -> None:
    """Print the seconds of two starts, after each of which the engine ends."""
    sys.path.insert(0, tree)
    from thunder_core.client import Client
    from thunder_core.direction import Direction

    began = time.perf_counter()
    with Client(sys.executable) as client:
        client.request("hello").wait()
        ready = time.perf_counter() - began
    arrived: list[float] = []
    with Client(sys.executable) as client:
        direction = client.put_array(Direction().vector()[None])
        began = time.perf_counter()

        def note(event: dict) -> None:
            if event["event"] == "take":
                arrived.append(time.perf_counter() - began)

        client.request("generate", sound=sound, takes=takes, seed=1, direction=direction).wait(note)
        with open(f"/proc/{client.pid}/status", encoding="ascii") as status:
            most = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps({"ready": ready, "first": arrived[0], "memory": most * 1024 / 1e9}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
