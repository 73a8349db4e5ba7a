# SPDX-License-Identifier: GPL-3.0-or-later
"""Close-ups of a mouth show what it does, and say at which phone."""

import numpy as np
import pytest
from PIL import Image

from research.__main__ import main
from research.harness import discard_old_takes
from research.mouths import CloseUps
from thunder_core.face.head import load_head


def where_red(pictures: np.ndarray) -> np.ndarray:
    """Which pixels [T, height, width] are as red as lips."""
    red, green, _ = pictures.astype(float).transpose(3, 0, 1, 2)
    return (red - green > 55) & (red < 215)


def test_close_ups_show_an_open_mouth_and_the_red_that_a_rolled_lip_loses():
    head = load_head()
    x, jaw = np.zeros((3, head.channels)), np.zeros((3, 3))
    x[1, head.channel("mouthRollLower")], jaw[2, 0] = 1.0, 0.2
    red = where_red(CloseUps(head)(x, jaw))
    shut, rolled, _ = red.sum((1, 2))
    assert 0.3 * shut < rolled < 0.75 * shut
    tall = [np.ptp(np.flatnonzero(each.any(1))) for each in red[:, :, 90:110]]
    assert tall[2] > tall[0] + 20


def test_a_sheet_has_the_frames_around_the_phones_that_are_wanted(tmp_path, capsys):
    lips, head = tmp_path / "lips", load_head()
    lips.mkdir()
    (lips / "voice.wav").touch()
    rows = ["clip\tsource\tphone\tstart_s\tend_s\tword", "voice\tasr\tF\t0.4\t0.48\tof"]
    (lips / "phones.tsv").write_text("\n".join(rows))
    discard_old_takes(tmp_path)
    np.savez(
        tmp_path / "voice.npz", expression=np.zeros((40, head.channels)), jaw=np.zeros((40, 3))
    )
    out = tmp_path / "sheet.png"
    words = ["--data", str(tmp_path), "--takes", str(tmp_path), "--out", str(out)]
    main(["mouths", "voice", *words, "--phones", "F"])
    assert "8 frames" in capsys.readouterr().out and Image.open(out).height < 200
    main(["mouths", "voice", *words, "--frames", "5:25"])
    assert "20 frames" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no such frames"):
        main(["mouths", "voice", *words, "--phones", "V"])
    with pytest.raises(SystemExit, match="is missing"):
        main(["mouths", "nobody", *words])
