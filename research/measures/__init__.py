# SPDX-License-Identifier: GPL-3.0-or-later
"""The measures of the paper and of people's habits."""
