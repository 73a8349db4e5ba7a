# SPDX-License-Identifier: GPL-3.0-or-later
"""What an edit of a mapping's table changes besides, and what stays as the animator chose it."""

from types import SimpleNamespace

from thunder_core.face.mapping import JointRule, Mapping, Rule, Target
from thunder_core.face.reading.mapping_rows import follow_edit, plan_of_rows, rows_of

CELLS = {
    "kind": "NONE", "object": "", "target": "", "bone": "", "path": "location", "index": "X",
    "weight": 1.0, "lead": 0.0,
}  # fmt: skip


class Table:
    """The table of a mapping with rules {source: (key, weight)}."""

    def __init__(self, rules):
        rules = tuple(Rule(source, Target("KEY", *key), by) for source, (*key, by) in rules.items())
        self.plan = Mapping("Nobody", rules)
        made = rows_of(self.plan, ("mouthClose", "mouthFunnel", "mouthPucker"))
        self.rows = [SimpleNamespace(**CELLS | row) for row in made]

    def row(self, source):
        return next(row for row in self.rows if row.source == source)

    def edit(self, source, **cells):
        """Change a row; the targets of lips that close, as they are then."""
        row = self.row(source)
        vars(row).update(cells)
        for other, values in follow_edit(row, self.rows, self.plan):
            vars(other).update(values)
        self.plan = plan_of_rows(self.rows, self.plan)
        closing = [rule for rule in self.plan.rules if rule.source == "mouthClose"]
        return [(rule.target.name, round(rule.weight, 3)) for rule in closing]


def test_a_key_chosen_in_place_of_a_stand_in_moves_in_full():
    table = Table({"mouthPucker": ("mouthPucker", 1.0), "mouthFunnel": ("mouthPucker", 0.6)})
    table.edit("mouthFunnel", target="Wave")
    assert table.row("mouthFunnel").weight == 1.0
    table.edit("mouthFunnel", weight=0.6)
    table.edit("mouthFunnel", target="Wave")
    assert table.row("mouthFunnel").weight == 0.6, "an amount that the animator chose stays"


def test_a_jaw_mapped_by_hand_closes_the_lips_where_nothing_else_does():
    table = Table({"eyeBlinkLeft": ("eyeBlink_L", 1.0)})
    assert table.edit("jawOpen", kind="KEY", target="Chin") == [("Chin", -1.0)]
    assert table.row("mouthClose").target == "Chin"
    table.edit("jawOpen", target="Chops")
    assert table.edit("jawOpen", weight=0.8) == [("Chops", -0.8)]
    table.edit("mouthClose", target="Lips")
    assert table.edit("jawOpen", target="Chin") == [("Lips", -0.8)], "what was chosen stays"
    table.edit("mouthClose", kind="NONE")
    assert table.edit("jawOpen", weight=1.0) == []


def test_a_row_stands_for_each_rule_and_for_each_channel_without_one():
    table = Table({"mouthPucker": ("Pout", 1.0), "jawOpen": ("Jaw", 1.0), "odd": ("Odd", 0.5)})
    sources = [row.source for row in table.rows]
    assert {"mouthClose", "mouthFunnel", "neck", "odd"} < set(sources) and "jaw" not in sources
    assert len(sources) == len(set(sources))
    assert (table.row("mouthFunnel").kind, table.row("neck").kind) == ("NONE", "JOINT")
    assert sorted(plan_of_rows(table.rows, table.plan).rules, key=str) == sorted(
        table.plan.rules, key=str
    )


def test_what_a_bone_does_already_is_no_gap():
    joints = tuple(JointRule(joint, "Bone") for joint in ("jaw", "eye_left"))
    sources = {row["source"] for row in rows_of(Mapping("", joints=joints), ())}
    assert {"jaw", "eye_left", "neck"} < sources
    assert not sources & {"jawOpen", "jawLeft", "jawRight", "eyeLookUpLeft", "eyeLookInRight"}
