# SPDX-License-Identifier: GPL-3.0-or-later
"""Expressions of drivers are calculated, never run; a control goes as far as fills what it
drives."""

import math

import pytest

from thunder_core.face.reading.drivers import calculate, distance


@pytest.mark.parametrize(
    "expression, value",
    [
        ("floor(v * 10) / 10", 0.2),
        ("exp(v) - 1", math.exp(0.25) - 1),
        ("smoothstep(0, 1, v)", 0.15625),
        ("lerp(2, 4, v)", 2.5),
        ("v if v > 0 and not v > 5 else 7", 0.25),
        ("v > 1 or 0.5", 0.5),
        ("1 if 0 < v <= 0.2 else 3", 3.0),
        ("v % 0.2", 0.05),
        ("atan2(v, 0.25) * 4 / pi", 1.0),
        ("fmod(7, 4) + int(2.6) + round(v)", 5.0),
        ("  v", 0.25),
    ],
)
def test_expressions_of_drivers_are_calculated(expression, value):
    assert calculate(expression, {"v": 0.25}) == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    [
        "[v][0]",
        "__import__('os').getcwd() and v",
        "v.__class__",
        "(lambda: v)()",
        "other(v)",
        "pow(v, 10 ** 9)",
        "v ** 10 ** 10",
        "w",
        "v +",
    ],
)
def test_what_is_no_arithmetic_is_not_calculated(expression):
    with pytest.raises((ValueError, KeyError, TypeError, SyntaxError)):
        calculate(expression, {"v": 1e7})


@pytest.mark.parametrize(
    "rise, far",
    [
        (lambda by: by, 1.0),
        (lambda by: max(-by * 20, 0.0), -0.05),
        (lambda by: min(max(by / 40, 0.0), 1.0), 40.0),
        (lambda by: min(by * by / 2 + by / 2, 1.0), 1.0),  # slow at first
        (lambda by: math.log(1 + by), math.e - 1),  # slower later; negative ones fail
        (lambda by: min(max(by, 0.0), 0.8), 1.0),  # stops below 1: what its beginning tells
        (lambda by: float(by > 0.5), 0.5),
        (lambda by: by % 3, 1.0),  # goes on rather than jumps
        (lambda by: 0.0, 0.0),
    ],
)
def test_a_control_goes_until_what_it_drives_is_full(rise, far):
    assert distance(rise) == pytest.approx(far, rel=0.03, abs=1e-9)
