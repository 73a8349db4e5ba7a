# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed: sampling against the paper's sampler, takes against the engine in torch, the engine's start, keying, peers, cost curves.

`python -m research speed [--only SECTION …] [--quick] [--cache CACHE]` prints a table and writes research/results/speed.txt and
speed.json; figures of sections that did not run stay as they were. Ratios come from runs that take turns; seconds and GB are of the
machine that the file names. `--only hour` bakes an hour of dialogue, which takes long, and is left out otherwise.
"""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from research import peers, speed_quality
from research.harness import add_shared, keep, keep_json, origin, RESULTS, ROOT, SAMPLE, usual
from research.heads import blenders
from research.long import memory
from thunder_core.client import Client
from thunder_core.direction import Direction
from thunder_core.engine.diffusion import ancestral_sample, Denoiser, Normal, sample, seeded_noise, STEPS
from thunder_core.engine.engine import Engine
from thunder_core.engine.request import portions
from thunder_core.engine.speech.audio import read_sound
from thunder_core.networks import denoiser as networks
from thunder_core.request import NORMAL, QUALITIES, Request
from thunder_core.types import FPS, RATE, Speech

TORCH = "6e38f97"  # the last commit whose engine ran in torch: its takes are compared
SECONDS, TAKES = 10.0, 8  # length and takes of the usual request
PICTURE, PAGE = Path("docs/pictures/speed.png"), Path("docs/speed.md")
MARKS = "<!-- figures -->", "<!-- end of figures -->"  # lines of PAGE between which the last run's tables stand

Figures = dict[str, object]


def sound(seconds: float) -> np.ndarray:
    """The shipped sample, repeated to the requested length: [samples] at 16 kHz."""
    return np.resize(read_sound(SAMPLE).samples, round(seconds * RATE)).astype(np.float32)


def largest_portion(frames: int) -> int:
    """Takes of `frames` frames that two threads sample together at most, of a request for TAKES."""
    return max(map(len, portions(list(range(TAKES)), frames, "cpu", 2)))


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def processor_seconds_of(action: Callable[[], object]) -> float:
    """Seconds of the processor that a call takes in this thread."""
    began = time.thread_time()
    action()
    return time.thread_time() - began


def matmul_gflops(sizes: tuple[int, ...], runs: int, kind: torch.dtype = torch.float32) -> float:
    """GFLOP/s of a matmul of numbers of a kind, by the processor's time of one thread: the best of several sizes and runs."""
    best = 0.0
    for size in sizes:
        a, b = torch.randn(size, size, dtype=kind), torch.randn(size, size, dtype=kind)
        best = max(best, *(2e-9 * size**3 / processor_seconds_of(lambda: a @ b) for _ in range(runs)))
    return best


def processor_name() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


