# SPDX-License-Identifier: GPL-3.0-or-later
"""A face for other programs: what is sent is read back by a receiver of OSC of our own, from a
stream and from the command."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from unittest.mock import Mock

import numpy as np
import osc
import pytest
import soundfile
from played_microphone import engine_with
from timing import until

from research.harness import ROOT
from thunder_core import __main__ as command_line, vmc
from thunder_core.__main__ import main
from thunder_core.errors import BadRequest, NoMicrophone
from thunder_core.face.head import load_head
from thunder_core.shipped import SAMPLE
from thunder_core.types import JAW_OPEN_RADIANS


@pytest.mark.parametrize("typed", [" studio-pc.local ", "127.0.0.1", "::1"])
def test_spaces_around_an_address_do_not_matter(typed):
    assert vmc.read_host(typed) == typed.strip()


@pytest.mark.parametrize("typed", ["", "10.0.0.5:39539", "http://pc/", "a\nb", "a b", "a" * 254])
def test_what_is_no_address_is_refused_with_what_one_is(typed):
    with pytest.raises(BadRequest, match="write it as 192.168.0.12"):
        vmc.read_host(typed)


CHANNELS = load_head().expression_names


@pytest.fixture
def receiver():
    with osc.receiver() as both:
        yield both


def row_of(jaw=0.0, head=(0, 0, 0), eyes=(0, 0, 0), **values):
    row = np.zeros(len(CHANNELS) + 9)
    for name, value in values.items():
        row[CHANNELS.index(name)] = value
    row[len(CHANNELS) :] = [jaw, 0, 0, *head, *eyes]
    return row


def test_a_frame_is_a_bundle_with_52_shapes_and_the_bones(receiver):
    heard, port = receiver
    stream = vmc.Stream(port, names=vmc.ARKIT)
    turn = np.array([0.1, 0.2, -0.3])
    stream.send(row_of(JAW_OPEN_RADIANS / 2, turn, mouthSmileLeft=0.25), CHANNELS, 1.5)
    messages = osc.read_frame(heard)
    stream.close()
    shapes = osc.shapes_of(messages)
    assert len(shapes) == 52 and shapes["JawOpen"] == pytest.approx(0.5)
    assert shapes["MouthSmileLeft"] == pytest.approx(0.25) and shapes["EyeBlinkLeft"] == 0
    assert [a for a, _ in messages].index("/VMC/Ext/Blend/Apply") == len(messages) - 1 == 57
    assert messages[:2] == [("/VMC/Ext/OK", [1]), ("/VMC/Ext/T", [1.5])]
    bones = {v[0]: v[1:] for address, v in messages if address == "/VMC/Ext/Bone/Pos"}
    assert set(bones) == {"Head", "LeftEye", "RightEye"} and bones["LeftEye"][-1] == 1
    half = np.linalg.norm(turn) / 2
    axis = turn / np.linalg.norm(turn) * np.sin(half)  # right-handed, x to the head's left
    assert bones["Head"] == pytest.approx([0, 0, 0, axis[0], -axis[1], -axis[2], np.cos(half)])


def test_a_computer_that_is_not_there_is_a_sentence(capsys):
    with pytest.raises(BadRequest, match="is no computer that can be reached"):
        vmc.Stream(39539, "no computer of that name", waits=True)
    assert main(["live", "--to", "no computer of that name"]) == 1
    assert capsys.readouterr().err.startswith("“no computer of that name” is no computer")


def test_a_name_is_looked_up_where_programs_listen(receiver, monkeypatch):
    heard, port = receiver
    found = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
    udp = [(kind, socket.SOCK_DGRAM, 17, "", place) for kind, place in found]
    monkeypatch.setattr(vmc.socket, "getaddrinfo", lambda *_, **__: udp)
    vmc.Stream(port, "localhost", waits=True).send(row_of(), CHANNELS, 0.0)
    assert len(osc.read_frame(heard)) == 58 + 16


@pytest.mark.parametrize("found", [True, False])
def test_a_name_that_takes_long_to_look_up_holds_nobody_up(receiver, monkeypatch, found):
    heard, port = receiver
    looks = threading.Event()
    place = (socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", port))

    def look_up(*_, **__):
        looks.wait(20)
        if not found:
            raise socket.gaierror(-2, "Name or service not known")
        return [place]

    monkeypatch.setattr(vmc.socket, "getaddrinfo", look_up)
    began = time.monotonic()
    stream = vmc.Stream(port, "studio.local")
    stream.send(row_of(), CHANNELS, 0.0)  # lost
    assert stream.is_looking and not stream.is_found and time.monotonic() - began < 1
    looks.set()
    until(lambda: not stream.is_looking, 20)
    if found:
        stream.send(row_of(jaw=0.1), CHANNELS, 2.0)
        assert osc.read_bundle(heard.recv(65536))[1] == ("/VMC/Ext/T", [2.0])
    else:
        with pytest.raises(BadRequest, match="“studio.local” is no computer that can be reached"):
            stream.send(row_of(), CHANNELS, 0.0)
    stream.close()


@pytest.mark.parametrize(
    "host, is_here",
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("Localhost", True),
     ("192.168.1.5", False), ("localhost.example.com", False), ("0.0.0.0", False), ("", False)],
)  # fmt: skip
def test_which_computer_is_this_one(host, is_here):
    assert vmc.is_here(host) == is_here


@pytest.mark.parametrize("host", ["255.255.255.255", "127.255.255.255"])
def test_a_broadcast_address_is_a_sentence(host):
    with pytest.raises(BadRequest, match=f"“{host}” is no computer that can be reached"):
        vmc.Stream(39539, host).send(row_of(), CHANNELS, 0.0)


def test_avatars_of_vrm_get_their_own_mouths_and_blinks_by_old_and_new_names(receiver):
    heard, port = receiver
    stream = vmc.Stream(port, names=vmc.VRM)
    row = row_of(JAW_OPEN_RADIANS / 2, eyeBlinkLeft=0.9, eyeBlinkRight=0.4, mouthPucker=0.2)
    stream.send(row, CHANNELS, 0.0)
    shapes = osc.shapes_of(osc.read_frame(heard))
    assert "JawOpen" not in shapes and shapes["aa"] == shapes["A"] == pytest.approx(0.5, abs=0.05)
    assert shapes["ou"] == shapes["U"] == pytest.approx(0.2)
    assert shapes["blink"] == shapes["Blink"] == pytest.approx(0.4)
    assert shapes["blinkLeft"] == shapes["Blink_L"] == pytest.approx(0.5)
    stream.close()


class Network:
    """A socket of a network that loses what is sent, with an error of the system."""

    code = 0

    def __init__(self, *_):
        self.connect = self.close = self.setblocking = lambda *_: None
        self.sent = []

    def send(self, data):
        if self.code:
            raise OSError(self.code, os.strerror(self.code))
        self.sent.append(data)


@pytest.mark.parametrize(
    "code, is_said",
    [
        (errno.EHOSTUNREACH, True), (errno.ENETUNREACH, True), (errno.EADDRNOTAVAIL, True),
        (errno.ENOBUFS, False), (errno.ECONNREFUSED, False),
    ],
)  # fmt: skip
def test_a_network_that_goes_away_is_said_and_the_face_is_sent_on_when_it_is_back(
    code, is_said, monkeypatch
):
    opened, now = [], 100.0
    monkeypatch.setattr(vmc.socket, "socket", lambda *_: opened.append(Network()) or opened[-1])
    monkeypatch.setattr(vmc.time, "monotonic", lambda: now)
    stream = vmc.Stream()
    monkeypatch.setattr(Network, "code", code)
    for _ in range(30):
        stream.send(row_of(), CHANNELS, 0.0)
        now += 0.1
    said = "“127.0.0.1” cannot be reached now; the face is sent on as soon as the network is back"
    assert stream.trouble == said * is_said
    # from another address of this computer, which it may have by now
    assert len(opened) == 1 + 3 * is_said
    monkeypatch.setattr(Network, "code", 0)
    stream.send(row_of(), CHANNELS, 0.0)
    assert opened[-1].sent
    now += 5.0
    assert stream.trouble == ""


def test_an_address_that_the_system_forbids_is_a_sentence(monkeypatch):
    stream = vmc.Stream()
    monkeypatch.setattr(Network, "code", errno.EPERM)
    monkeypatch.setattr(stream, "_socket", Network())
    with pytest.raises(BadRequest, match="can be reached"):
        stream.send(row_of(), CHANNELS, 0.0)


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["--mood", "hapy"], "--mood “hapy” is no mood that is known"),
        (["--ahead", "7"], "--ahead is not between 0 and 1: give seconds, such as .2"),
        (["--names", "vrchat"], "--names “vrchat” is none of arkit, vrm and both"),
        (["--osc", "99999"], "There is no port 99999: give one from 1 to 65535"),
    ],
)
def test_wrong_options_are_sentences(words, sentence, capsys):
    assert main(["live", *words]) == 1 and sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault, name, sentence",
    [
        ("lost:0.4", "", "The microphone was unplugged or delivers no more sound"),
        ("", "Radio", "“Radio” is not connected: connect it, or choose one of “Booth”, “Desk”"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="the engine's Python is a shell script here")
def test_the_command_ends_with_a_sentence_where_its_microphone_does(
    fault, name, sentence, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "executable", engine_with(tmp_path, SAMPLE, fault))
    assert main(["live", "--microphone", name]) == 1
    assert sentence in capsys.readouterr().err


def last_of(heard):
    """The messages of the last frame that arrived."""
    heard.setblocking(False)
    last = []
    with suppress(BlockingIOError):
        while True:
            last = osc.read_frame(heard)
    return last


def is_at_rest(messages):
    bones = [values[4:] for address, values in messages if address == "/VMC/Ext/Bone/Pos"]
    return not any(osc.shapes_of(messages).values()) and bones == [[0, 0, 0, 1]] * 3


class Played:
    """A client whose engine has given all curves two seconds late, and is done."""

    done, peak = False, 0.5

    def __init__(self, *_):
        now, rows = time.perf_counter(), np.stack([row_of()] * 24 + [row_of(mouthPucker=0.7)])
        curves = {"event": "curves", "first": 0, "hop": 0.16, "made": now}
        curves["values"] = rows.tolist()
        level = {"event": "level", "began": now - 3.0, "peak": self.peak}
        self.events = [level, {**curves, "phones": ["UW"] * 25}]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def put_array(self, array):
        return ""

    def request(self, *_, **__):
        return self

    def poll(self):
        self.done, events, self.events = True, self.events, []
        return events

    def wait(self):
        return {"channels": CHANNELS, "ended": ""}


@pytest.mark.parametrize(
    "peak, said", [(0.5, " ##########  "), (0.0, "silence arrives: is it muted")]
)
def test_all_that_was_heard_is_sent_and_then_a_face_at_rest(
    peak, said, receiver, monkeypatch, capsys
):
    heard, port = receiver
    monkeypatch.setattr(command_line, "Client", Played)
    monkeypatch.setattr(Played, "peak", peak)
    assert main(["live", "--osc", str(port)]) == 0 and said in capsys.readouterr().out
    heard.settimeout(0.1)
    sent = []
    with suppress(TimeoutError):
        while True:
            sent.append(osc.read_frame(heard))
    before, *eased = (osc.shapes_of(each)["MouthPucker"] for each in sent[-8:])
    assert before == pytest.approx(0.7) and 0.05 < eased[0] < 0.69 and np.ptp(np.diff(eased)) < 0.3
    assert sorted(eased)[::-1] == eased and all(map(is_at_rest, sent[-3:]))
    times = [values[0] for each in sent[-8:] for address, values in each if address.endswith("/T")]
    assert (np.diff(times) > 0).all() and 0.1 < times[-1] - times[0] < 0.3


def test_a_start_that_fails_sends_nothing_and_help_names_defaults(receiver, monkeypatch, capsys):
    heard, port = receiver
    heard.setblocking(False)
    monkeypatch.setattr(command_line, "Client", Played)
    unplugged = NoMicrophone("No microphone is connected: connect one")
    monkeypatch.setattr(Played, "poll", Mock(side_effect=unplugged))
    assert main(["live", "--osc", str(port)]) == 1
    with pytest.raises(BlockingIOError):
        heard.recv(65536)
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: 0.2)" in said and "default: neutral" in said


class Endless(Played):
    """A client whose engine goes on."""

    def poll(self):
        events, self.events = self.events, []
        return events


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "ignored, sent", [((), ("SIGHUP", "SIGTERM")), (("SIGHUP",), ("SIGTERM",) * 2)]
)
def test_a_terminal_that_closes_leaves_a_face_at_rest_but_for_nohup(ignored, sent, receiver):
    heard, port = receiver
    code = (
        f"import runpy, signal, sys, test_vmc\n"
        f"from thunder_core import client\n"
        f"signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # also where nohup runs the tests
        f"for name in {ignored}: signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
        f"client.Client = test_vmc.Endless\n"
        f"sys.argv = ['', 'live', '--osc', '{port}']\n"
        f"runpy.run_module('thunder_core', run_name='__main__')\n"
    )
    path = os.pathsep.join([os.path.dirname(__file__), str(ROOT), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        heard.settimeout(10)
        heard.recv(65536)
        for name in ignored + sent:  # the system says it, and then the shell
            process.send_signal(getattr(signal, name))
            time.sleep(0.1)
        assert process.wait(10) == 128 + getattr(signal, sent[0])
    assert is_at_rest(last_of(heard))


def test_the_command_sends_a_face_that_speaks(receiver, tmp_path):
    heard, port = receiver
    samples, rate = soundfile.read(SAMPLE)
    sound = tmp_path / "minute.wav"  # which a busy machine does not play to its end meanwhile
    soundfile.write(sound, np.resize(samples, 60 * rate), rate)
    command = [sys.executable, "-m", "thunder_core", "live", "--osc", str(port), "--sound", sound]
    with subprocess.Popen(
        list(map(str, command)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env=os.environ | {"PYTHONIOENCODING": "ascii"},
    ) as process:  # fmt: skip
        jaws, end = [], time.monotonic() + 90
        while (len(jaws) < 60 or np.ptp(jaws) < 0.1) and time.monotonic() < end:
            jaws.append(osc.shapes_of(osc.read_frame(heard))["JawOpen"])
        if os.name != "nt":
            process.terminate()
            assert process.wait(20) == 128 + signal.SIGTERM
            starts, *_, last, said = process.stdout.read().splitlines()
            assert (starts, said) == ("Starting; Ctrl-C stops it", "Stopped")
            assert last.startswith(f"Sent to 127.0.0.1:{port}, ") and "s behind" in last
            assert is_at_rest(last_of(heard))
        process.kill()
    assert np.ptp(jaws) > 0.1, "the jaw did not move"
