# SPDX-License-Identifier: GPL-3.0-or-later
"""The sculptor of the bundled head: code that makes weights/head.npz, and is not part of the extension."""