class Bench:
    """Shared state of the sections: settings, an engine that is loaded once, the machine's matmul peak."""

    def __init__(self, args: Namespace):
        self.args, self.quick = args, args.quick
        self.threads = torch.get_num_threads()
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """Today's engine on the processor."""
        if self._engine is None:
            self._engine = Engine.load(device="cpu")
        return self._engine

    def machine(self) -> Figures:
        """Description of the machine, and the GFLOP/s of a matmul in single precision: the best of several sizes."""
        best = 0.0
        for size in (512, 1024) if self.quick else (512, 1024, 2048):
            a, b = torch.randn(size, size), torch.randn(size, size)
            a @ b
            best = max(best, *(2e-9 * size**3 / seconds_of(lambda: a @ b) for _ in range(5)))
        return {
            "machine": f"{processor_name()}, {self.threads} threads, torch {torch.__version__}",
            "matmul_gflops": best,
        }

    @torch.inference_mode()
    def sampler(self) -> Figures:
        """Normal quality against 1000 ancestral steps: batch, length, network shape and type are the same, and they take turns."""
        denoiser, steps = self.engine.thunder.way(NORMAL, True)
        whole = self.engine.thunder.denoiser
        takes, frames = (2, 50) if self.quick else (TAKES, round(5 * FPS))
        audio, noise = Normal(0).draw(frames, whole.config.audio), seeded_noise(range(takes), frames, whole.config.motion)
        ours, theirs, every = [], [], STEPS // (5 if self.quick else 20)
        began = [0.0]

        def run_ours() -> None:
            ours.append(seconds_of(lambda: sample(speed_quality.estimates(denoiser, audio, takes), noise, steps)))

        def take_turns(fraction: float, _: str = "") -> None:
            if (done := round(fraction * STEPS)) % every == 0:
                if done:
                    theirs.append(time.perf_counter() - began[0])
                run_ours()
                began[0] = time.perf_counter()

        ancestral_sample(speed_quality.estimates(whole, audio, takes), noise, Normal(0), take_turns)
        theirs.append(time.perf_counter() - began[0])
        figures: Figures = {
            "sampler_speedup_vs_ddpm1000": sum(theirs) / statistics.median(ours),
            "sampler_weights": "distilled" if denoiser is not whole else "those of the whole model",
            "sampler_steps": len(steps.times), "sampler_batch": f"{takes} takes of {frames} frames",
            "sampler_seconds": statistics.median(ours), "ddpm1000_seconds": sum(theirs),
        }  # fmt: skip
        return figures | self._quality(denoiser, steps)

    def _quality(self, denoiser, steps) -> Figures:
        """LVE and S-DIV over those of 1000 steps, on the clips whose 1000-step samples are in the cache."""
        cache, weights = self.args.cache, self.engine.folder / "denoiser.safetensors"
        if not (cache / "motions" / "rows.json").exists():
            return {"left_out": f"LVE and S-DIV: there is no training cache at {cache.name}/ (--cache)"}
        clips = speed_quality.held_out_clips(cache, speed_quality.CLIPS)
        made = [(clip, speed_quality.reference_file(cache, weights, clip, speed_quality.SAMPLES)) for clip in clips]
        made = [(clip, np.load(path)) for clip, path in made if path.exists()]
        if not made:
            return {"left_out": "LVE and S-DIV: no 1000-step samples are in the cache (python -m research speed_quality)"}
        pairs, plain, names = [], [], self.engine.thunder.channel_names
        for clip, reference in made:
            noise = seeded_noise(range(len(reference)), speed_quality.FRAMES, denoiser.config.motion)
            x = sample(speed_quality.estimates(denoiser, clip.audio, len(reference)), noise, steps)
            drawn = denoiser.restore(x)
            pairs.append((clip.truth, speed_quality.with_carried_brows(drawn, names), reference))
            plain.append((clip.truth, drawn, reference))
        quality = speed_quality.Quality()
        ratios, before = quality.ratios(pairs), quality.ratios(plain)
        names = {"LVE": "lve_ratio", "S-DIV-L": "sdiv_lip_ratio", "S-DIV-U": "sdiv_upper_ratio"}
        figures: Figures = {names[m]: ratio for m, (ratio, _) in ratios.items()}
        errors = {f"{names[m]}_error": error for m, (_, error) in ratios.items()}
        figures["sdiv_upper_ratio_of_the_sampler_alone"] = before["S-DIV-U"][0]
        return figures | errors | {"quality_clips": len(made), "quality_samples": len(made[0][1])}

    def takes(self) -> Figures:
        """Encoder, sampling and scoring of takes, today's engine and the one in torch in turn, each in a separate process, in float32."""
        return self._against_torch("")

    def busy(self) -> Figures:
        """The same while other programs keep every processor busy."""
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
        try:
            return self._against_torch("_busy")
        finally:
            for other in others:
                other.kill()
                other.wait()

    def _against_torch(self, name: str) -> Figures:
        """Seconds of TAKES takes and of one, and their ratios to the engine in torch; `name` ends the figures' names."""
        answers = self._turns({TAKES: 1, 1: 1} if self.quick else {TAKES: 15, 1: 31})
        if not answers:
            return {"left_out": f"takes{name}: this is no clone of the repository that has commit {TORCH}"}
        result: Figures = {}
        for takes, of in ((TAKES, f"takes8{name}"), (1, f"one_take{name}")):
            result |= {
                f"{of}_seconds": statistics.median(now["again"] for now, _ in answers[takes]),
                f"{of}_seconds_{TORCH}": statistics.median(then["again"] for _, then in answers[takes]),
                f"{of}_over_torch": statistics.median(now["again"] / then["again"] for now, then in answers[takes]),
                f"{of}_processor_over_torch": statistics.median(now["processor"] / then["processor"] for now, then in answers[takes]),
            }
        return result

    def network(self) -> Figures:
        """The denoiser by one thread, as every portion of takes is sampled: of a matmul's peak by one thread."""
        torch.set_num_threads(1)
        try:
            return self._fraction()
        finally:
            torch.set_num_threads(self.threads)

    def _denoiser(self) -> Denoiser:
        """The network of normal quality, as the engine calls it."""
        return self.engine.thunder.distilled or self.engine.thunder.denoiser

    def _fraction(self) -> Figures:
        """What the denoiser reaches by one thread, beside matmuls of torch.

        Of the largest portion of a request for TAKES takes, and of one take. Network and matmuls take turns, and the fraction is the median
        of all turns: other programs affect both sides of a turn equally.
        """
        denoiser, frames = self._denoiser(), round(SECONDS * FPS)
        flop, best, result = self._flop_of_a_frame(frames), 0.0, {}
        for takes, of in ((largest_portion(frames), ""), (1, "_one_take")):
            call, peaks, rates = self._evaluation(denoiser, takes, frames), [], []
            for _ in range(2 if self.quick else 12):
                peaks.append(matmul_gflops((512, 1024), 2, torch.float32))
                rates.append([1e-9 * flop * takes * frames / processor_seconds_of(call) for _ in range(5)])
            typical, best = [statistics.median(each) for each in rates], max(best, *peaks)
            result |= {
                f"denoiser_gflops{of}": statistics.median(typical), f"denoiser_gflops_best{of}": max(map(max, rates)),
                f"matmul_fraction{of}": statistics.median(rate / peak for rate, peak in zip(typical, peaks)),
            }  # fmt: skip
        return result | {"matmul_gflops_one_thread": best, "portion_takes": largest_portion(frames)}

    @staticmethod
    def _evaluation(denoiser: Denoiser, takes: int, frames: int) -> Callable[[], np.ndarray]:
        """A call of the network for takes of a sound, each in a direction of its own."""
        config, normal = denoiser.config, Normal(0)
        x, audio = normal.draw(takes, frames, config.motion), normal.draw(frames, config.audio)
        style = normal.draw(takes, 1, config.style) if config.style else None
        return lambda: denoiser.estimate(x, 500, audio, style=style)

    def _turns(self, runs: dict[int, int]) -> dict[int, list[tuple[dict, dict]]]:
        """{takes: [(today's answer, that of the engine in torch)]} of research/takes_of_tree.py, of each number of takes as often as `runs`
        says.

        Empty where TORCH is not here.
        """
        with tempfile.TemporaryDirectory() as folder:
            older, samples = Path(folder, TORCH), Path(folder, "sound.npy")
            older.mkdir()
            try:
                packed = subprocess.run(["git", "archive", TORCH], cwd=ROOT, capture_output=True, check=True).stdout
            except (OSError, subprocess.CalledProcessError):
                return {}
            subprocess.run(["tar", "-x", "-C", older], input=packed, check=True)
            np.save(samples, sound(3.0 if self.quick else SECONDS))
            command = [sys.executable, str(ROOT / "research" / "takes_of_tree.py")]
            sides = [
                subprocess.Popen(
                    [*command, str(tree), str(samples), str(self.threads)],
                    cwd=tree,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env=os.environ | {"PYTHONPATH": "", "THUNDER_PRECISION": "float32"},  # which only the older reads
                )  # fmt: skip
                for tree in (ROOT, older)
            ]
            answers: dict[int, list[tuple[dict, dict]]] = {count: [] for count in runs}
            try:
                for run in range(max(runs.values())):
                    for count in (count for count, often in runs.items() if run < often):
                        asked = json.dumps({"takes": count, "seed": 1 + run})
                        answers[count].append(tuple(self._ask(side, asked) for side in sides))
            finally:
                for side in sides:
                    side.stdin.close()
                    side.wait()
        return answers

    @staticmethod
    def _ask(side: subprocess.Popen, asked: str) -> dict:
        """The answer of research/takes_of_tree.py. Raises SystemExit if it ended."""
        side.stdin.write(asked + "\n")
        side.stdin.flush()
        line = side.stdout.readline()
        if not line:
            raise SystemExit("research/takes_of_tree.py ended: see what it wrote above")
        return json.loads(line)

    def _flop_of_a_frame(self, frames: int) -> float:
        """Floating-point operations of matmuls and attention that the denoiser needs for one frame of a line of `frames` in one step."""
        from torch.utils.flop_counter import FlopCounterMode

        denoiser = networks.Denoiser.load(self.engine.folder, self._denoiser().network.path.name)
        config = denoiser.config

        def attention(query, key, value, *rest, **more) -> int:  # of these shapes: the counter does not know the processor's own
            return 4 * math.prod(query) * key[-2]

        known_too = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: attention}
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=known_too) as counter:
            denoiser(torch.randn(TAKES, frames, config.motion), torch.tensor([500]), torch.randn(1, frames, config.audio))
        return counter.get_total_flops() / (TAKES * frames)

    def start(self) -> Figures:
        """Medians of the time until a new engine process is ready, until one has sent the first of TAKES takes, and of its most memory."""
        import soundfile

        ready, first, most = [], [], []
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "line.wav")
            soundfile.write(path, sound(SECONDS), RATE)
            for _ in range(1 if self.quick else 5):
                with Client(sys.executable) as client:
                    ready.append(seconds_of(lambda: client.request("hello").wait()))
                with Client(sys.executable) as client:
                    arrived: list[float] = []
                    direction = client.put_array(Direction().vector()[None])
                    began = time.perf_counter()

                    def note(event: dict, began: float = began, arrived: list[float] = arrived) -> None:
                        if event["event"] == "take":
                            arrived.append(time.perf_counter() - began)

                    client.request("generate", sound=path, takes=TAKES, seed=1, direction=direction).wait(note)
                    first.append(arrived[0])
                    most.append(memory(client.pid)[1])
        names = "worker_ready_seconds", "first_take_seconds", "engine_memory_gb"
        return dict(zip(names, map(statistics.median, (ready, first, most))))

    def keying(self) -> Figures:
        """Keying takes of a minute in the newest Blender installed, and their size in a saved file."""
        available = blenders()
        if not available:
            return {"left_out": "keying: no Blender is among the environments (make test)"}
        *_, (_, python) = available.items()
        with tempfile.TemporaryDirectory() as folder:
            self._sample_takes(Path(folder), 10.0 if self.quick else 60.0)
            command = [python, "-m", "research.keying_in_blender", folder, "--runs", "1" if self.quick else "5"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"THUNDER_PYTHON": sys.executable})
        if done.returncode:
            raise SystemExit(f"Blender: {done.stdout[-1000:]}{done.stderr[-1000:]}")
        seen = json.loads([line for line in done.stdout.splitlines() if line.startswith('{"seconds"')][-1])
        return {
            "keying_seconds": seen["seconds"], "keying_processor_seconds": seen["processor_seconds"], "keying_keys": seen["keys"],
            "blend_mb_per_take_minute": seen["mb_per_take_minute"], "keying_blender": seen["blender"],
        }  # fmt: skip

    def _sample_takes(self, folder: Path, seconds: float) -> None:
        """Takes as NPZ files for research/keying_in_blender.py."""
        names = np.array(self.engine.head.expression_names)
        for number, take in enumerate(self.engine.generate(Speech(sound(seconds)), Request(TAKES, 1, direction=usual(0.5)))):
            m = take.motion
            np.savez(folder / f"{number}.npz", expression=m.expression, jaw=m.jaw, head=m.head, eyes=m.eyes, opening=take.opening,
                     width=take.width, channels=names)  # fmt: skip

    @torch.inference_mode()
    def peers(self) -> Figures:
        """Seconds of work per second of speech, for one take and for 32: our sampler, the paper's, DDIM, and peers' shapes."""
        denoiser, steps = self.engine.thunder.way(NORMAL, True)
        whole, seconds = self.engine.thunder.denoiser, 2.0 if self.quick else 5.0
        frames, table = round(seconds * FPS), {}
        for count in (1, 4) if self.quick else (1, 32):
            audio, noise = Normal(0).draw(frames, whole.config.audio), seeded_noise(range(count), frames, whole.config.motion)
            full = speed_quality.estimates(whole, audio, count)
            # Only some of the 1000 steps are run, since each costs the same.
            some = 5 if self.quick else 20
            actions: dict[str, Callable[[], object]] = {
                "this, normal quality": lambda a=audio, n=noise: sample(speed_quality.estimates(denoiser, a, len(n)), n, steps),
                f"DDPM, {STEPS} steps": lambda f=full, n=noise: [f(n, 500) for _ in range(some)],
                "DDIM, 50 steps": lambda f=full, n=noise: peers.ddim_sample(f, n, 5 if self.quick else 50),
            }
            scale = {f"DDPM, {STEPS} steps": STEPS / some, "DDIM, 50 steps": 10.0 if self.quick else 1.0}
            actions |= {name: (lambda m=model, c=count: m(c, seconds)) for name, model in peers.peers().items()}
            for name, action in actions.items():
                spent = min(seconds_of(action) for _ in range(1 if self.quick or name.startswith("DD") else 3))
                table.setdefault(name, {})[str(count)] = spent * scale.get(name, 1.0) / seconds
        return {"peers_seconds_per_second": table}

    def curves(self) -> Figures:
        """Seconds of a request by number of takes of 10 s, and by length for one take; and the process's memory after each."""
        counts = (1, 2) if self.quick else (1, 2, 4, 8, 16, 32, 64)
        lengths = (5.0, 10.0) if self.quick else (5.0, 30.0, 120.0, 600.0, 3600.0)
        by_takes, by_length = [], []
        with Watched() as watched:
            for count in counts:
                by_takes.append([count, self._request(2.0 if self.quick else SECONDS, count), watched.most_gb])
            for length in lengths:
                by_length.append([length, self._request(length, 1), watched.most_gb])
        return {"seconds_by_takes": by_takes, "seconds_by_length": by_length}

    def _request(self, seconds: float, takes: int, quality: str = NORMAL) -> float:
        """Seconds of one request for takes of a new sound."""
        engine, speech = self.engine, Speech(sound(seconds))
        engine._known.clear()
        return seconds_of(lambda: engine.generate(speech, Request(takes, 1, direction=usual(0.5), quality=quality)))

    def quality(self) -> Figures:
        """Seconds of a request for one take and for TAKES takes, in every quality; the qualities take turns, each after every other."""
        table: dict[str, dict[str, float]] = {name: {} for name in QUALITIES}
        for takes in (1, TAKES):
            spent: dict[str, list[float]] = {name: [] for name in QUALITIES}
            for turn in range(1 if self.quick else 12):
                first = turn % len(QUALITIES)
                order = [*QUALITIES[first:], *QUALITIES[:first]]
                for name in order if turn % 2 else order[::-1]:
                    spent[name].append(self._request(2.0 if self.quick else SECONDS, takes, name))
            for name in QUALITIES:
                table[name][str(takes)] = statistics.median(spent[name])
        return {"seconds_by_quality": table}

    def profile(self) -> Figures:
        """Distribution of the usual request's processor time over its parts, with one thread."""
        engine, speech = self.engine, Speech(sound(2.0 if self.quick else SECONDS))
        thunder = engine.thunder
        parts = {
            "encoder": (thunder, "analyse"), "sampling": (thunder, "perform"), "expectation": (thunder, "expected"),
            "articulation": (thunder, "_motion"), "scoring": (engine.scorer, "grade"),
        }  # fmt: skip
        spent, within = dict.fromkeys(parts, 0.0), [0.0]  # within: seconds in other parts, of each part that has begun

        def timed(name: str, action: Callable) -> Callable:
            def call(*args, **more):
                began = time.thread_time()
                within.append(0.0)
                try:
                    return action(*args, **more)
                finally:
                    took = time.thread_time() - began
                    spent[name] += took - within.pop()
                    within[-1] += took

            return call

        torch.set_num_threads(1)
        engine.generate(speech, Request(1, 1, direction=usual(0.5)))
        before = {name: getattr(owner, attribute) for name, (owner, attribute) in parts.items()}
        for name, (owner, attribute) in parts.items():
            setattr(owner, attribute, timed(name, before[name]))
        try:
            engine._known.clear()
            whole = processor_seconds_of(lambda: engine.generate(speech, Request(TAKES, 1, direction=usual(0.5))))
        finally:
            torch.set_num_threads(self.threads)
            for owner, attribute in parts.values():
                delattr(owner, attribute)
        shares = {name: value / whole for name, value in spent.items()}
        return {"profile_seconds": whole, "profile_shares": shares}

    def hour(self) -> Figures:
        """An hour of dialogue, eight takes, baked in a Blender: minutes, and the most memory that the engine had."""
        from research.long import measure

        available = blenders()
        if not available:
            return {"left_out": "hour: no Blender is among the environments (make test)"}
        *_, (_, python) = available.items()
        seen = measure(str(python), 1.0 if self.quick else 60.0, TAKES, None, 7200.0)
        return {
            "hour_minutes": seen["seconds"] / 60, "peak_rss_1h_gb": seen["most_gb"]["engine"],
            "peak_rss_1h_blender_gb": seen["most_gb"]["blender"], "hour_takes": seen["takes_keyed"],
        }  # fmt: skip


