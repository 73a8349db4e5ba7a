def test_probe(windowed):
    print(windowed.act("undo_scenarios.whole")["log"])
