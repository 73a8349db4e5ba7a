# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a night's bake in a real browser: what a lead sees and hears, keys, picks as a file,
500 lines, names and folders from elsewhere."""

import base64
import json
import math
import shutil
import struct
import time
import wave

import pytest
from browser import browser, DOWN, ENTER, needs_browser, RIGHT, UP
from timing import keeps, until

from thunder_core.batch import manifest
from thunder_core.batch.job_file import BakeJob
from thunder_core.files import Transaction

pytestmark = needs_browser
MAKER = manifest.Maker("0.2.0", "5.0.1", "f" * 64)
SECONDS = 2.0
SEEN = """const canvas = document.querySelector(arguments[0]), pen = canvas.getContext("2d");
const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
return data.filter((value, place) => place % 4 === 3 && value > 0).length / (data.length / 4);"""


def steps(values):
    return base64.b64encode(bytes(values)).decode()


def bake(out, name, grades=("good", "check"), sound=True, **more):
    """Write the folder of a job as a bake does; more: of its report."""
    frames = range(int(SECONDS * 25))
    takes = [
        {"rank": rank, "name": f"Take {rank}", "seed": 7 + rank, "score": 90.0 - 9 * rank,
         "words": "warm", "curves_sha256": f"{name} {rank}"}
        for rank, _ in enumerate(grades, start=1)
    ]  # fmt: skip
    about = {"good": "", "check": "look at 0.8 s", "poor": "look at 1.2 s"}
    curves = [
        {"opening": steps([int(40 + 40 * math.sin(frame)) for frame in frames]),
         "width": steps([200 for _ in frames]), "grade": grade, "reason": about[grade],
         "drifts": [] if grade == "good" else [[0.7, 1.0]]}
        for grade in grades
    ]  # fmt: skip
    content = {"seconds": SECONDS, "takes": curves, "peaks": steps([9, 200] * int(SECONDS * 50))}
    with Transaction(str(out / name)) as files:
        if sound:
            with wave.open(files.part("voice.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                for at in range(int(SECONDS * 8000)):
                    file.writeframes(struct.pack("<h", int(8000 * math.sin(at))))
        files.write("dailies.json", json.dumps(content))
        said = {"takes": takes, "seconds": {"all": 3.0}, "made_from": {}} | more
        files.write("report.json", json.dumps(said))
    return BakeJob(name, {"audio": f"/voices/{name}.wav"})


def write_page(out, jobs, failed=(), running=None):
    """Write batch.html of these jobs; returns its path. failed: names of those that failed."""
    states = {job.name: manifest.FAILED if job.name in failed else manifest.BAKED for job in jobs}
    report = manifest.collect_report(str(out), jobs, states, MAKER)
    manifest.write_report(str(out), manifest.while_running(report, *running) if running else report)
    return out / manifest.HTML_NAME


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture
def three(tmp_path):
    """The page of three lines that were baked and one that failed."""
    jobs = [
        bake(tmp_path, "intro", transcript="Big blue boxes", warnings=["It is “hard” to hear"]),
        bake(tmp_path, "second", ("poor", "good")),
        bake(tmp_path, "third", ("good",)),
        BakeJob("lost", {"audio": "/none.wav"}),
    ]
    manifest.note_failure(str(tmp_path), "lost", "There is no file")
    return write_page(tmp_path, jobs, ["lost"])


def lines_of(chrome):
    """The text of each line that the index shows."""
    script = "return [...document.querySelectorAll('#index li')].filter(row => row.offsetHeight)"
    return chrome.run(script + ".map(row => row.innerText.split(/\\s*\\n\\s*/))")


def test_a_lead_sees_every_line_and_the_takes_of_one_beside_its_voice(chrome, three):
    chrome.open(three)
    assert lines_of(chrome) == [
        ["✕", "lost", "failed"],
        ["✓", "intro", "2.0 s"],
        ["!", "second", "2.0 s"],
        ["✓", "third", "2.0 s"],
    ]
    text = chrome.text("#line")
    for words in ("“Big blue boxes”", "It is “hard” to hear", "Take 1", "good", "Take 2", "check"):
        assert words in text
    assert "? look at 0.8 s" in text and "warm · seed 8" in text
    for picture in (".voice>canvas", ".take>canvas", "#mouth"):
        assert 0.02 < chrome.run(SEEN, picture) < 0.9, f"{picture} shows something"
    size = "const box = document.querySelector('#mouth').getBoundingClientRect();"
    assert chrome.run(size + "return Math.min(box.width, box.height)") >= 22
    chrome.press(UP)
    assert "There is no file" in chrome.text("#line")
    assert chrome.log() == []


def test_a_line_moves_over_the_waveform_while_the_sound_plays(chrome, three):
    chrome.open(three)
    place = "return document.querySelector('#now').getBoundingClientRect().x"
    before = chrome.run(place)
    chrome.press(" ")
    until(lambda: chrome.run("return sound.currentTime > 0.2 && !sound.paused"))
    assert chrome.run(place) > before + 20
    until(lambda: chrome.run("return !isPlaying()"))  # to its end
    assert chrome.run("return sound.currentTime") > SECONDS - 0.1
    chrome.click(".voice>canvas")  # into the middle
    assert abs(chrome.run("return time()") - SECONDS / 2) < 0.05
    assert chrome.log() == []


def test_keys_pick_and_the_picks_are_a_file_and_are_there_again(chrome, three):
    chrome.open(three)
    chrome.press(RIGHT, ENTER)  # the second take, and the next line
    assert chrome.text("#line h2") == "second"
    chrome.press("2", "p", "p", "1", "p", DOWN, "p", "p")  # p again takes a pick back
    assert lines_of(chrome)[1:] == [
        ["?", "intro", "✓ Take 2"],
        ["!", "second", "✓ Take 1"],
        ["✓", "third", "2.0 s"],
    ]
    chrome.press("s")
    (saved,) = until(lambda: list(chrome.downloads.glob("*.json")))
    assert json.loads(saved.read_text()) == {
        "picks": [
            {"job": "intro", "take": "Take 2", "curves_sha256": "intro 2"},
            {"job": "second", "take": "Take 1", "curves_sha256": "second 1"},
        ]
    }
    assert "bake.py --picks picks.json --out" in chrome.text("#message")
    assert str(three.parent) in chrome.text("#message")
    bake(three.parent, "second", curves="", takes=[])
    chrome.open(three)
    assert chrome.text("#save") == "Save 2 Picks" and chrome.text("#line h2") == "intro"
    job = bake(three.parent, "intro")
    other = bake(three.parent, "second", ("poor", "good"))
    report = json.loads((three.parent / "second" / "report.json").read_text())
    for take in report["takes"]:
        take["curves_sha256"] = "other keys"
    with Transaction(str(three.parent / "second")) as files:
        files.write("report.json", json.dumps(report))
    chrome.open(write_page(three.parent, [job, other]))
    assert "1 line was baked again since you picked: pick anew in second" in chrome.text("#message")
    assert chrome.text("#save") == "Save 1 Pick"


def test_lines_are_found_by_grade_warning_words_and_whether_they_are_picked(chrome, three):
    chrome.open(three)
    chrome.run("localStorage.clear()")
    chrome.open(three)
    names = lambda: [line[1] for line in lines_of(chrome)]  # noqa: E731
    choose = (
        "const box = document.querySelector('#grade'); box.value = arguments[0];"
        "box.dispatchEvent(new Event('input'))"
    )
    chrome.run(choose, "poor")
    assert names() == ["second"] and chrome.text("#shown") == "1 of 4 lines"
    chrome.run(choose, "")
    for clicked, shown in (
        (["#warned"], ["lost", "intro"]),
        (["#warned", "#open", "#index li:nth-child(4)", ENTER], ["intro", "second", "third"]),
        (["#open", "#open"], ["intro", "second"]),  # what is picked stays until it is asked for
        (["#open", "/", *"boxes"], ["intro"]),
        ([*"zz"], []),
    ):
        for each in clicked:
            chrome.click(each) if each.startswith("#") else chrome.press(each)
        assert names() == shown
    assert chrome.run("return document.querySelector('#none').offsetHeight") > 0


def test_a_sound_that_is_missing_is_said_and_the_takes_play_without_it(chrome, three):
    (three.parent / "intro" / "voice.wav").unlink()
    chrome.open(three)
    until(lambda: "The sound of “intro” is not beside this page" in chrome.text("#message"))
    chrome.press(" ")
    until(lambda: chrome.run("return time() > 0.3"))
    chrome.press(DOWN, " ")
    until(lambda: chrome.run("return sound.currentTime > 0.2"))
    assert chrome.text("#message") == ""
    job = bake(three.parent, "mute", sound=False)
    chrome.open(write_page(three.parent, [job]))
    assert "This line was baked without a sound" in chrome.text("#line")


def test_names_from_elsewhere_stay_text(chrome, tmp_path):
    evil = (
        "</script><script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
    )
    video = "x\" onerror=\"document.title='ran'.mp4"  # one in another folder damages a report
    job = bake(tmp_path, "evil", transcript=evil, warnings=[evil], notes=[evil])
    report = json.loads((tmp_path / "evil" / "report.json").read_text())
    report["takes"][0] |= {"name": evil, "words": evil + "\u202e\x1b\ud800", "video": video}
    with Transaction(str(tmp_path / "evil")) as files:
        files.write("report.json", json.dumps(report))
        files.write("\"><img src=x onerror='document.title=1'>.npz", b"values")
    other = BakeJob("b", {"audio": f"/{evil}"})
    chrome.open(write_page(tmp_path, [job, other], running=({"b": evil}, evil)))
    chrome.press(UP, DOWN, "p", "1")
    assert chrome.run("return document.title") == "Baked takes"
    # of the page's own
    assert chrome.run("return document.querySelectorAll('script').length") == 2
    assert chrome.run("return document.querySelectorAll('img').length") == 0
    text = chrome.text("#line")
    assert text.count("<script>document.title") >= 3 and "\u202e" not in text and "\x1b" not in text
    assert chrome.run("return film.src").startswith(tmp_path.as_uri() + "/evil/x%22")
    # and were it markup, the page's policy would still refuse it
    markup = "document.body.insertAdjacentHTML('beforeend', arguments[0]);"
    chrome.run(markup, "<img src=data:, onerror='document.title=1'>")
    script = "const late = document.createElement('script'); late.text = 'document.title = 2';"
    chrome.run(script + "document.body.append(late)")
    chrome.run("new Image().src = 'http://127.0.0.1:9/'; fetch('http://127.0.0.1:9/').catch(Date)")
    refused = []
    until(lambda: refused.extend(chrome.log()) or len(refused) >= 4)
    assert len([line for line in refused if "Content Security Policy" in line]) >= 4, refused
    assert chrome.run("return document.title") == "Baked takes"


def test_five_hundred_lines_are_shown_in_two_seconds(chrome, tmp_path):
    first = bake(tmp_path, "line 000", ("good",) * 8)
    jobs = [first, *(BakeJob(f"line {number:03d}", first.settings) for number in range(1, 500))]
    for job in jobs[1:]:
        shutil.copytree(tmp_path / first.name, tmp_path / job.name)
    page = write_page(tmp_path, jobs)
    spent = []
    for _ in range(3):
        begin = time.perf_counter()
        chrome.open(page)
        chrome.run("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        spent.append(time.perf_counter() - begin)
    assert len(lines_of(chrome)) == 500 and 0.02 < chrome.run(SEEN, ".take>canvas")
    keeps(2.0, spent, "500 lines of eight takes in a browser")
    begin = time.perf_counter()
    chrome.press(*[DOWN] * 20)
    assert chrome.text("#line h2") == "line 020"
    keeps(0.3, (time.perf_counter() - begin) / 20, "the next line")


def test_the_page_of_a_run_that_goes_on_is_read_again_but_not_while_a_lead_listens(
    chrome, tmp_path
):
    job = bake(tmp_path, "intro")
    running = {"next": "38%, 6 of 8 sampled"}, "1 of 2 done, 3 h left"
    page = write_page(tmp_path, [job, BakeJob("next", {"audio": "/x.wav"})], running=running)
    page.write_text(page.read_text().replace('"refresh": 15', '"refresh": 0.3'))
    chrome.open(page)
    assert "1 of 2 done" in chrome.text("header") and lines_of(chrome)[0][1:] == [
        "next",
        "being baked",
    ]
    chrome.run("window.stays = true")
    chrome.press(" ")
    time.sleep(0.8)
    assert chrome.run("return window.stays") is True
    chrome.press(" ")
    until(lambda: chrome.run("return window.stays") is None)
    assert chrome.text("#line h2") == "intro"
