# SPDX-License-Identifier: GPL-3.0-or-later
"""A live face on avatars as programs show them: bundles that were sent are read by python-osc and
relayed to a page on three-vrm in Chromium, which says where the mouth of a VRM is."""

import functools
import http.server
import threading

import made_vrm
import numpy as np
import osc
import pytest
from browser import browser, needs_browser
from pythonosc.osc_bundle import OscBundle
from timing import until

from research.harness import ROOT
from thunder_core import vmc
from thunder_core.direction import Direction
from thunder_core.engine import live
from thunder_core.face.moving.mouth_shape import MouthShape, OPENING
from thunder_core.types import FPS, Motion, pack, RATE

MODULES = ROOT / ".venv" / "browser" / "node_modules"
PAGE = """<!doctype html><title>Avatar</title>
<script type="importmap">{"imports": {"three": "./node_modules/three/build/three.module.js"}}</script>
<script type="module">
import { GLTFLoader } from "./node_modules/three/examples/jsm/loaders/GLTFLoader.js";
import { VRMLoaderPlugin } from "./node_modules/@pixiv/three-vrm/lib/three-vrm.module.js";
const OLD = {A: "aa", I: "ih", U: "ou", E: "ee", O: "oh", Blink: "blink", Blink_L: "blinkLeft", Blink_R: "blinkRight"};
const loader = new GLTFLoader();
loader.register(parser => new VRMLoaderPlugin(parser));
loader.loadAsync("avatar.vrm").then(({userData: {vrm}}) => {
  let face;
  vrm.scene.traverse(each => { if (each.morphTargetInfluences) face = each; });
  // what its points are moved by, metres, of a frame of the shapes of a bundle
  window.show = shapes => {
    for (const [sent, value] of Object.entries(shapes)) {
      const name = vrm.meta.metaVersion === "0" ? OLD[sent] : sent;
      if (name) vrm.expressionManager.setValue(name, value);
    }
    vrm.update(1 / 60);
    const {count, itemSize} = face.geometry.attributes.position, moved = new Array(count * itemSize).fill(0);
    face.geometry.morphAttributes.position.forEach((target, number) => {
      const rest = face.geometry.morphTargetsRelative ? null : face.geometry.attributes.position.array;
      for (let i = 0; i < moved.length; i++)
        moved[i] += face.morphTargetInfluences[number] * (target.array[i] - (rest ? rest[i] : 0));
    });
    return moved;
  };
}, error => { window.wrong = String(error); });
</script>"""


@pytest.fixture(scope="module")
def spoken(engine, sample):
    """Rows [T, C] that a live face performs, and how far its lips part, millimetres."""
    face = live.LiveFace(engine.thunder, Direction().vector()[None], 5 / FPS, seed=3)
    motions = []
    for at in range(0, 6 * RATE, 4 * live._STEP):
        face.feed(sample.samples[at : at + 4 * live._STEP])
        motions += [made[1]] if (made := face.advance()) else []
    motion = Motion.join(motions)
    opening = MouthShape.of(engine.head).measure(motion.expression, motion.jaw)[:, OPENING]
    return pack(motion), opening


def sent(rows, channels, names=vmc.BOTH):
    """The datagrams of each row as they arrive."""
    with osc.receiver() as (heard, port):
        stream, frames = vmc.Stream(port, names=names), []
        for number, row in enumerate(rows):
            stream.send(row, channels, number / FPS)
            frames.append(osc.receive_frame(heard))
        stream._sent.clear()
        stream.close()
    return frames


def test_another_reader_of_osc_reads_the_same_in_datagrams_that_no_network_splits(engine, spoken):
    channels = engine.thunder.channel_names
    for names, most in ((vmc.ARKIT, 3), (vmc.VRM, 1), (vmc.BOTH, 3)):
        for datagrams in sent(spoken[0][::20], channels, names):
            assert max(map(len, datagrams)) <= 1400 and len(datagrams) <= most
            other = [(each.address, each.params) for d in datagrams for each in OscBundle(d)]
            ours = [each for d in datagrams for each in osc.read_bundle(d)]
            assert other == ours and other[-1] == ("/VMC/Ext/Blend/Apply", [])


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def page(tmp_path):
    """page(VRM 0.x?) → a browser that shows an avatar."""
    if not MODULES.is_dir():
        pytest.skip("no three-vrm here: setup/python.sh environment.py browser")
    (tmp_path / "index.html").write_text(PAGE, "utf-8")
    (tmp_path / "node_modules").symlink_to(MODULES.resolve(), target_is_directory=True)
    handler = functools.partial(_Handler, directory=tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with browser(tmp_path) as opened:

        def show(is_old):
            made_vrm.write(tmp_path / "avatar.vrm", is_old)
            opened.open(f"http://127.0.0.1:{server.server_port}/")
            until(lambda: opened.run("return !!window.show || window.wrong || false"), 30)
            assert not opened.run("return window.wrong || ''"), opened.log()
            return lambda shapes: np.reshape(
                opened.run("return window.show(arguments[0])", shapes), (-1, 3)
            )

        yield show
    server.shutdown()
    server.server_close()


@needs_browser
@pytest.mark.parametrize("is_old", [False, True], ids=["VRM 1.0", "VRM 0.x"])
def test_the_mouth_of_a_vrm_follows_the_face_that_is_sent(engine, spoken, page, is_old):
    rows, opening = spoken
    show, points = page(is_old), list(made_vrm.POINTS)
    gaps, lids = [], []
    for datagrams in sent(rows, engine.thunder.channel_names):
        messages = [(each.address, each.params) for d in datagrams for each in OscBundle(d)]
        moved = 1000 * show(osc.shapes_of(messages))
        gaps.append(moved[points.index("upper"), 1] - moved[points.index("lower"), 1])
        lids.append(-moved[points.index("left lid"), 1])
    assert np.corrcoef(gaps, opening)[0, 1] > 0.95
    blinks = rows[:, engine.thunder.channel_names.index("eyeBlinkLeft")].clip(0, 1)
    assert np.array(lids) == pytest.approx(12 * blinks, abs=0.05), "lids close twice as far"
    assert max(gaps) > 5
