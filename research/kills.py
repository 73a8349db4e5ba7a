# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the engine's process, a bake, a run of many, an installation and Blender at random moments,
and looks at what they leave.

    python -m research.kills [--kills 200] [--seed 1] [--of worker,bake,batch,installer,blender]
    [--results FOLDER]

Runs in the engine's environment and needs one of Blender as a Python module (.venv/bpy-*, or
BPY_PYTHON); with BLENDER naming a real one, half of Blender's own kills are of that. Every kill is
SIGKILL, its moment drawn from the whole run of the victim, so that a seed gives the same moments.
After each one the next start must work, the files must be all old or all new, and no process,
private folder or temporary file of ours may be left. Prints a table; `make faults` keeps it in
research/results/kills.txt.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from research.harness import use_tests, write_json, write_table
from thunder_core import files, private_folder
from thunder_core.client import Client
from thunder_core.errors import WorkerDied

use_tests("faults")

from failing_calls import is_whole
from harness import children_of, installers_environment, ROOT, run_installer, SAMPLE
from processes import is_alive

SHARES = {"worker": 50, "bake": 24, "batch": 24, "installer": 46, "blender": 80}  # of all kills
PATIENCE = 20.0  # seconds in which the last process must have ended; a busy machine gets there late


@dataclass
class Tally:
    """Of one kind of victim: kills, and what was found after them."""

    kills: int = 0
    # what the victim was doing, or what was there afterwards
    moments: Counter = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        self.wrong.append(text)
        print(f"wrong: {text}", file=sys.stderr, flush=True)


def gone(pids, seconds: float = PATIENCE) -> list[int]:
    """The processes that are still there when so many seconds have passed."""
    end = time.monotonic() + seconds
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def kill_at(process, seconds: float) -> bool:
    """Kill a process so many seconds from now; whether it still ran. Its children get no signal."""
    try:
        process.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True


def let_a_day_pass(folder: Path) -> None:
    """Make temporary files of ours in a folder older than a day."""
    for name in filter(files.is_part, os.listdir(folder)):
        os.utime(folder / name, (0, 0))


def leftovers(folder: Path) -> list[str]:
    """Private folders that the next client does not clear up, and files of ours in a temporary
    folder."""
    old = time.time() - 10 * private_folder.YOUNG
    for path in folder.iterdir():
        os.utime(path, (old, old))
    private_folder.sweep()
    return sorted(
        path.name
        for path in folder.iterdir()
        if path.name.startswith("thunder") or files.is_part(path.name)
    )


def short_sound(folder: Path) -> Path:
    import soundfile

    samples, rate = soundfile.read(SAMPLE)
    path = folder / "short.wav"
    soundfile.write(path, samples[:rate], rate)
    return path


# ---- the engine's process


def kill_workers(count: int, draw: random.Random, place: Path, tally: Tally) -> None:
    """One client whose worker is killed again and again: each costs one request, and the next one
    is answered."""
    sound = str(short_sound(place))
    with Client(sys.executable) as client:
        start = time.monotonic()
        client.request("generate", sound=sound, takes=2, seed=1, steps=50).wait(timeout=600)
        whole = time.monotonic() - start
        client.stop()
        for number in range(count):
            seen = []
            pending = client.request("generate", sound=sound, takes=2, seed=1, steps=50)
            pid, end = client.pid, time.monotonic() + draw.uniform(0, whole)
            while time.monotonic() < end and not pending.done:
                seen += pending.poll()
                time.sleep(0.002)
            os.kill(pid, signal.SIGKILL)
            tally.kills += 1
            tally.moments[
                next(
                    (event["message"] for event in reversed(seen) if event.get("message")),
                    "starting",
                )
            ] += 1
            # requests that the kill has cost: the one it met, or the next one if that had just been
            # answered
            lost = 0
            for request in (lambda: pending, *[lambda: client.request("release")] * 2):
                try:
                    request().wait(timeout=120)
                except WorkerDied as error:
                    lost += 1
                    if "\n" in str(error) or lost > 1:
                        tally.fault(f"worker {number}: request lost: {error}")
                except Exception as error:
                    tally.fault(f"worker {number}: {type(error).__name__}: {error}")
            if left := gone({pid} - {client.pid}):
                tally.fault(f"worker {number}: {left} still run")
    if left := leftovers(Path(tempfile.gettempdir())):
        tally.fault(f"worker: left behind: {left}")


