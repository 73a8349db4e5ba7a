# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of the process boundary; in arrays, without torch: what needs it is in
`networks`, loaded on use."""
