#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# window.sh SECONDS BLENDER ARGS…: runs Blender in a window on a screen of its own, for at most so many seconds.
set -u
limit=$1
shift
scratch=$(mktemp -d)
Xvfb -displayfd 3 -screen 0 1400x900x24 -nolisten tcp 3>"$scratch/display" 2>/dev/null &
screen=$!
trap 'kill $screen 2>/dev/null; rm -rf "$scratch"' EXIT
for _ in $(seq 200); do
  [ -s "$scratch/display" ] && break
  sleep 0.05
done
DISPLAY=:$(cat "$scratch/display")
export DISPLAY LIBGL_ALWAYS_SOFTWARE=1
timeout --kill-after=5 "$limit" "$@"
