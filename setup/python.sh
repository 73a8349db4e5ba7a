#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs a script of this folder with a Python that a bpy module fits: 3.11 or 3.13, on PATH or under pyenv.
here=$(dirname "$0")
for version in 3.11 3.13; do
  for python in "python$version" python3 python \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version*/bin/python "$HOME"/.pyenv/versions/$version*/bin/python; do
    # A name on PATH may be a shim that leads nowhere, so each candidate says its version itself.
    if [ "$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
      script=$1
      shift
      exec "$python" "$here/$script" "$@"
    fi
  done
done
echo "No Python 3.11 or 3.13 was found on PATH or under pyenv: install one of them (Debian: apt-get install python3.11 python3.11-venv, or: pyenv install 3.11)." >&2
exit 1
