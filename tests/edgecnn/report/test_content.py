from edgecnn.report import classes, content
from edgecnn.report.gather import gather
from edgecnn.report.verdict import judge


def of(run):
    found = gather([run.path])
    return found, judge(found)


def test_a_run_without_numbers_has_empty_sections(a_run):
    run = a_run()
    run.trained()
    found, verdict = of(run)
    assert content.tiles(found, verdict) == []
    assert content.model_rows(found, verdict) == []
    assert classes.class_rows(found, None) == []
    assert classes.confusion(None) is None
    assert classes.mistakes(None) == []
    assert content.conditions(found) == []
    assert content.best_judged(found, verdict) is None


def test_the_tiles_are_the_recommended_file(whole_run):
    found, verdict = of(whole_run)
    tiles = content.tiles(found, verdict)
    assert [tile.name for tile in tiles] == ["images right", "for one image", "file size", "same decision"]
    assert tiles[1].value.replace("\u00a0", " ") == "0.800 ms"
    assert tiles[1].beside.replace("\u00a0", " ") == "float32.tflite: 2.00 ms"
    assert tiles[3].beside == "with float32.tflite"


def test_each_condition_of_a_file_has_its_row_and_one_is_recommended(whole_run):
    whole_run.timed("int8", 30.0, device="Raspberry Pi 4")
    whole_run.timed("int8", 25.0, device="Raspberry Pi 4", source="estimated")
    rows = content.model_rows(*of(whole_run))
    assert [(row["name"], row["p50"], row["recommended"]) for row in rows] == [
        ("float32.tflite", "2.00", False),
        ("int8.tflite", "0.800", True),
        ("int8.tflite", "30.0", False),
    ]  # estimates have a table of their own


def test_stages_are_shares_of_the_slowest_file(whole_run):
    found, _ = of(whole_run)
    rows = content.stage_rows(found, found.conditions[0])
    widths = [sum(stage["width"] for stage in row["stages"]) for row in rows]
    assert widths[0] == 100
    assert abs(widths[1] - 40) < 0.1
    assert [stage["name"] for stage in rows[0]["stages"]] == ["prepare", "invoke", "decode"]


def test_files_measured_alike_share_their_conditions(whole_run):
    found, _ = of(whole_run)
    entries = content.conditions(found)
    assert [(entry["what"], entry["files"]) for entry in entries] == [
        ("accuracy", ["float32.tflite", "int8.tflite"]),
        ("latency", ["float32.tflite", "int8.tflite"]),
    ]
    whole_run.timed("int8", 0.8, device="Raspberry Pi 4")
    assert len(content.conditions(gather([whole_run.path]))) == 2  # the made-up environment is the same
    facts = dict(entries[0]["facts"])
    assert facts["data"] == f"name: drawn:1, split: test, images: 400, sha256: {'aa' * 32}"
    assert facts["command"] == "edgecnn evaluate x"


def test_the_confusion_matrix_leaves_out_labels_that_never_occur(a_run):
    run = a_run("wide", ("a", "b", "c", "never seen and never said"))
    run.file("int8")
    found = run.evaluation(1.0, images=2)
    run.judged("int8", found)
    evidence, verdict = of(run)
    table = classes.confusion(content.best_judged(evidence, verdict))
    assert table["labels"] == ["a", "b"]
    assert [[cell["count"] for cell in row["cells"]] for row in table["rows"]] == [[1, 0], [0, 1]]


def test_classes_of_many_are_sorted_by_how_badly_they_are_known(a_run):
    run = a_run("many", tuple(f"class {n}" for n in range(40)))
    run.file("int8")
    run.judged("int8", run.evaluation(0.6, images=800))
    evidence, verdict = of(run)
    rows = classes.class_rows(evidence, content.best_judged(evidence, verdict))
    recalls = [row["share"] for row in rows]
    assert len(rows) == 40
    assert recalls == sorted(recalls)