class Watched:
    """Peak resident memory of this process inside the context, sampled ten times a second."""

    def __enter__(self) -> Watched:
        self.most_gb, self._over = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def _look(self) -> None:
        while not self._over.wait(0.1):
            seen = memory(os.getpid())
            self.most_gb = max(self.most_gb, seen[0] if seen else 0.0)

    def __exit__(self, *exc) -> None:
        self._over.set()
        self._thread.join()


SECTIONS = ("machine", "sampler", "takes", "busy", "network", "start", "keying", "peers", "profile", "quality", "curves", "hour")
BARS = {  # (the least or most that is wanted, unit)
    "sampler_speedup_vs_ddpm1000": ("≥ 200", "×"), "lve_ratio": (".98 … 1.02", ""), "sdiv_lip_ratio": (".95 … 1.05", ""),
    "sdiv_upper_ratio": (".95 … 1.05", ""), "takes8_seconds": ("", "s"), "takes8_over_torch": ("≤ 1.3", "×"),
    "one_take_seconds": ("", "s"), "one_take_over_torch": ("≤ 1.15", "×"), "takes8_busy_over_torch": ("≤ 1", "×"),
    "one_take_busy_over_torch": ("≤ 1", "×"), "matmul_fraction": ("≥ .60", ""), "worker_ready_seconds": ("≤ .5", "s"),
    "first_take_seconds": ("≤ 1", "s"), "engine_memory_gb": ("≤ .7", "GB"), "keying_seconds": ("≤ .5", "s"),
    "blend_mb_per_take_minute": ("≤ 1", "MB"), "hour_minutes": ("≤ 20", "min"), "peak_rss_1h_gb": ("≤ 1.5", "GB"),
}  # fmt: skip


