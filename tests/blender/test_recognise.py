# SPDX-License-Identifier: GPL-3.0-or-later
"""Words by themselves: recognised as a voice's transcript, used by Generate unless switched off,
never in the place of one that somebody typed; and what is said where it cannot be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import bpy
import made_whisper
import pytest
from drawing import Context, Layout
from performances import clicks, noise
from running_engine import connection, SAMPLE, speak, stop_engine  # noqa: F401
from thunder.cli import batch
from thunder.cli.options import read_options
from thunder.operators import generate, install_engine
from thunder.panels import listen, preferences, sidebar, tab
from thunder.scene.engine import connection as connection_module, install, recogniser
from thunder.scene.host import compat, jobs
from thunder.scene.review import word_track
from thunder.scene.takes import dialogue, keep, perform_as, take_record, transcript, word_places
from thunder.scene.voice import strip
from thunder.thunder_core import engine_python, errors, installer, progress, spoken
from thunder.thunder_core.batch.job_file import BakeJob

pytestmark = pytest.mark.one_blender


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    for name in ("THUNDER_WHISPER", "THUNDER_RECOGNISER"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ready(monkeypatch, tmp_path):
    """A Python and the files of a model, as if they recognised words."""
    model = tmp_path / "whisper"
    model.mkdir()
    for name in ("config.json", "tokenizer.json", "model.bin"):
        (model / name).touch()
    monkeypatch.setenv("THUNDER_RECOGNISER", sys.executable)
    monkeypatch.setenv("THUNDER_WHISPER", str(model))
    return model


@pytest.fixture
def lined(needs_sound, scene, client, tmp_path):
    """A head, and a line of four seconds from frame 25 on."""
    compat.strips(scene.sequence_editor_create()).new_sound(
        "line", clicks(tmp_path / "voice.wav", (1.0,), 4.0), 1, 25
    )
    scene.thunder.count = 1
    return scene


def texts(client):
    return [args.get("text", "") for verb, args in client.asked if verb == "generate"]


def verbs(client):
    return [verb for verb, _ in client.asked]


def refused(operator, **arguments):
    with pytest.raises(RuntimeError) as error:
        operator(**arguments)
    return str(error.value)


def test_words_become_the_transcript_with_their_times_and_know_that_they_were_recognised(
    lined, ready, client
):
    client.left_out = [("Thank you.", 3.0, 3.5, 0.0)]
    assert bpy.ops.thunder.recognise_words() == {"FINISHED"}
    record = transcript.of(lined, "line")
    assert record.text == "a bump" and record.is_recognised and not record.is_typed
    assert record.language == "en"
    [(_, asked)] = client.asked
    assert asked["model"] == str(ready) and asked["python"] == sys.executable
    assert [word.text for word in word_places.line(bpy.context).words] == ["a", "bump"]
    steps = word_places.recognise(client, strip.find(bpy.context), recogniser.arguments())
    assert progress.result(steps).left_out_in_words == (
        f"Left out, as nobody says it: “Thank you.” near frame {25 + 3 * 24}"
    )
    panel = SimpleNamespace(layout=Layout())
    for part in ("_word", "_marks", "_sounds", "_mouths"):
        setattr(panel, part, lambda *given: None)
    listen.THUNDER_PT_words.draw(panel, Context(bpy.context, 600))
    assert panel.layout.of("operator")[0] == "thunder.recognise_words"
    assert "text" not in panel.layout.notes[0][2], "its own name"


def test_a_text_that_was_typed_or_changed_is_never_replaced(lined, ready, client):
    transcript.ensure(lined, "line").text = "my own words"
    assert "was typed and stays" in refused(bpy.ops.thunder.recognise_words)
    assert not client.asked
    bpy.ops.thunder.generate()
    assert verbs(client) == ["generate"] and texts(client) == ["my own words"]
    transcript.of(lined, "line").text = ""
    bpy.ops.thunder.recognise_words()
    transcript.of(lined, "line").text = "a bumb"
    assert transcript.of(lined, "line").is_typed
    assert "was typed and stays" in refused(bpy.ops.thunder.recognise_words)
    assert transcript.of(lined, "line").text == "a bumb"


def test_a_text_that_is_typed_while_words_are_recognised_stays(lined, ready, client):
    steps = word_places.recognise(client, strip.find(bpy.context), recogniser.arguments())
    while not client.asked:
        next(steps)
    transcript.ensure(lined, "line").text = "my own words"
    with pytest.raises(errors.BadRequest, match="was typed and stays"):
        progress.result(steps)
    assert transcript.of(lined, "line").text == "my own words"


def test_generate_recognises_what_has_no_text_once_and_takes_follow_it(lined, ready, client):
    bpy.ops.thunder.generate()
    assert verbs(client) == ["recognise", "generate"] and texts(client) == ["a bump"]
    assert take_record.about_of(lined.thunder.takes[0].action).get("text", "a bump") == "a bump"
    bpy.ops.thunder.generate()
    assert verbs(client) == ["recognise", "generate", "generate"]
    transcript.of(lined, "line").text = ""  # who empties the field wants none
    bpy.ops.thunder.generate()
    assert verbs(client)[3:] == ["generate"] and texts(client)[-1] == ""


def test_switched_off_generate_recognises_nothing_and_uses_no_recognised_text(lined, ready, client):
    lined.thunder.recognise_words = False
    bpy.ops.thunder.generate()
    assert verbs(client) == ["generate"] and texts(client) == [""]
    bpy.ops.thunder.recognise_words()
    bpy.ops.thunder.generate()
    assert texts(client) == ["", ""]
    transcript.of(lined, "line").text += "s"
    bpy.ops.thunder.generate()
    assert texts(client)[-1] == "a bumps", "what somebody changed is theirs"


def test_takes_are_made_without_words_where_these_cannot_be_recognised(
    lined, ready, client, monkeypatch
):
    client.recognised = errors.OutOfMemory("The memory is too small: close other programs")
    notes = [
        step.note
        for step in word_places.recognise_before(client, strip.find(bpy.context), None, [])
        if step.note
    ]
    assert notes == ["Takes are made without words. The memory is too small: close other programs"]
    said = warnings_of_generate(monkeypatch)
    bpy.ops.thunder.generate()
    assert texts(client) == [""] and len(lined.thunder.takes) == 1
    assert notes[0] in said, "when all is done, too: notes go with the work"


def warnings_of_generate(monkeypatch):
    """The sentences that Generate Takes warns with at its end, from now on."""
    said = []
    monkeypatch.setattr(
        generate.THUNDER_OT_generate, "warn", lambda _, sentences: said.extend(sentences)
    )
    return said


def test_a_model_that_lacks_a_file_is_said_by_generate_too(lined, ready, client, monkeypatch):
    said = warnings_of_generate(monkeypatch)
    (ready / "tokenizer.json").unlink()
    bpy.ops.thunder.generate()
    assert len(lined.thunder.takes) == 1 and "recognise" not in verbs(client)
    assert any("without words" in each and "lacks tokenizer.json" in each for each in said)


DOORS = {
    "more like this": lambda ops: ops.more_like_this(),
    "regenerate the rest": lambda ops: ops.resample_rest(),
    "generate": lambda ops: ops.generate(),
    "generate all": lambda ops: ops.generate_all(),
    "perform as": lambda ops: ops.perform_as(
        source=perform_as.sources(bpy.context.scene, "two")[0].key
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_all_that_makes_new_takes_recognises_words_first_and_says_what_is_left_out(
    lined, ready, client, tmp_path, capfd, door
):
    lined.thunder.recognise_words = False
    bpy.ops.thunder.generate()
    keep.add_range(lined, 40, 60)
    name = "two" if door in ("generate all", "perform as") else "line"
    if name == "two":
        strip.add(lined, noise(tmp_path / "two.wav", 4.0), "two", 200)
        dialogue.select(bpy.context, "two")
    lined.thunder_transcripts.clear()
    lined.thunder.recognise_words = True
    client.asked.clear()
    client.left_out = [("Thank you.", 0.5, 0.7, 0.0)]
    capfd.readouterr()
    assert DOORS[door](bpy.ops.thunder) == {"FINISHED"}
    assert verbs(client) == ["recognise", "generate"] and texts(client) == ["a bump"]
    assert transcript.of(lined, name).version, "where its words are is found, too"
    whose = "“two”: " if door == "generate all" else ""
    said = f"Warning: {whose}Left out, as nobody says it: “Thank you.” near frame"
    assert said in capfd.readouterr().out


def test_more_like_this_follows_marks_that_were_set_since(lined, client):
    bpy.ops.thunder.generate()
    transcript.ensure(lined, "line").text = "a bump"
    bpy.ops.thunder.find_words()
    lined.frame_set(word_places.line(bpy.context).words[1].frames[0])
    bpy.ops.thunder.mark_word(kind="held")
    bpy.ops.thunder.more_like_this()
    _, asked = client.asked[-1]
    assert asked["text"] == "a bump" and "held" in str(asked["marks"])


def test_words_stay_in_their_places_if_the_strip_is_moved_while_they_are_found(lined, client):
    voice = strip.find(bpy.context)
    transcript.ensure(lined, "line").text = "a bump"
    steps = word_places.find(client, voice)
    next(steps)
    strip.move(strip.by_name(lined, "line"), 75)
    found = progress.result(steps)
    assert found.spoken.words[0].start == pytest.approx(0.2)
    assert word_places.line(bpy.context).words[0].frames[0] == 75 + round(0.2 * 24)


@pytest.mark.parametrize(
    "harm, sentence",
    [
        (lambda model, patch: patch.delenv("THUNDER_RECOGNISER"), "install it in the preferences"),
        (lambda model, patch: patch.delenv("THUNDER_WHISPER"), "No model that recognizes words"),
        (lambda model, patch: (model / "model.bin").unlink(), "lacks model.bin"),
        (lambda model, patch: patch.setenv("THUNDER_WHISPER", "base"), "press Download Model…"),
        (lambda model, patch: patch.setenv("THUNDER_RECOGNISER", "/no/python"), "no Python at"),
    ],
)
def test_what_is_missing_is_named_on_the_greyed_button(
    lined, ready, client, monkeypatch, harm, sentence
):
    harm(ready, monkeypatch)
    assert sentence in recogniser.why_not()
    assert sentence in refused(bpy.ops.thunder.recognise_words)
    bpy.ops.thunder.generate()
    assert verbs(client) == ["generate"], "and takes are made as before"


@pytest.fixture
def reported(capfd):
    """`reported()` is what operators have reported since it was called last, line by line."""
    return lambda: [
        line.removeprefix("Info: ")
        for line in capfd.readouterr().out.splitlines()
        if "Info" in line
    ]


def test_speech_without_words_is_named_with_its_frame_in_panel_and_bakes(
    lined, ready, client, baked, capfd
):
    client.wordless = [(1.0, 3.0)]
    bpy.ops.thunder.recognise_words()
    frame = round(25 + lined.render.fps / lined.render.fps_base)
    said = f"Speech without words: 2 s from frame {frame}. Type what is said there"
    assert f"Warning: {said}" in capfd.readouterr().out
    report = baked("--recognise", "--start", "1")
    assert any("Speech without words: 2 s from frame" in each for each in report["warnings"])


def test_a_bakes_report_has_the_words_that_were_mended_in_its_scene(
    blender, ready, client, baked, tmp_path
):
    assert baked("--recognise")["recognised"] == "en"
    [record] = blender.context.scene.thunder_transcripts
    record.text = "a lump"
    mended = str(tmp_path / "mended.blend")
    blender.ops.wm.save_as_mainfile(filepath=mended)
    for more in ([], ["--recognise"]):
        report = baked("--blend", mended, *more)
        assert texts(client)[-1] == report["transcript"] == "a lump"
        assert "recognised" not in report


def test_a_voice_without_words_is_not_recognised_again_by_each_generate(lined, ready, client):
    client.recognised = ""
    bpy.ops.thunder.generate()
    bpy.ops.thunder.generate()
    assert verbs(client) == ["recognise", "generate", "generate"]
    record = transcript.of(lined, "line")
    assert not record.is_recognised and not record.is_typed
    client.recognised = "a bump"
    bpy.ops.thunder.recognise_words()
    assert record.text == "a bump" and record.is_recognised


def test_a_mended_word_shows_at_once_in_its_place_and_an_undo_takes_it_back(lined, ready, client):
    bpy.ops.thunder.recognise_words()
    record, tracks = transcript.of(lined, "line"), word_track.tracks
    tracks.of(bpy.context)
    tracks.look()
    assert tracks.of(bpy.context).texts == ("a", "bump")
    before = word_places.line(bpy.context).words
    bpy.ops.ed.undo_push(message="recognised")
    record.text = "a dump"
    bpy.ops.ed.undo_push(message="mended")
    after = word_places.line(bpy.context).words
    tracks.look()
    assert [word.text for word in after] == ["a", "dump"] == [*tracks.of(bpy.context).texts]
    assert [(word.start, word.end) for word in after] == [(w.start, w.end) for w in before]
    assert not word_places.is_known(lined, strip.find(bpy.context)), (
        "Generate finds it in the voice"
    )
    bpy.ops.ed.undo()
    assert [word.text for word in word_places.line(bpy.context).words] == ["a", "bump"]
    bpy.ops.ed.redo()
    assert [word.text for word in word_places.line(bpy.context).words] == ["a", "dump"]


def test_the_language_that_is_chosen_is_heard_and_the_recognised_one_named(
    lined, ready, client, reported
):
    bpy.ops.thunder.recognise_words()
    assert client.asked[-1][1]["language"] == ""
    assert "2 words (English)" in reported()[0]
    lined.thunder.language = "de"
    transcript.of(lined, "line").text = ""
    bpy.ops.thunder.recognise_words()
    lined.thunder_transcripts.clear()
    bpy.ops.thunder.generate()
    asked = [args["language"] for verb, args in client.asked if verb == "recognise"]
    assert asked == ["", "de", "de"]


def test_a_bake_recognises_what_is_asked_and_says_so(blender, client, baked, ready, tmp_path):
    told = []
    client.left_out = [("Thank you.", 0.5, 0.7, 0.0)]
    report = baked("--recognise", tell=told.append)
    done = [step.fraction for step in told]
    assert told[0].message == "Finding words and sounds" and done == sorted(done), told
    assert report["transcript"] == "a bump" and report["recognised"] == "en"
    assert any("Thank you." in warning for warning in report["warnings"])
    assert texts(client) == ["a bump"]
    assert (
        "recognised" not in baked("--recognise", "--transcript", "mama")
        and texts(client)[1] == "mama"
    )
    assert "transcript" not in baked() and verbs(client).count("recognise") == 1
    baked("--recognise", "--language", "German")
    blender.context.scene.thunder.language = "zh"
    baked("--recognise", "--language", "auto")
    asked = [args["language"] for verb, args in client.asked if verb == "recognise"]
    assert asked == ["", "de", ""]
    blender.context.scene.thunder.recognise_words = False
    switched_off = str(tmp_path / "off.blend")
    blender.ops.wm.save_as_mainfile(filepath=switched_off)
    baked("--recognise", "--blend", switched_off)
    assert texts(client)[-1] == "a bump"
    with pytest.raises(errors.BadWeights, match="no model that recognizes words at “/no/model”"):
        baked("--recognise", "--whisper", "/no/model")
    with pytest.raises(SystemExit):
        read_options(["--seconds", "2", "--recognise", "--out", "x"])


def test_a_bake_refuses_a_model_of_words_that_it_does_not_recognise(capfd):
    option = "--whisper=/no/model"
    for more in ([], ["--no-recognise"]):
        with pytest.raises(SystemExit):
            read_options(["--audio", "a.wav", "--out", "x", option, *more])
        assert "only with argument --recognise" in capfd.readouterr().err
    read_options(["--jobs", "jobs.toml", option])  # for the jobs that recognise
    read_options(["--audio", "a.wav", "--out", "x", "--language=de"])  # of a transcript


def test_the_model_of_the_preferences_goes_first_and_may_be_a_name(monkeypatch, ready):
    monkeypatch.chdir(ready.parent)
    assert recogniser.arguments(ready.name)["model"] == str(ready), "named from here"
    chosen = connection_module.preferences()
    try:
        chosen.whisper = str(ready) + os.sep
        monkeypatch.setenv("THUNDER_WHISPER", "/other")
        assert os.path.samefile(recogniser.model(), ready)
        chosen.whisper = "base/"
        assert recogniser.model() == "base" and recogniser.is_downloadable()
        monkeypatch.setattr(install, "may_download", lambda: False)
        assert "Turn on Allow Online" in refused(bpy.ops.thunder.download_model)
        os.makedirs(place := os.path.join(recogniser.folder(), "models", "base"))
        assert not recogniser.is_downloadable()
        shutil.rmtree(os.path.dirname(place))
    finally:
        chosen.whisper = ""


def asked_before(kind, operator):
    """The lines of the dialog that an operator opens before it begins."""
    said = []
    manager = SimpleNamespace(invoke_confirm=lambda *given, message, **how: said.append(message))
    kind.invoke(operator, SimpleNamespace(window_manager=manager), None)
    return said[0].splitlines()


@pytest.mark.parametrize(
    "operator, component, size, licence",
    [
        ("install_recogniser", install.RECOGNISER, "0.1 GB", "MIT"),
        ("install_kanji", install.KANJI, "3 MB", "GPL"),
        ("install_tracker", install.TRACKER, "0.17 GB", "Apache"),
    ],
)
def test_what_is_installed_its_size_and_its_licence_are_said_before(
    monkeypatch, operator, component, size, licence
):
    kind, begun = getattr(install_engine, f"THUNDER_OT_{operator}"), []
    monkeypatch.setattr(install, "begin", lambda *args, **more: begun.append(more))
    monkeypatch.setattr(install, "may_download", lambda: True)
    monkeypatch.setattr(installer.sys, "executable", sys.executable)
    monkeypatch.setenv("THUNDER_WHISPER", "base")
    model = install_engine.THUNDER_OT_download_model
    lines = asked_before(model, SimpleNamespace(agreed=False))
    assert all(each in " ".join(lines) for each in ("“base”", "0.15 GB", "MIT", "cancel"))
    lines = asked_before(kind, kind)
    # a window of preferences as Blender opens it, less what is beside the dialog's text
    assert len(lines) > 1 and max(map(len, lines)) / tab.LETTERS_PER_PIXEL < 700
    said = " ".join(lines)
    assert f"About {size} to download" in said and "B of disk space" in said and licence in said
    kind.begin(kind)
    assert begun == [{"component": component}]
    assert component.folder() != install.folder() and component.state().kind == "ABSENT"


@pytest.mark.usefixtures("connection")
def test_the_real_engine_recognises_words_and_takes_follow_them(scene, monkeypatch, tmp_path):
    """By the library itself, and a model that is made here to say one text."""
    engine = os.environ.get("THUNDER_RECOGNISER_OF_TESTS") or engine_python.find_engine_python()
    if subprocess.run([engine, "-c", "import faster_whisper"], capture_output=True).returncode:
        pytest.skip("faster-whisper is not installed")
    text = (
        "My brother moves both big blue boxes from the front room. Who can forgive such a foolish "
        "thief and put up with his thunder?"
    )
    subprocess.run(
        [engine, made_whisper.__file__, str(tmp_path / "blender-whisper"), text], check=True
    )
    monkeypatch.setenv("THUNDER_RECOGNISER", made_whisper.wrapper(tmp_path, python=engine))
    monkeypatch.setenv("THUNDER_WHISPER", str(tmp_path / "blender-whisper"))
    speak(scene)
    scene.thunder.count = 1
    bpy.ops.thunder.generate()
    [record] = scene.thunder_transcripts
    assert record.text == text and record.is_recognised and record.language == "en"
    content = spoken.unpack(record.spoken)
    assert content.matches and len(content.words) == 24
    about = take_record.about_of(scene.thunder.takes[0].action)
    assert about["text"] == text


def drawn(draw, *arguments):
    """What a function draws, on a layout that notes it."""
    draw(layout := Layout(), *arguments)
    return layout


def drawn_preferences(part):
    """What a part of the preferences draws."""
    return drawn(part, Context(bpy.context, 600), connection_module.preferences())


def test_the_preferences_offer_what_is_missing_next(blender, ready, monkeypatch):
    box = drawn_preferences(preferences._draw_words)
    assert box.of("prop") == ["whisper"] and not box.of("operator"), "all is there"
    (ready / "tokenizer.json").unlink()
    box = drawn_preferences(preferences._draw_words)
    assert "lacks tokenizer.json" in " ".join(box.texts())
    monkeypatch.setenv("THUNDER_WHISPER", "base")
    box = drawn_preferences(preferences._draw_words)
    assert box.of("operator") == ["thunder.download_model"]
    monkeypatch.delenv("THUNDER_RECOGNISER")
    box = drawn_preferences(preferences._draw_words)
    assert box.of("operator") == ["thunder.install_recogniser"] and not box.of("prop")
    assert any("GB to download" in text for text in box.texts())


def test_the_progress_of_a_download_is_where_its_button_was_and_can_be_cancelled(
    blender, ready, monkeypatch
):
    monkeypatch.setenv("THUNDER_WHISPER", "base")
    jobs.begin(install_engine.DOWNLOADING, (step for step in [jobs.Step(0.5, "0.15 GB")]))
    try:
        words = drawn_preferences(preferences._draw_words)
        assert words.of("operator") == ["thunder.cancel"] and words.of("progress")
        assert not drawn(preferences._draw_running_engine).of("progress")
    finally:
        jobs.end_job()


def test_no_python_that_fits_is_said_with_all_that_would(blender, monkeypatch):
    monkeypatch.setattr(install, "_ask", lambda python: None)
    _, why = install.fitting_python()
    assert "Python 3.11 to 3.13" in why and "any of these" in why and "on the PATH" in why
    monkeypatch.setattr(install.installing, "error", why)
    monkeypatch.setattr(install.installing, "component", None)
    context = Context(blender.context, 600)
    box = drawn(preferences._draw_packaged_engine, context, install.state())
    assert not any("nothing needs" in text for text in box.texts())


def test_an_installation_is_shown_with_what_it_installs_and_so_is_its_failure(
    blender, ready, monkeypatch
):
    def said():
        """The texts of the engine's part and of that of words."""
        parts = preferences._draw_engine, preferences._draw_words
        return [drawn_preferences(part).texts() for part in parts]

    running = SimpleNamespace(fraction=0.5, message="Installing numpy", time_left="")
    monkeypatch.delenv("THUNDER_RECOGNISER")
    installing = install.installing
    monkeypatch.setattr(installing, "running", running)
    for of_words in (True, False):
        monkeypatch.setattr(installing, "component", install.RECOGNISER if of_words else None)
        assert ["Installing" in texts for texts in said()] == [not of_words, of_words]
    monkeypatch.setattr(installing, "running", None)
    monkeypatch.setattr(installing, "error", "The packages cannot be reached")
    monkeypatch.setattr(installing, "component", install.RECOGNISER)
    of_engine, of_words = map(" ".join, said())
    assert "The packages cannot be reached" in of_words and "reached" not in of_engine


