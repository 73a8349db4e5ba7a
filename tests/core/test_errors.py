# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as an animator reads them: a sentence with what happened and what to do."""

import pytest

from thunder_core.errors import BadHead, ThunderError


@pytest.mark.parametrize(
    "message, reason",
    [
        (
            "The head “C:\\heads: old\\man.npz” is damaged (line 3: no number): choose another",
            "The head “C:\\heads: old\\man.npz” is damaged (line 3: no number)",
        ),
        ("“Take: 2” was deleted: choose another take", "“Take: 2” was deleted"),
        ("The animator cancelled the work", "The animator cancelled the work"),
    ],
)
def test_the_advice_of_an_error_follows_its_last_colon(message, reason):
    """Names and causes have colons, too."""
    assert BadHead(message).reason == ThunderError(message).reason == reason
