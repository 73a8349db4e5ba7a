# SPDX-License-Identifier: GPL-3.0-or-later
"""A run bakes what has changed, collects shared scenes again where it must; its report is made from
what lies in the folder."""

import dataclasses
import json
import os
import time
from functools import partial, reduce
from operator import getitem

import pytest

from thunder_core.batch import dailies, manifest
from thunder_core.batch.job_file import BakeJob
from thunder_core.errors import BadRequest
from thunder_core.files import JOURNAL, MANIFEST, Transaction
from thunder_core.shipped import fingerprint_of

MAKER = manifest.Maker("0.1.0", "5.0.1", "f" * 64)


@pytest.fixture
def job(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"voice")
    (tmp_path / "hers.json").write_text("{}")
    return BakeJob(
        "intro",
        {
            "audio": str(tmp_path / "a.wav"),
            "style": str(tmp_path / "hers.json"),
            "takes": 2,
            "guidance": 1.0,
        },
    )


@pytest.fixture
def folder(tmp_path, job):
    """The folder of the job after a bake, whose scene used a texture."""
    (tmp_path / "skin.png").write_bytes(b"skin")
    folder = tmp_path / "out" / job.name
    with Transaction(str(folder)) as out:
        out.write("take_01.npz", b"values")
        out.write("takes.png", b"a picture")
        made = manifest.made_from(
            job.settings, MAKER, {}, [str(tmp_path / "skin.png"), job.settings["audio"], "gone.png"]
        )
        baked = {
            "takes": [
                {
                    "rank": 1,
                    "name": "Take 1",
                    "score": 81.4,
                    "grade": "check",
                    "why": "Lips do not meet on m: 2.4 mm apart",
                    "seed": 3,
                    "words": "warm <b>",
                },
                {"rank": 2, "name": "Take 7", "score": 80.0, "grade": "good", "why": "", "seed": 4},
            ],
            "seconds": {"all": 2.0},
            "sheet": "takes.png",
            "notes": ["ARKit has no name for tongueTipUp: left out"],
        }
        out.write("report.json", json.dumps(baked | {"made_from": made}))
    return folder


@pytest.fixture
def why(job, folder):
    def run(settings=None, maker=MAKER, styles=None):
        return manifest.what_changed(
            BakeJob(job.name, {**job.settings, **(settings or {})}),
            str(folder),
            maker,
            styles or {},
        )

    return run


DAMAGES = {
    "report.json": [
        (["takes", 0, "rank"], "first"),
        (["takes", 0, "rank"], 1e308),
        (["takes", 0, "seed"], None),
        (["takes", 0, "score"], "much"),
        (["takes", 0, "score"], float("nan")),
        (["takes", 0, "video"], "../../video.mp4"),
        (["takes"], [None]),
        (["takes"], {"rank": 1}),
        (["takes"], "takes"),
        (["seconds"], 3),
        (["seconds", "all"], float("inf")),
        (["seconds", "all"], "long"),
        (["warnings"], 7),
        (["notes"], [[]]),
        (["made_from"], []),
        (["made_from", "inputs"], [1]),
        (["made_from", "used"], {"a": 1}),
    ],
    "dailies.json": [
        (["seconds"], 1e308),
        (["seconds"], -1),
        (["seconds"], float("nan")),
        (["seconds"], "2"),
        (["peaks"], "no letters"),
        (["peaks"], [1, 2]),
        (["takes"], [None]),
        (["takes"], 3),
        (["takes", 0, "opening"], "A" * 2**20),
        (["takes", 0, "grade"], {"good": 1}),
        (["takes", 0, "drifts"], [[0, float("inf")]]),
        (["takes", 0, "drifts"], [1]),
    ],
}


