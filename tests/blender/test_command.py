# SPDX-License-Identifier: GPL-3.0-or-later
"""`blender -c thunder …`: the same bakes, options and exit codes as bake.py."""

from thunder.cli import command


def run(capfd, *words):
    """The exit code of a command, what it says, and what it complains of."""
    capfd.readouterr()
    return command.main(list(map(str, words))), *capfd.readouterr()


def test_the_first_word_of_jobs_is_what_they_are_about(blender, voice, tmp_path, capfd):
    assert run(capfd, "jobs", tmp_path, "--list") == (0, "line\n", "")
    code, _, complaints = run(capfd, "jobs")
    assert code == 2 and "--jobs: expected one argument" in complaints


def test_a_failure_is_one_sentence_of_the_command(blender, tmp_path, capfd):
    code, said, complaints = run(
        capfd, "bake", "--audio", tmp_path / "none.wav", "--out", tmp_path / "out"
    )
    assert (
        code == 1
        and complaints.startswith("blender -c thunder bake: There is no file “")
        and complaints.count("\n") == 1
    )
    code, _, complaints = run(capfd, "bake", "--audio", "a.wav", "--pitch", "3", "--out", "out")
    assert (
        code == 2
        and "blender -c thunder bake: error: unrecognized arguments: --pitch 3" in complaints
    )
    code, _, complaints = run(capfd, "dance")
    assert (
        code == 2
        and complaints == "blender -c thunder: “dance” is no command: use bake, jobs or check\n"
    )
    assert not (tmp_path / "out").exists()


def test_check_names_the_file_that_it_cannot_check(blender, tmp_path, capfd):
    code, said, _ = run(capfd, "check", tmp_path / "none.blend")
    assert code == 1 and said.startswith(
        f"{tmp_path / 'none.blend'}: not checked. There is no file “"
    )
    assert run(capfd, "check")[0] == 2


def test_without_a_command_it_lists_them(capfd):
    code, said, _ = run(capfd)
    assert code == 0 and all(f"\n{name} " in said for name in ("bake", "jobs", "check"))
    assert run(capfd, "check", "--help")[0] == run(capfd, "jobs", "--help")[0] == 0


def test_bake_bakes_as_bake_py_does(blender, client, voice, tmp_path, capfd):
    words = ("bake", "--audio", voice, "--takes", 2, "--out", tmp_path / "out")
    code, said, complaints = run(capfd, *words)
    assert (code, complaints) == (0, "") and "line.blend and 2 takes" in said
