# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of keys tell what they are for, whoever made the character."""

import re

import pytest

from thunder_core.face import mapping
from thunder_core.face.head import load_head
from thunder_core.face.reading import conventions


def short(name):
    return re.sub("Left$", "_L", re.sub("Right$", "_R", name))


SPELLINGS = {
    "camelCase": lambda name: name,
    "PascalCase": lambda name: name[0].upper() + name[1:],
    "snake_case": lambda name: re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(),
    "sides as letters": short,
    "sides after a dot": lambda name: short(name).replace("_", "."),
    "sides in front": lambda name: (
        "L_" + name[:-4]
        if name.endswith("Left")
        else "R_" + name[:-5]
        if name.endswith("Right")
        else name
    ),
    "lower case": str.lower,
    "a node's prefix": lambda name: "blendShape1." + short(name),
    "numbered": lambda name: f"{len(name):02d}_{name}",
    "a mesh's suffix": lambda name: name + "_Mesh",
}


def test_every_convention_is_found_by_its_own_names():
    assert {c.name for c in conventions.conventions()} >= {
        "arkit",
        "ict_facekit",
        "faceit",
        "ready_player_me",
        "mpfb",
        "reallusion_cc3",
        "reallusion_cc3_explus",
        "reallusion_cc4",
        "metahuman",
        "mouth_poses",
        "vrm",
    }
    for convention in conventions.conventions():
        names = list(
            dict.fromkeys(
                name for alternatives in convention.keys.values() for name in alternatives[0]
            )
        )
        marks = tuple(mark.replace("*", "x") for mark in convention.marks)
        recognised = conventions.find(("Basis", *names), marks)
        assert recognised.convention.name == convention.name
        assert set(recognised.shapes) >= set(convention.keys)


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_arkit_is_found_in_its_common_spellings(spell):
    names = (*load_head().expression_names, *mapping.DERIVED)
    found = conventions.find(("Basis", *map(spell, names)))
    assert found.convention.name == "arkit" and not found.fallbacks
    assert {name: found.shapes[name] for name in names} == {
        name: {spell(name): 1.0} for name in names
    }


@pytest.mark.parametrize("brows", [5, 7])
def test_the_convention_is_that_of_most_shapes_of_its_own(brows):
    """Channels that borrow another's shape, as lips that a jaw opens, do not count."""
    names = "browInnerUp browDownLeft browDownRight eyeBlinkLeft eyeBlinkRight cheekPuff".split()
    names = (*names, "noseSneerLeft")[:brows]
    found = conventions.find((*names, "vrc.v_aa", "vrc.v_ou", "vrc.v_oh", "vrc.v_pp"))
    vrm = next(each for each in conventions.conventions() if each.name == "vrm")
    borrowing = conventions.explain(vrm, ("vrc.v_aa", "vrc.v_ou", "vrc.v_oh", "vrc.v_pp"))
    assert len(borrowing.shapes) > brows >= len(borrowing.shapes) - len(borrowing.fallbacks)
    assert found.convention.name == "arkit"


def test_two_families_on_one_character_are_both_used():
    names = (
        *("browInnerUp", "browDownLeft", "browDownRight", "eyeBlinkLeft", "eyeBlinkRight"),
        *("cheekPuff", "noseSneerLeft", "noseSneerRight", "eyeWideLeft", "eyeWideRight"),
        *("vrc.v_aa", "vrc.v_ou", "vrc.v_oh", "vrc.v_pp"),
    )
    shapes = conventions.find(names).shapes
    assert shapes["jawOpen"] == {"vrc.v_aa": 1.0} and shapes["mouthPucker"] == {"vrc.v_ou": 1.0}
    assert shapes["browInnerUp"] == {"browInnerUp": 1.0}
    # what stands in for a missing key is that of the whole
    assert shapes["mouthClose"] == {"vrc.v_aa": -1.0}


