# SPDX-License-Identifier: GPL-3.0-or-later
"""Of which scenes the takes of several jobs are collected, and when again."""

import json

from thunder_core.batch import manifest
from thunder_core.batch.job_file import Job
from thunder_core.files import Transaction


def job(name, blend, strip="A", outputs=("blend", "npz")):
    return Job(name, {"blend": blend, "outputs": list(outputs)} | ({"strip": strip} if strip else {"audio": "a.wav"}))


def test_scenes_with_strips_of_several_jobs_are_collected_those_of_one_job_are_not():
    jobs = [job("a", "/x/s.blend"), job("b", "/y/s.blend"), job("c", "/x/s.blend"), job("d", "/z/t.blend"), job("e", "/y/s.blend", "B")]
    jobs += [job("f", "/z/t.blend", None), job("g", "/z/t.blend", outputs=["npz"])]
    assert [(scene.name, [each.name for each in scene.jobs]) for scene in manifest.shared_scenes(jobs)] == [
        ("s_takes", ["a", "c"]), ("s_takes 2", ["b", "e"]),
    ]  # fmt: skip


def test_a_collected_scene_is_made_again_when_a_job_has_other_files_or_it_is_gone(tmp_path):
    jobs = [job("a", "/x/s.blend"), job("b", "/x/s.blend", "B")]
    (scene,) = manifest.shared_scenes(jobs)

    def baked(name, content):
        with Transaction(str(tmp_path / name)) as out:
            out.write("s.blend", content)

    baked("a", "1")
    assert list(manifest.sources_of_scene(str(tmp_path), jobs)) == ["a"]
    baked("b", "2")
    made_from = manifest.sources_of_scene(str(tmp_path), jobs)
    assert not manifest.is_scene_up_to_date(str(tmp_path), scene, made_from)
    (tmp_path / "s_takes.blend").write_bytes(b"whole")
    for damaged in ("", "[]", "{"):
        (tmp_path / "s_takes.json").write_text(damaged)
        assert not manifest.is_scene_up_to_date(str(tmp_path), scene, made_from)
    (tmp_path / "s_takes.json").write_text(json.dumps({"made_from": made_from}))
    assert manifest.is_scene_up_to_date(str(tmp_path), scene, made_from)
    baked("b", "3")
    assert not manifest.is_scene_up_to_date(str(tmp_path), scene, manifest.sources_of_scene(str(tmp_path), jobs))
    (tmp_path / "s_takes.blend").unlink()
    assert not manifest.is_scene_up_to_date(str(tmp_path), scene, made_from)