def table(figures: Figures) -> list[str]:
    """The figures as lines of text."""
    lines = [str(figures.get("machine", "unknown machine")), _loads(figures)]
    for name, (bar, unit) in BARS.items():
        value = figures.get(name)
        shown = "not measured" if value is None else f"{value:.3g} {unit}".rstrip()
        error = figures.get(f"{name}_error")
        lines.append(f"{name:34s}{shown:>16s}{'' if error is None else f' ± {error:.2g}':10s}{bar:>14s}")
    rest = {
        k: v
        for k, v in figures.items()
        if k not in BARS and not k.endswith("_error") and k not in ("machine", "load_before", "measured_on", "commit", "date")
    }
    for name, value in rest.items():
        if isinstance(value, dict):
            lines += [name] + [f"  {key:42s}{_shown(each)}" for key, each in value.items()]
        elif isinstance(value, list):
            lines += [f"{name} (…, s, GB)"] + ["  " + "  ".join(f"{x:10.4g}" for x in row) for row in value]
        else:
            lines.append(f"{name:34s}{_shown(value)}")
    return lines


def _loads(figures: Figures) -> str:
    """Load by other programs before each section: on a busy machine seconds are too long, while ratios are roughly valid."""
    loads, where = figures.get("load_before") or {}, figures.get("measured_on") or {}
    elsewhere = {name: f" (on {kind})" for name, kind in where.items() if not str(figures.get("machine", kind)).startswith(kind)}
    each = (f"{name} {load}{elsewhere.get(name, '')}" for name, load in loads.items())
    return "Load before each section was measured: " + (", ".join(each) or "unknown")