def test_a_shape_means_one_thing():
    """An E of Rhubarb's is not another chart's E as well."""
    shapes = conventions.find(("A", "B", "C", "D", "E", "F", "G", "H", "X")).shapes
    own = [name for channel in shapes.values() for name in channel]
    assert shapes["jawOpen"] == {"D": 1.0} and shapes["mouthFunnel"] == {"E": 1.0}
    assert own.count("E") == 1 and own.count("F") == 1


@pytest.mark.parametrize(
    "names, wanted",
    [
        (
            "G9__facs_jnt_JawOpen G9__facs_bs_MouthClose_div2 G9__facs_bs_MouthPucker_div2 "
            "G9__facs_bs_MouthFunnel_div2 G9__facs_bs_MouthSmileLeft_div2 "
            "G9__facs_jnt_EyeBlinkLeft G9__facs_jnt_EyeBlinkRight G9__facs_bs_TongueOut "
            "G9__facs_ctrl_CheekPuff",
            "jawOpen mouthClose mouthPucker mouthFunnel mouthSmileLeft eyeBlinkLeft tongueOut "
            "cheekPuff",
        ),
        (
            "eCTRLMouthOpen eCTRLvUW eCTRLvOW eCTRLvM eCTRLvF eCTRLMouthSmileSimpleL "
            "eCTRLEyesClosedL eCTRLBrowInnerUp-Down",
            "jawOpen mouthPucker mouthFunnel mouthPressLeft mouthRollLower mouthSmileLeft "
            "eyeBlinkLeft browInnerUp",
        ),
        (
            "mouth-open mouth-protusion mouth-eversion mouth-pursing mouth-compression "
            "mouth-corner-puller mouth-retraction eye-left-closure",
            "jawOpen mouthFunnel mouthPucker mouthPressLeft mouthSmileLeft mouthStretchLeft "
            "eyeBlinkLeft",
        ),
        (
            "Avatar_JawOpen_blend Avatar_LipPuckerUpperLeft_blend Avatar_LipPuckerUpperRight_blend "
            "Avatar_LipPuckerLowerLeft_blend Avatar_LipPuckerLowerRight_blend "
            "Avatar_MouthClosed_blend Avatar_EyeClosedLeft_blend",
            "jawOpen mouthPucker mouthClose eyeBlinkLeft",
        ),
        (
            "MouthOpen MouthNarrow_Left MouthNarrow_Right Smile_Left Frown_Right Blink_Left "
            "BrowsDown_Left UpperLipUp_Left LowerLipDown_Right LowerLipIn",
            "jawOpen mouthPucker mouthSmileLeft mouthFrownRight eyeBlinkLeft browDownLeft "
            "mouthUpperUpLeft mouthLowerDownRight mouthRollLower",
        ),
        (
            "AU01 AU2_L AU_4_R AU10 AU12L L_AU12_Smile AU18_LipPucker AU_20_R_LipStretcher "
            "facs22 AU26_JawDrop AU45",
            "browInnerUp browOuterUpLeft browDownRight mouthUpperUpLeft mouthSmileLeft mouthPucker "
            "mouthStretchRight mouthFunnel jawOpen eyeBlinkRight",
        ),
        (
            "jawDrop lipsToward lipPuckerL lipPuckerR lipFunnelerLB lipFunnelerRB lipCornerPullerL "
            "lipStretcherR lowerLipDepressorL upperLipRaiserR eyesClosedL browLowererR eyesLookLeftL",
            "jawOpen mouthClose mouthPucker mouthFunnel mouthSmileLeft mouthStretchRight "
            "mouthLowerDownLeft mouthUpperUpRight eyeBlinkLeft browDownRight eyeLookOutLeft",
        ),
        (
            "sil_00 aa_ah_ax_01 aa_02 ao_03 ey_eh_uh_04 y_iy_ih_ix_06 w_uw_07 ow_08 l_14 s_z_15 "
            "sh_ch_jh_zh_16 th_dh_17 f_v_18 d_t_n_19 k_g_ng_20 p_b_m_21",
            "jawOpen mouthFunnel mouthPucker mouthStretchLeft mouthLowerDownLeft mouthPressRight "
            "mouthRollLower tongueTipUp tongueOut tongueBack",
        ),
        (
            "h_expressions.AE_AA_h h_expressions.AO_a_h h_expressions.UW_U_h h_expressions.FV_h "
            "h_expressions.MPB_Up_h h_expressions.MPB_Down_h h_expressions.MouthOpen_h "
            "h_expressions.LsmileOpen_h h_expressions.ReyeClose_h",
            "jawOpen mouthFunnel mouthPucker mouthRollLower mouthPressLeft mouthSmileLeft "
            "eyeBlinkRight",
        ),
        (
            "Phoneme_aah Phoneme_B,M,P Phoneme_ch,J,sh Phoneme_ee Phoneme_F,V Phoneme_oh "
            "Phoneme_ooh,Q Phoneme_th Modifier_BlinkLeft",
            "jawOpen mouthPressLeft mouthFunnel mouthStretchLeft mouthRollLower mouthPucker "
            "tongueOut eyeBlinkLeft",
        ),
        (
            "JawOpen LipsFunnel LipsPucker LowerLipClose LowerLipDownLeft UpperLipUpRight "
            "BrowsUpCenter BrowsDownLeft EyeBlinkLeft",
            "jawOpen mouthFunnel mouthPucker mouthRollLower mouthLowerDownLeft mouthUpperUpRight "
            "browInnerUp browDownLeft eyeBlinkLeft",
        ),
    ],
    ids=[
        "Daz FACS",
        "Daz Genesis 8",
        "MPFB",
        "with a prefix and a suffix",
        "Mixamo Fuse",
        "action units",
        "Meta Movement",
        "Microsoft",
        "Autodesk",
        "FaceGen",
        "Snap",
    ],  # fmt: skip
)
def test_names_of_other_makers_are_found(names, wanted):
    found = conventions.find(("Basis", *names.split()))
    assert set(wanted.split()) <= set(found.shapes) - set(found.fallbacks)


