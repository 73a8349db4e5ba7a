# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels: they only draw, and read state without changing it."""


def modules() -> tuple:
    """The modules with panels, in the order in which the sidebar shows them."""
    from . import (
        character,
        dialogue,
        direction,
        listen,
        manual,
        preferences,
        shown_take,
        sidebar,
        tab,
        takes,
    )

    return (
        tab,
        preferences,
        sidebar,
        direction,
        dialogue,
        takes,
        shown_take,
        listen,
        character,
        manual,
    )