def _shown(value) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{name} takes {each:.3g}" for name, each in value.items())
    return f"{value:>16.4g}" if isinstance(value, (int, float)) else f"  {value}"


LABELS = {
    "sampler_speedup_vs_ddpm1000": "sampling, against 1000 ancestral steps", "lve_ratio": "LVE, over that of 1000 steps",
    "sdiv_lip_ratio": "S-DIV-L, over that of 1000 steps", "sdiv_upper_ratio": "S-DIV-U, over that of 1000 steps",
    "takes8_seconds": "eight takes of 10 s", "takes8_over_torch": "the same, over the engine in torch",
    "one_take_seconds": "one take of 10 s", "one_take_over_torch": "the same, over the engine in torch",
    "takes8_busy_over_torch": "eight takes over torch's, while every processor is busy",
    "one_take_busy_over_torch": "one take over torch's, while every processor is busy",
    "matmul_fraction": "denoiser, of a matmul's peak by one thread, float32",
    "worker_ready_seconds": "engine ready, from cold", "first_take_seconds": "first of eight takes after the click, from cold",
    "engine_memory_gb": "engine's most memory for eight takes of 10 s", "keying_seconds": "keying eight takes of a minute",
    "blend_mb_per_take_minute": "compressed file, per minute of a take", "hour_minutes": "an hour of dialogue, eight takes",
    "peak_rss_1h_gb": "engine's most memory in that hour",
}  # fmt: skip


