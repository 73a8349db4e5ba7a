# SPDX-License-Identifier: GPL-3.0-or-later
"""The real engine finds where an exported take, cut, belongs in its voice, by its mouth or by the
sound beside it, and scores it."""

import numpy as np
import pytest
from performances import read_wav, write_wav
from running_engine import connection, SAMPLE, scene, speak, stop_engine  # noqa: F401
from thunder.scene.takes import provenance

CUT_SECONDS = 0.6


@pytest.fixture
def cut(blender, scene, tmp_path):
    """A scene with a sampled take of the sample, and its ARKit curves from CUT_SECONDS on: (scene,
    path)."""
    speak(scene)
    scene.thunder.count, path = 1, tmp_path / "Slate_1.csv"
    assert blender.ops.thunder.generate() == {"FINISHED"}
    assert blender.ops.thunder.export_performance(
        filepath=str(path), form="ARKIT", frames="TAKE"
    ) == {"FINISHED"}
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *lines[1 + round(60 * CUT_SECONDS) :]]))
    return scene, str(path)


@pytest.mark.slow
@pytest.mark.parametrize("with_sound", [False, True])
def test_a_capture_is_put_where_it_belongs(blender, cut, tmp_path, with_sound):
    scene, path = cut
    if with_sound:
        samples, rate = read_wav(SAMPLE)
        heard = samples[round(CUT_SECONDS * rate) :]
        write_wav(
            tmp_path / "Slate_1.wav",
            0.5 * heard + 0.01 * np.random.default_rng(0).standard_normal(len(heard)),
            rate,
        )
    assert blender.ops.thunder.import_capture(filepath=path) == {"FINISHED"}
    one, two = (
        next(each for each in scene.thunder.takes if each.kind == kind)
        for kind in ("SAMPLED", "CAPTURED")
    )
    was, now = (provenance.load(each.action).motion.jaw[:, 0] for each in (one, two))
    after = slice(round(25 * CUT_SECONDS) + 2, -3)
    r = [np.corrcoef(was[after], np.roll(now, -shift)[after])[0, 1] for shift in (-2, -1, 0, 1, 2)]
    assert np.argmax(r) in (1, 2, 3) and max(r) > 0.97
    assert two.score > 50  # 8 where lips are three frames off
