from edgecnn.cli.sensitivity import show_sensitivity


def layer(name, macs, *scores):
    trials = [
        {"share": share, "removed": 1, "score": score, "loss": 1.0}
        for share, score in zip((0.25, 0.5), scores, strict=True)
    ]
    return {"name": name, "makers": [name], "channels": 16, "macs": macs, "trials": trials}


def found(*layers, weightiest):
    return {
        "criterion": "taylor",
        "settled": True,
        "figure": "accuracy",
        "images": 1024,
        "score": 0.9,
        "macs": 200,
        "weightiest": weightiest,
        "layers": layers,
    }


def test_each_layer_is_on_a_line_with_its_rank_and_the_points_it_loses(capsys):
    show_sensitivity(found(layer("stem", 50, 0.8, 0.45), layer("last", 25, 0.91, 0.9),
                           weightiest=["stem", "last"]))  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["rank", "channels", "of", "count", "MACs", "%", "-25", "%", "-50", "%"]
    assert lines[1].split() == ["1", "stem", "16", "25.0", "-10.0", "-45.0"]
    assert lines[2].split() == ["2", "last", "16", "12.5", "+1.0", "+0.0"]
    assert lines[-1] == "most hangs on: stem, last"


def test_of_many_layers_those_are_named_that_hold_least_too(capsys):
    layers = [layer(name, 10, 0.8, 0.7) for name in "abcde"]
    show_sensitivity(found(*layers, weightiest=list("abcde")))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "most hangs on: a, b, c",
        "least hangs on: e, d, c",
    ]