@pytest.mark.parametrize(
    "form, numbers, jaw, pucker",
    [
        ("viseme_{:02d}", range(15), "viseme_10", "viseme_14"),
        ("Viseme {}", range(1, 15), "Viseme 10", "Viseme 14"),
        ("vis_{:02d}", range(1, 16), "vis_11", "vis_15"),
        ("Head.Viseme{}", range(22), "Head.Viseme2", "Head.Viseme7"),
        ("viseme.{}", range(1, 23), "viseme.3", "viseme.8"),
    ],
)
def test_numbered_mouths_are_those_of_the_list_that_they_fit(form, numbers, jaw, pucker):
    shapes = conventions.find(("Basis", *map(form.format, numbers))).shapes
    assert jaw in shapes["jawOpen"] and pucker in shapes["mouthPucker"]


def test_numbers_that_fit_no_list_are_no_mouths():
    assert conventions.find(("Basis", *map("viseme_{}".format, range(1, 11)))) is None
    named = conventions.find(("AA_VI_00_Sil", "AA_VI_10_aa", "AA_VI_14_U", "AA_VI_01_PP"))
    assert named.shapes["jawOpen"] == {"AA_VI_10_aa": 1.0}, "what is said besides counts"


def test_what_two_action_units_do_together_is_neither():
    shapes = conventions.find(("AU12", "AU26", "AU06_AU12", "AU12_AU25", "AU01_AU02")).shapes
    assert {name for shape in shapes.values() for name in shape} == {"AU12", "AU26"}


def test_a_jaw_alone_behind_a_prefix_is_found_beside_plain_names():
    shapes = conventions.find(("Smile", "Blink", "CH01_MouthOpen_v2", "Hand Open")).shapes
    assert shapes["jawOpen"] == {"CH01_MouthOpen_v2": 1.0}
    assert "jawOpen" not in conventions.find(("Smile", "Blink", "Hand Open")).shapes


def test_letters_and_numbers_that_say_nothing_are_no_face():
    assert conventions.find(("Basis", "Key 1", "A", "Tall")) is None