def page(figures: Figures) -> list[str]:
    """The figures as tables in Markdown."""
    lines = [f"{figures.get('machine', 'Unknown machine')}.", "", "| | measured | wanted |", "|---|---|---|"]
    for name, (bar, unit) in BARS.items():
        value, error = figures.get(name), figures.get(f"{name}_error")
        if value is None:
            continue
        shown = f"{value:.3g}" + (f" ± {error:.1g}" if error is not None else "") + f" {unit}"
        wanted = f"{bar} {unit}".strip() if bar else ""
        lines.append(f"| {LABELS[name]} | {shown.strip()} | {wanted}{'' if meets(value, bar) else ': missed'} |")
    if figures.get("peers_seconds_per_second"):
        table = figures["peers_seconds_per_second"]
        counts = list(next(iter(table.values())))
        heads = [f"{count} take{'s' if count != '1' else ''}" for count in counts]
        lines += ["", f"| seconds of work per second of speech | {' | '.join(heads)} |", "|---" * (1 + len(counts)) + "|"]
        lines += [f"| {name} | {' | '.join(f'{row[count]:.3g}' for count in counts)} |" for name, row in table.items()]
    if figures.get("seconds_by_quality"):
        lines += ["", f"| seconds for 10 s of speech, by quality | 1 take | {TAKES} takes |", "|---|---|---|"]
        lines += [
            f"| {name} | {' | '.join(f'{each:.3g}' for each in row.values())} |" for name, row in figures["seconds_by_quality"].items()
        ]
    if figures.get("seconds_by_takes"):
        lines += ["", f"![Seconds of work against takes, and against length]({PICTURE.relative_to(PAGE.parent).as_posix()})"]
    return lines