def test_removing_leaves_nothing_of_ours_and_all_that_is_somebody_s(blender):
    place = Path(recogniser.folder())
    for name in ("bin", "models/base"):
        (place / name).mkdir(parents=True)
    (place / "models" / "base" / "model.bin").touch()
    (place / installer.LOCK).write_bytes(installer.MARK)
    (place / "notes.txt").write_text("mine")
    try:
        assert bpy.ops.thunder.remove_recogniser() == {"FINISHED"}
        assert [path.name for path in place.iterdir()] == ["notes.txt"]
        assert "is left alone" in refused(bpy.ops.thunder.remove_recogniser)
        (place / "notes.txt").unlink()
        assert "Nothing to remove" in refused(bpy.ops.thunder.remove_recogniser)
    finally:
        shutil.rmtree(place)


def test_jobs_without_what_recognises_are_told_before_the_first_is_baked(ready, monkeypatch):
    settings = {"seconds": 3.0, "recognise": True}
    assert not any("install" in each for each in batch.mistakes([BakeJob("idle", settings)]))
    spoken_jobs = [BakeJob(name, {"recognise": True, "whisper": "/no/model"}) for name in "ab"]
    [mistake] = batch.mistakes(spoken_jobs)
    assert mistake.startswith("Jobs “a”, “b”: “recognise”: there is no model that recognizes words")
    monkeypatch.delenv("THUNDER_RECOGNISER")
    assert "install it in the preferences" in batch.mistakes([BakeJob("a", {"recognise": True})])[0]


def test_the_panel_shows_what_was_recognised_and_its_switch(lined, ready, client):
    layout = drawn(sidebar.draw_transcript, None, lined.thunder)
    assert "thunder.recognise_words" in layout.of("operator")
    assert layout.of("prop") == ["language"]
    bpy.ops.thunder.recognise_words()
    record = transcript.of(lined, "line")
    layout = drawn(sidebar.draw_transcript, record, lined.thunder)
    assert layout.of("prop") == ["text", "recognise_words", "language"]
    assert "Use Recognized Words (English)" in layout.texts("prop")
    record.text = "a bumb"
    assert drawn(sidebar.draw_transcript, record, lined.thunder).of("prop") == ["text"]
    record.text = "Ich weiß es nicht"
    assert "German" in drawn(sidebar.draw_transcript, record, lined.thunder).texts()
    record.text = "Bilmiyorum o zaman"  # a chosen language stays changeable
    lined.thunder.language = "tr"
    assert "language" in drawn(sidebar.draw_transcript, record, lined.thunder).of("prop")
    record.text = "مرحبا بكم"
    texts = drawn(sidebar.draw_transcript, record, lined.thunder).texts()
    assert "Lips cannot follow this alphabet" in texts