@pytest.mark.parametrize(
    "file, change", [(file, change) for file in DAMAGES for change in DAMAGES[file]]
)
def test_a_damaged_report_is_said_on_the_page_and_the_others_are_shown(
    tmp_path, job, folder, why, file, change
):
    shown = {"seconds": 2.0, "peaks": "AAAA", "takes": [{"opening": "AAAA", "width": "AAAA",
             "grade": "good", "reason": "", "drifts": [[0.1, 0.2]]}]}  # fmt: skip
    report = json.loads((folder / "report.json").read_text())
    out, good = tmp_path / "out", BakeJob("good", job.settings)
    for name in ("good", job.name):
        contents = {"report.json": report, "dailies.json": shown}
        with Transaction(str(out / name), force=True) as files:
            for each, content in contents.items():
                if name == job.name and each == file:
                    *way, last = change[0]
                    reduce(getitem, way, content)[last] = change[1]
                files.write(each, json.dumps(content))
    data = manifest.collect_report(
        str(out), [job, good], dict.fromkeys(("intro", "good"), "baked"), MAKER
    )
    manifest.write_report(str(out), data)

    def refuse(word):
        raise ValueError(f"{word} is no JSON")

    page = (out / "batch.html").read_text().partition('id="data">')[2].partition("</script>")[0]
    lines = {line["name"]: line for line in json.loads(page, parse_constant=refuse)["lines"]}
    assert len(lines["good"]["takes"]) == 2 and lines["good"]["seconds"] == 2.0
    if file == "report.json":
        assert (
            lines["intro"]["sentence"]
            == "The report of “intro” is missing or damaged: bake it again"
        )
        assert lines["intro"]["takes"] == [] and why() == REPORT_CHANGED
    else:
        assert lines["intro"]["seconds"] == 0 and len(lines["intro"]["takes"]) == 2


REPORT_CHANGED = "its report was changed or is damaged"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.wav", b"another", "the file of “audio” changed"),
        ("a.wav", None, "“a.wav” cannot be read"),
        ("hers.json", b"another", "the file of “style” changed"),
        ("skin.png", b"another", "“skin.png” changed"),
        *(
            ("FOLDER/report.json", left, REPORT_CHANGED)
            for left in (b"", bytes(500), b'{"made_from": {"us')
        ),
    ],
)
def test_a_file_that_changed_is_missing_or_damaged_is_named(
    why, tmp_path, folder, name, content, words
):
    path = tmp_path / name.replace("FOLDER", str(folder))
    path.unlink() if content is None else path.write_bytes(content)
    assert why() == words


def test_a_changed_setting_is_noticed_and_the_same_sound_at_another_place_is_no_change(
    why, tmp_path
):
    assert why({"takes": 3}) == "“takes” changed" and why({"mood": "warm"}) == "“mood” changed"
    os.rename(tmp_path / "a.wav", tmp_path / "b.wav")
    assert why({"audio": str(tmp_path / "b.wav")}) == ""


@pytest.mark.parametrize(
    "part, words",
    [("weights", "other weights"), ("thunder", "another version"), ("blender", "another Blender")],
)
def test_another_maker_is_noticed(why, part, words):
    assert why(maker=dataclasses.replace(MAKER, **{part: "another"})) == words


def test_a_preset_that_is_named_counts_by_its_content(tmp_path, job, folder):
    named = BakeJob(job.name, {**job.settings, "style": "Whisper"})
    made = manifest.made_from(named.settings, MAKER, {"style": "{}"}, [])
    with Transaction(str(folder)) as out:
        out.write("report.json", json.dumps({"made_from": made}))
    assert manifest.what_changed(named, str(folder), MAKER, {"style": "{}"}) == ""
    assert (
        manifest.what_changed(named, str(folder), MAKER, {"style": "{1}"})
        == "the file of “style” changed"
    )


@pytest.mark.parametrize("name", ["take_01.npz", "report.json", "thunder-files.json"])
@pytest.mark.parametrize("content", [None, b"mine", b"{}"])
def test_a_changed_or_missing_output_is_noticed(why, folder, name, content):
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    assert why() != ""


def test_what_was_baked_is_up_to_date_but_not_when_it_was_killed_while_it_replaced_files(
    why, folder
):
    assert why() == ""
    (folder / JOURNAL).write_text("[]")
    assert why() == "not baked yet"


def test_the_weights_count_by_their_content(tmp_path):
    hashes = []
    for name, content in (("a.safetensors", b"1"), ("README.md", b"2"), ("a.safetensors", b"2")):
        (tmp_path / name).write_bytes(content)
        hashes.append(fingerprint_of(tmp_path))
    assert hashes[0] == hashes[1] != hashes[2] and len(hashes[0]) == 16


def test_a_failure_is_kept_until_the_job_is_baked_and_a_file_of_somebody_else_is_none(tmp_path):
    manifest.note_failure(str(tmp_path / "out"), "intro", "There is no file", "a log")
    assert manifest.failure_of(str(tmp_path / "out"), "intro") == "There is no file"
    manifest.forget_failure(str(tmp_path / "out"), "intro")
    assert manifest.failure_of(str(tmp_path / "out"), "intro") == "" and os.listdir(
        tmp_path / "out"
    ) == [MANIFEST]
    for content in ("[1]", '{"job": "intro", "sentence": "mine"}'):
        (tmp_path / "intro.failed.json").write_text(content)
        manifest.forget_failure(str(tmp_path), "intro")
        with pytest.raises(BadRequest, match="is a file of yours"):
            manifest.note_failure(str(tmp_path), "intro", "ours")
        assert (tmp_path / "intro.failed.json").read_text() == content