def meets(value: float, bar: str) -> bool:
    """Whether a figure is as wanted: "≥ 4", "≤ 20", ".95 … 1.05"; "" is always met."""
    if not bar:
        return True
    if "…" in bar:
        low, high = map(float, bar.split("…"))
        return low <= value <= high
    limit = float(bar[1:])
    return value >= limit if bar[0] == "≥" else value <= limit


def write_page(path: Path, lines: list[str]) -> None:
    """Put lines between the marks of a page."""
    text = path.read_text(encoding="utf-8")
    (before, _, rest), (start, end) = text.partition(MARKS[0]), MARKS
    path.write_text("\n".join([before + start, *lines, end]) + rest.partition(end)[2], encoding="utf-8")


def plot(figures: Figures, path: Path) -> None:
    """Cost against takes and against length."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axis, name, label in (
        (axes[0], "seconds_by_takes", "takes of 10 s"),
        (axes[1], "seconds_by_length", "seconds of speech, one take"),
    ):
        x, y, _ = np.array(figures[name]).T
        axis.loglog(x, y, "o-", label="measured")
        axis.loglog(x, y[-1] * x / x[-1], "--", color="0.7", label="in proportion")
        axis.set(xlabel=label, ylabel="seconds of work")
        axis.legend()
    figure.savefig(path, dpi=90)


def add_arguments(parser: ArgumentParser) -> None:
    """Add this bench's options."""
    add_shared(parser, "cache", results=RESULTS / "speed.json")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, help="these sections alone")
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it runs; nothing is written")
    parser.add_argument("--threads", type=int, default=os.cpu_count())


def run(args: Namespace) -> None:
    """Measure; print and write the table, the figures and the plot."""
    torch.set_num_threads(args.threads)
    bench = Bench(args)
    figures: Figures = json.loads(args.results.read_text()) if args.results.exists() and not args.quick else {}
    left_out = []
    for section in args.only or [name for name in SECTIONS if name != "hour"]:
        print(f"{section} …", file=sys.stderr, flush=True)
        busy = figures.setdefault("load_before", {})
        busy[section] = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
        figures.setdefault("measured_on", {})[section] = processor_name()
        figures.setdefault("measured_at", {})[section] = "{commit}, {date}".format_map(origin())
        measured = getattr(bench, section)()
        if "left_out" in measured:
            left_out.append(measured.pop("left_out"))
        figures |= measured
    lines = table(figures) + [f"left out: {each}" for each in left_out]
    print("\n".join(lines))
    if args.quick:
        return
    keep_json(args.results, figures)
    keep(args.results.with_suffix(".txt"), lines)
    if args.results == RESULTS / "speed.json":
        if "seconds_by_takes" in figures:
            plot(figures, ROOT / PICTURE)
        write_page(ROOT / PAGE, page(figures))
