# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tests share: the times they measured are told at the end."""

import timing


def pytest_terminal_summary(terminalreporter):
    if timing.measured:
        terminalreporter.section("measured times")
        for line in timing.measured:
            terminalreporter.write_line(line)