def test_failures_of_jobs_that_are_listed_no_longer_go_and_those_of_other_sources_stay(tmp_path):
    out = str(tmp_path)
    for name, source in (
        ("gone", "/a"),
        ("listed", "/a"),
        ("changed", "/a"),
        ("another's", "/b"),
        ("earlier", ""),  # as 0.2.0 wrote it
    ):
        manifest.note_failure(out, name, "There is no file", source=source)
    (tmp_path / "changed.failed.json").write_text(
        json.dumps({"job": "changed", "sentence": "mine", "source": "/a"})
    )
    manifest.forget_unlisted(out, "/a", [BakeJob("listed")])
    assert sorted(path.name for path in tmp_path.glob("*.failed.json")) == [
        "another's.failed.json",
        "changed.failed.json",
        "earlier.failed.json",
        "listed.failed.json",
    ]


def test_the_report_of_other_jobs_is_known_by_its_source_and_an_earlier_one_is_not(tmp_path):
    out = str(tmp_path)
    assert manifest.other_source(out, "/a") == ""
    report = manifest.collect_report(out, [], {}, MAKER, source="/a")
    for content, other in ((report, "/a"), ({**report, "source": ""}, "")):
        manifest.write_report(out, content)
        assert manifest.other_source(out, "/a") == "" and manifest.other_source(out, "/b") == other
    del report["source"]  # as 0.2.0 wrote it
    manifest.write_report(out, report)
    assert manifest.other_source(out, "/b") == ""


def test_the_report_holds_takes_words_pictures_and_failures_and_opens_anywhere(
    tmp_path, job, folder
):
    out = str(tmp_path / "out")
    other = BakeJob("a & b", {"audio": "/none.wav"})
    manifest.note_failure(out, other.name, "There is no file “<none>”")
    data = manifest.collect_report(
        out,
        [job, other],
        {job.name: manifest.BAKED, other.name: manifest.FAILED},
        MAKER,
        {job.name: {"node": "n1"}},
    )
    (tmp_path / "out" / "batch.html").write_text("mine")
    with pytest.raises(BadRequest, match="batch.html” is a file of yours .* --force"):
        manifest.write_report(out, data)
    assert manifest.write_report(out, data, force=True).kept == {"batch.html": "batch.html1"}
    read = json.loads((tmp_path / "out" / "batch.json").read_text())
    assert read["counts"] == {"baked": 1, "up to date": 0, "failed": 1, "not baked": 0}
    assert set(read["jobs"][0]["files"]) == {"take_01.npz", "takes.png", "report.json"}
    assert (
        read["jobs"][0]["made_from"]["inputs"].keys() == {"audio", "style"}
        and read["jobs"][0]["node"] == "n1"
    )


def test_the_page_of_a_run_that_goes_on_says_what_it_does_and_that_of_one_that_ended_is_whole(
    tmp_path, job, folder
):
    out, other = str(tmp_path / "out"), BakeJob("next", {"audio": "/none.wav"})
    data = manifest.collect_report(out, [job, other], {job.name: manifest.BAKED}, MAKER)
    running = {"next": "38%, 6 of <8> sampled"}, "1 of 2 done, 3 h left"
    going, ended = (
        dailies.page(each, {})
        for each in (manifest.while_running(data, *running), data | {"jobs": data["jobs"] * 2})
    )
    told, at_last = (
        json.loads(page.partition('id="data">')[2].partition("</script>")[0])
        for page in (going, ended)
    )
    assert [line["name"] for line in told["lines"]] == ["next", "intro"]
    assert told["lines"][0]["doing"] == "38%, 6 of <8> sampled" and told["refresh"] == 15
    assert "1 of 2 done, 3 h left at " in going
    assert at_last["refresh"] == 0 and "being baked" not in ended
    assert ended.count("ARKit has no name for tongueTipUp") == 1, "it is about no single job"
    assert data["jobs"][1]["state"] == "not baked", "the data are as they were"


def shot(name, blend, strip="A", outputs=("blend", "npz")):
    return BakeJob(
        name,
        {"blend": blend, "outputs": list(outputs)}
        | ({"strip": strip} if strip else {"audio": "a.wav"}),
    )