# ---- a bake


def bake(out: Path, takes: int, temporary: Path, *what):
    """Start bake.py, which bakes takes of two steps; its process."""
    words = ["--takes", takes, "--steps", 2, "--outputs", "blend,npz", "--out", out]
    return subprocess.Popen(
        [blender_python(), ROOT / "bake.py", *map(str, [*what, *words])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary), "THUNDER_PYTHON": sys.executable},
    )


def kill_bakes(count, draw: random.Random, place: Path, tally: Tally, names="") -> None:
    """Two takes are baked over three, of one sound or as jobs of these names: afterwards the three
    are there or the two, and the next run bakes what is left and nothing else.

    A run is killed after some line of what it says, at any moment before the next.
    """
    temporary, earlier, said = place / "tmp", place / "earlier", [time.monotonic()]
    temporary.mkdir()
    folders, what = names or [""], ["--audio", short_sound(place)]
    if names:
        (sounds := place / "sounds").mkdir()
        what = ["--jobs", sounds]
        for name in names:
            shutil.copy(place / "short.wav", sounds / f"{name}.wav")
    process = bake(earlier, 3, temporary, *what)
    said += [time.monotonic() for _ in process.stdout]
    if process.wait() or not all(is_whole(earlier / name, 3) for name in folders):
        raise SystemExit("kills.py: no bake works here")
    number = 0
    while tally.kills < count and number < 3 * count:
        out, number = place / "out", number + 1
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(earlier, out)
        process = bake(out, 2, temporary, *what)
        lines = draw.randrange(len(said) - 1)
        for _ in zip(range(lines), process.stdout):
            pass
        moment = time.monotonic() + draw.uniform(0, max(0.2, said[lines + 1] - said[lines]))
        helpers: set[int] = set()
        while process.poll() is None and time.monotonic() < moment:
            helpers |= children_of(process.pid)
            time.sleep(0.05)
        tally.kills += kill_at(process, 0.0)
        process.stdout.close()
        if left := gone(helpers | worker_pids(temporary)):
            tally.fault(f"bake {number}: {left} still run")
        finished = set()
        for name in folders:
            let_a_day_pass(out / name)
            files.Transaction(str(out / name)).check([])  # what the next run begins with
            if is_whole(out / name, 2):
                finished.add(name)
            elif not is_whole(out / name, 3):
                tally.fault(
                    f"bake {number}: neither all of the old nor all of the new: "
                    f"{sorted(os.listdir(out / name))}"
                )
        tally.moments[f"{len(finished)} of {len(folders)} were all of the new"] += 1
        said_next = bake(out, 2, temporary, *what).communicate(timeout=600)[0]
        if not all(is_whole(out / name, 2) for name in folders):
            tally.fault(f"bake {number}: the next run: {said_next[-300:]}")
        if (out / "batch.json").exists():
            rows = json.loads((out / "batch.json").read_text(encoding="utf-8"))["jobs"]
            again = {row["name"] for row in rows if row["state"] == "up to date"}
            if again != finished:
                tally.fault(f"bake {number}: {finished} were baked, and {again} not again")
        with temporary_in(temporary):
            left = leftovers(temporary)
        if left:
            tally.fault(f"bake {number}: left behind: {left}")


def worker_pids(temporary: Path) -> set[int]:
    """Engine processes whose private folder lies in a temporary folder."""
    result = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            command = path.read_bytes()
            if b"thunder_core.engine.worker" in command and os.fsencode(temporary) in command:
                result.add(int(path.parent.name))
    return result


@contextlib.contextmanager
def temporary_in(folder: Path | None):
    """Within this, temporary files of this process lie in a folder."""
    kept, tempfile.tempdir = tempfile.tempdir, folder and str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = kept


# ---- an installation


