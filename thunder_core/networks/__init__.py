# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks in torch: what training trains and graphics cards compute. The engine reads their
graphs instead, where it can."""