def test_scenes_with_strips_of_several_jobs_are_collected_those_of_one_job_are_not():
    jobs = [
        shot("a", "/x/s.blend"),
        shot("b", "/y/s.blend"),
        shot("c", "/x/s.blend"),
        shot("d", "/z/t.blend"),
        shot("e", "/y/s.blend", "B"),
    ]
    jobs += [shot("f", "/z/t.blend", None), shot("g", "/z/t.blend", outputs=["npz"])]
    assert [(scene.name,
        [each.name for each in scene.jobs]) for scene in manifest.shared_scenes(jobs)] == [
        ("s_takes", ["a", "c"]), ("s_takes 2", ["b", "e"]),
    ]  # fmt: skip


def test_a_collected_scene_is_made_again_when_a_job_has_other_files_or_it_is_gone(tmp_path):
    jobs = [shot("a", "/x/s.blend"), shot("b", "/x/s.blend", "B")]
    (scene,) = manifest.shared_scenes(jobs)

    def baked(name, content):
        with Transaction(str(tmp_path / name)) as out:
            out.write("s.blend", content)
        return manifest.sources_of_scene(str(tmp_path), jobs)

    assert list(baked("a", "1")) == ["a"]
    made_from = baked("b", "2")
    is_current = partial(manifest.is_scene_up_to_date, str(tmp_path), scene)
    assert not is_current(made_from)
    (tmp_path / "s_takes.blend").write_bytes(b"whole")
    for damaged in ("", "[]", "{"):
        (tmp_path / "s_takes.json").write_text(damaged)
        assert not is_current(made_from)
    (tmp_path / "s_takes.json").write_text(json.dumps({"made_from": made_from}))
    assert is_current(made_from) and not is_current(baked("b", "3"))
    (tmp_path / "s_takes.blend").unlink()
    assert not is_current(made_from)


def test_no_file_of_a_run_that_is_copied_tells_where_it_was_made(tmp_path, folder):
    out, home = str(tmp_path / "out"), str(tmp_path)
    jobs = [
        BakeJob(name, {"audio": f"{home}/voices/{name}.wav", "style": f"{home}/{name}.json"})
        for name in ("intro", "next", "last")
    ]
    manifest.note_failure(out, "next", f"“{home}/voices/next.wav” is silent: choose another")
    report = manifest.collect_report(
        out, jobs, {"intro": "baked", "next": "failed"}, MAKER,
        {"last": {"sentence": f"FileNotFoundError: '{home}/a b.wav' and {home}/log.txt are gone"}},
        [{"file": "s.blend", "jobs": ["intro"], "sentence": f"“{home}” cannot be written: free it"}],
        source=f"{home}/jobs.toml",
    )  # fmt: skip
    going = manifest.while_running(report, {"last": f"38% of {home}/x.wav"}, "1 of 3 done")
    for each in (report, going):
        manifest.write_report(out, each)
        page = (tmp_path / "out" / "batch.html").read_text()
        data = page.partition('id="data">')[2].partition("</script>")[0]
        said = [line["sentence"] for line in json.loads(data)["lines"]]
        assert home not in page and "“next.wav” is silent: choose another" in said
    rows = json.loads((tmp_path / "out" / "batch.json").read_text())["jobs"]
    assert rows[0]["settings"]["audio"] == os.path.join("..", "voices", "intro.wav")
    assert [*rows[0]["made_from"]["used"]] == [os.path.join("..", "skin.png")]
    assert manifest.other_source(out, f"{home}/jobs.toml") == ""
    assert manifest.other_source(out, f"{home}/b.toml") == f"{home}/jobs.toml"


@pytest.mark.parametrize(
    "sentence, told",
    [
        ("“/films/annabel/a b.wav” is silent: choose", "“a b.wav” is silent: choose"),
        ("“C:\\Users\\annabel\\a b.wav” is silent", "“a b.wav” is silent"),
        ("The folder “/films/annabel/out/” is full", "The folder “out” is full"),
        ("[Errno 2]: '/films/annabel/x y' -> \"/b/c\"", "[Errno 2]: 'x y' -> \"c\""),
        ("see /films/annabel/log.txt, or \\\\host\\annabel\\b", "see log.txt, or b"),
        (
            "24/25 of “line/2” and/or https://x.org/a/b",
            "24/25 of “line/2” and/or https://x.org/a/b",
        ),
        *(("“/" + piece * 10**5, None) for piece in ("a", "/", "/a", "“/a", "'", ",/", "\\")),
    ],
)
def test_a_page_names_files_and_not_their_folders(sentence, told):
    began = time.process_time()
    assert told is None or dailies._without_folders(sentence) == told
    dailies._without_folders(sentence)
    assert time.process_time() - began < 4
