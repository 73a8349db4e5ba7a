# SPDX-License-Identifier: GPL-3.0-or-later
"""Close-ups of a mouth are of the phones that are asked for."""

import numpy as np
import pytest
from PIL import Image

from research.__main__ import main
from research.harness import discard_old_takes
from thunder_core.face.head import load_head


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
