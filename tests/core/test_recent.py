# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache that is full forgets what was added first, and nothing else."""

from collections import OrderedDict

import pytest
from hypothesis import given, strategies

from thunder_core.recent import Recent


def test_the_oldest_goes():
    cache = Recent(2)
    cache["a"], cache["b"] = 1, 2
    assert cache["a"] == 1  # reading does not make it newer
    cache["c"] = 3
    assert cache == {"b": 2, "c": 3}
    with pytest.raises(KeyError):
        cache["a"]


@given(strategies.lists(strategies.integers(0, 6)), strategies.integers(1, 4))
def test_it_holds_the_last_keys_that_were_added(keys, most):
    cache, expected = Recent(most), OrderedDict()
    for count, key in enumerate(keys):
        cache[key] = count
        if key not in expected and len(expected) == most:
            expected.popitem(last=False)
        expected[key] = count
    assert cache == expected
