#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# window.sh SECONDS BLENDER ARGS…: runs Blender in a window on a screen of its own, for at most so many seconds.
set -u
limit=$1
shift
scratch=$(mktemp -d)
screen=
# The screen is waited for when it goes: while it ends it removes its socket's file, which may by then be another's.
put_away() { [ -n "$screen" ] && kill "$screen" 2>/dev/null && wait "$screen" 2>/dev/null; screen=; }
trap 'put_away; rm -rf "$scratch"' EXIT

# True once a new screen has told its number and let a picture of itself be taken.
open_screen() {
  : >"$scratch/display"
  Xvfb -displayfd 3 -screen 0 "${SCREEN_SIZE:-1400x900}x24" -nolisten tcp -fbdir "$scratch" 3>"$scratch/display" 2>>"$scratch/said" &
  screen=$!
  for _ in $(seq 600); do
    [ -s "$scratch/display" ] && break
    kill -0 "$screen" 2>/dev/null || return 1
    sleep 0.05
  done
  DISPLAY=:$(cat "$scratch/display")
  export DISPLAY LIBGL_ALWAYS_SOFTWARE=1 SCREEN_FILE=$scratch/Xvfb_screen0
  timeout 30 import -window root "miff:$scratch/seen" 2>>"$scratch/said"
}

for attempt in 1 2 3; do
  open_screen && break
  put_away
  echo "window.sh: screen $attempt did not open:"
  cat "$scratch/said"
done
[ -n "$screen" ] || exit 3
timeout --kill-after=5 "$limit" "$@"
