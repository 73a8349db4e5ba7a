# SPDX-License-Identifier: GPL-3.0-or-later
import sys, time, faulthandler
import bpy
from scenarios import scene_with_voice_and_head, only_open, ROOT
from shape_scenarios import button, done
from thunder.scene.engine import connection
from thunder.scene.host.session import session
sys.path.append(str(ROOT / "tests" / "blender"))
from played_engine import PlayedClient


class Paced(PlayedClient):
    def request(self, verb, **args):
        asked = super().request(verb, **args)
        poll, last = asked.poll, [0.0]
        def paced():
            if time.monotonic() - last[0] < 0.1: return []
            last[0] = time.monotonic()
            return poll()
        asked.poll = paced
        return asked
    running = True
    pid = 0
    def close(self, *a): pass



def look(hand, what):
    scene = hand.window.scene
    print(what, flush=True)
    print("   ", [o.location.x for o in bpy.data.objects], scene.frame_end, [(e.seed, e.head and e.head.name, e.action and e.action.name) for e in scene.thunder.takes], flush=True)
    for o in bpy.data.objects:
        print("   ", o.name, o.animation_data and o.animation_data.action, flush=True)
    for h in scene.thunder.heads: print("   ", h.shown, h.before, [x.action for x in h.own], flush=True)

def probe(hand):
    faulthandler.enable()
    only_open("takes", "direction")
    yield from scene_with_voice_and_head(hand)
    scene = hand.window.scene
    client = Paced(hand.folder)
    connection.client = lambda: client
    scene.thunder.count = 12
    with hand.context():
        bpy.ops.mesh.primitive_cube_add("EXEC_DEFAULT", True)
    yield 0.3
    def move(): bpy.ops.transform.translate("EXEC_DEFAULT", True, value=(1, 0, 0))
    def prop():
        hand.window.scene.frame_end += 10
        bpy.ops.ed.undo_push(message="frame end")
    def select(): bpy.ops.object.select_all("EXEC_DEFAULT", True, action="INVERT")
    def star(): bpy.ops.thunder.star_take("EXEC_DEFAULT", True)
    def show(): bpy.ops.thunder.select_take("EXEC_DEFAULT", True, index=1)
    def own(): bpy.ops.thunder.select_take("EXEC_DEFAULT", True, index=-1)
    def headkey():
        from thunder.scene.heads import head
        head.find(hand.window.scene).owner.location.x += 1
        bpy.ops.ed.undo_push(message="head")
    import os
    for before in (0, 3):
        for step in (move, prop, select, star, show, own, headkey):
            print("=====", before, step.__name__, flush=True)
            if not before:
                if step in (star, show, own): continue
                with hand.context(): step()
            yield 0.3
            with hand.context():
                print(button(bpy.ops.thunder.generate))
            n0 = len(hand.window.scene.thunder.takes)
            while len(hand.window.scene.thunder.takes) < n0 + 3: yield 0.05
            if before:
                with hand.context(): step()
                while len(hand.window.scene.thunder.takes) < n0 + 5: yield 0.05
            print("press", flush=True)
            hand.press("Z", ctrl=True)
            yield 0.3
            look(hand, "after")
            hand.press("Z", ctrl=True, shift=True)
            yield 0.3
            look(hand, "redo")
            hand.press("ESC")
            yield from done()
            print("done", [(e.seed) for e in hand.window.scene.thunder.takes], flush=True)


def whole(hand):
    p = bpy.context.preferences
    kept = []
    def pre(*_):
        kept[:] = [p.view.show_developer_ui, p.experimental.use_undo_legacy, p.is_dirty]
        p.view.show_developer_ui = p.experimental.use_undo_legacy = True
    def post(*_):
        p.view.show_developer_ui, p.experimental.use_undo_legacy, p.is_dirty = kept
    H = bpy.app.handlers
    H.undo_pre.insert(0, pre); H.redo_pre.insert(0, pre); H.undo_post.insert(0, post); H.redo_post.insert(0, post)
    yield from probe(hand)
