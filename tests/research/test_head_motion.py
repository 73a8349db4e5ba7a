# SPDX-License-Identifier: GPL-3.0-or-later
"""The second data set differs from the first in heads alone."""

import numpy as np
import pytest
from made_motions import made_motions

from research.__main__ import main
from research.faces.head_motion import HeadStatistics, with_heads
from thunder_core.face.head import load_head
from thunder_core.train.motions import MotionSet
from thunder_core.types import Columns


@pytest.fixture(scope="module")
def people() -> HeadStatistics:
    return HeadStatistics.load()


def test_the_second_data_set_has_other_heads_and_all_else_as_it_was(tmp_path, people, capsys):
    head = load_head()
    made = made_motions(tmp_path / "cache", head)
    before = np.array(made.motions)
    words = ["--cache", str(tmp_path / "cache"), "--runs", str(tmp_path), "--threads", "1", "heads"]
    main(["train", *words, "--to", str(tmp_path / "second")])
    assert "7 performances with heads of their own" in capsys.readouterr().out
    second = MotionSet(made.corpus, tmp_path / "second" / "motions")
    columns = Columns(head.channels)
    others = np.ones(columns.count, bool)
    others[columns.head] = False
    assert np.array_equal(made.motions, before) and np.array_equal(
        second.motions[..., others], before[..., others]
    )
    turned = second.motions[..., columns.head].astype(float)
    assert np.array_equal(second.features, made.features) and second.rows == made.rows
    frames = second.rows[0].frames
    # every performance has its own
    assert all(np.abs(turned[0, :frames] - turned[v, :frames]).max() > 1e-3 for v in (1, 2))
    main(["train", *words, "--to", str(tmp_path / "second")])
    assert np.array_equal(
        MotionSet(made.corpus, tmp_path / "second" / "motions").motions[..., columns.head], turned
    )
    with pytest.raises(SystemExit, match="another folder"):
        with_heads(
            made,
            tmp_path / "cache" / "motions",
            tmp_path / "cache" / "motions",
            columns.head,
            people,
        )
