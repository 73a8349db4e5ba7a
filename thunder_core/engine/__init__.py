# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of the process boundary; everything here may import torch."""
