# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of the process boundary; in arrays, without torch: `networks`, loaded on use,
holds what needs it."""