def kill_installers(count: int, draw: random.Random, place: Path, tally: Tally) -> None:
    """One environment is installed; each kill leaves it to the next start, until one start comes to
    its end."""
    from made_wheel import make_lock, make_wheel

    wheels = place / "wheels"
    lock = make_lock(wheels / "engine.txt", make_wheel(wheels, "alpha"), make_wheel(wheels, "beta"))

    def arguments(folder):
        program = ["-I", ROOT / "thunder_core" / "installer.py", "--folder", folder]
        return [*map(str, program), "--lock", str(lock)]

    where = {"TMPDIR": tempfile.gettempdir(), "PIP_FIND_LINKS": str(wheels)}

    def finish(folder):
        done, events = run_installer(arguments(folder), **where)
        left = [
            name
            for name in os.listdir(folder)
            if name.endswith(".part") or name == "thunder-downloads"
        ]
        if done.returncode or events[-1]["event"] != "done" or left:
            tally.fault(f"installer: the last start ended with {done}, left {left}")

    folder = place / "engine0"
    begun = time.monotonic()
    finish(folder)
    whole, number = time.monotonic() - begun, 1
    folder = place / "engine1"
    while tally.kills < count:
        process = subprocess.Popen(
            [sys.executable, *arguments(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=installers_environment(**where),
        )
        end = time.monotonic() + draw.uniform(0, whole)
        below: set[int] = set()
        while time.monotonic() < end and process.poll() is None:
            below |= children_of(process.pid)
            time.sleep(0.01)
        below |= children_of(process.pid)
        complete = process.poll() == 0
        if process.poll() is None:
            process.kill()
            tally.kills += 1
            tally.moments["pip or ensurepip was running" if below else "alone"] += 1
        elif not complete:
            tally.fault(
                f"installer: a start after a kill ended with {process.returncode}: "
                f"{process.stdout.read()[-300:]}"
            )
        process.stdin.close()
        process.stdout.close()
        process.wait()
        if left := gone(below):
            tally.fault(f"installer: {left} still run")
        if complete or number % 4 == 0:
            if not complete:
                finish(folder)
            folder = place / f"engine{number + 1}"
        number += 1
    if folder.exists():
        finish(folder)
    if left := os.listdir(tempfile.gettempdir()):
        tally.fault(f"installer: left behind among the temporary files: {left}")


# ---- Blender, which saves


SAVES = """
import sys
sys.path.insert(0, {root!r})
import bpy, bake
bake.load_package()
from thunder.cli.products import save_blend
from thunder.thunder_core import files
bpy.ops.wm.open_mainfile(filepath={path!r})
print("saving", flush=True)
for number in range(10000):
    bpy.context.scene.frame_end = 100 + number
    if {own}:
        with files.part_of({path!r}) as part:
            save_blend(part)
    else:
        bpy.ops.wm.save_mainfile()
"""

OPENS = """
import bpy
try:
    bpy.ops.wm.open_mainfile(filepath={path!r})
    print("opened", len(bpy.data.actions), len(bpy.data.objects))
except Exception as error:
    print("not opened", error)
"""


def kill_blenders(count: int, draw: random.Random, place: Path, tally: Tally) -> None:
    """A Blender that saves the same scene without end: afterwards the file opens and holds what it
    held."""
    python, real = blender_python(), os.environ.get("BLENDER")
    temporary = place / "tmp"
    temporary.mkdir()
    bake(place / "out", 3, temporary, "--audio", short_sound(place)).communicate(timeout=600)
    scene = place / "scene.blend"
    shutil.copy(place / "out" / "short.blend", scene)

    def opened() -> str:
        command = [python, "-c", OPENS.format(path=str(scene))]
        said = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
        return next((line for line in said if "opened" in line), "Blender has died")

    expected = opened()
    if not expected.startswith("opened") or expected.split()[1] == "0":
        raise SystemExit(f"kills.py: the scene of a bake does not open: {expected}")
    for number in range(count):
        own = number % 2
        code = SAVES.format(root=str(ROOT), path=str(scene), own=own)
        if real and number % 4 > 1:
            script = place / "saves.py"
            script.write_text(code)
            command, what = [real, "-b", "--factory-startup", "--python", str(script)], "Blender"
        else:
            command, what = [python, "-c", code], "Blender as a module"
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env=os.environ | {"TMPDIR": str(temporary), "BLENDER_BIND": f"{ROOT} {place}"},
        )
        for line in process.stdout:
            if line.startswith("saving"):
                break
        else:
            tally.fault(f"blender {number}: {what} does not save")
            continue
        time.sleep(draw.uniform(0, 1.0))
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
        tally.kills += 1
        tally.moments[f"{what}, {'by way of a temporary file' if own else 'as Blender saves'}"] += 1
        if not own and not scene.exists():
            # Blender's own save renames the file to .blend1 before the new one gets its name:
            # killed in between, the scene is there under that name alone. The animator renames it
            # back, as here.
            tally.moments[
                f"{what}, left as .blend1 in the middle of Blender's own two renames"
            ] += 1
            os.replace(f"{scene}1", scene)
        if (now := opened()) != expected:
            tally.fault(f"blender {number}: {now} where {expected} was expected")
        let_a_day_pass(place)
        files.remove_leftovers(str(place))
        if left := [name for name in os.listdir(place) if files.is_part(name)]:
            tally.fault(f"blender {number}: left behind: {left}")


def blender_python() -> str:
    """The Python of an environment that holds Blender as a module."""
    result = os.environ.get("BPY_PYTHON") or next(
        (
            str(path)
            for version in ("5.3", "5.2", "5.0", "4.5", "4.2")
            if (path := ROOT / ".venv" / f"bpy-{version}" / "bin" / "python").exists()
        ),
        None,
    )
    if result is None:
        raise SystemExit(
            "kills.py: there is no Blender as a module: run setup/environment.py blender, or set "
            "BPY_PYTHON"
        )
    return result


VICTIMS = {
    "worker": kill_workers,
    "bake": kill_bakes,
    "batch": partial(kill_bakes, names="ab"),
    "installer": kill_installers,
    "blender": kill_blenders,
}


def campaign(kills: int, seed: int, of: list[str]) -> dict[str, Tally]:
    tallies = {}
    whole = sum(SHARES[name] for name in of)
    for name in of:
        tally = tallies[name] = Tally()
        count = max(1, round(kills * SHARES[name] / whole))
        with tempfile.TemporaryDirectory(prefix=f"kills-{name}-") as folder:
            private = Path(folder) / "private"
            private.mkdir()
            with temporary_in(private):
                VICTIMS[name](count, random.Random(f"{seed} {name}"), Path(folder), tally)
        said = f"{name}: {tally.kills} kills, {len(tally.wrong)} wrong"
        print(said, file=sys.stderr, flush=True)
    return tallies


def counted(tallies: dict[str, Tally], seed: int) -> dict[str, dict]:
    return {
        name: {
            "seed": seed,
            "kills": tally.kills,
            "moments": dict(tally.moments.most_common()),
            "wrong": tally.wrong,
        }
        for name, tally in tallies.items()
    }


def table(counts: dict[str, dict]) -> list[str]:
    lines = ["killed with SIGKILL at random moments", f"{'':10}  kills  wrong"]
    for name, result in counts.items():
        lines.append(
            f"{name:10}  {result['kills']:5d}  {len(result['wrong']):5d}   seed {result['seed']}"
        )
        lines += [f"{'':12}{count:4d}  {moment}" for moment, count in result["moments"].items()]
    lines.append(
        f"{'all':10}  {sum(result['kills'] for result in counts.values()):5d}  "
        f"{sum(len(result['wrong']) for result in counts.values()):5d}"
    )
    return lines + [f"wrong: {text}" for result in counts.values() for text in result["wrong"]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="how many in all (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--of", default=",".join(VICTIMS), help="which victims, with commas between them"
    )
    parser.add_argument(
        "--results",
        help="folder for kills.txt and kills.json; victims of an earlier run that this one leaves "
        "out stay in them",
    )
    options = parser.parse_args()
    counts = counted(campaign(options.kills, options.seed, options.of.split(",")), options.seed)
    code = int(any(count["wrong"] for count in counts.values()))
    if options.results:
        kept = Path(options.results) / "kills.json"
        earlier = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
        counts = {name: (earlier | counts)[name] for name in VICTIMS if name in earlier | counts}
        write_json(kept, counts)
        write_table(kept.with_suffix(".txt"), table(counts))
    print("\n".join(table(counts)))
    return code


if __name__ == "__main__":
    sys.exit(main())
