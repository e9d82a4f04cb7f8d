import json
import shlex
from dataclasses import replace

from edgecnn.report.commands import commands
from edgecnn.report.gather import gather

TRAINED = "train resnet8 on drawn.zip (4000 images), epoch 4 of 4, seed 3"
PRUNED = (
    "compress: 0.461 of the MACs stay for 0.5 of the MACs, least energy first, multiples of 8; trained, "
    "distilled from resnet8 c4619532d2ee (weight 0.9, temperature 4), on drawn.zip (4000 images), epoch 2"
)
RECIPE = {
    "model": "resnet8", "width": 0.5, "input": {"width": 64, "height": 48, "color": "gray"}, "pretrained": "",
    "epochs": 4, "batch": 32, "optimizer": "sgd", "rate": 0.2, "seed": 3,
}  # fmt: skip


def of(run, lineage, *, before=None):
    run.card = replace(run.card, lineage=lineage)
    run.trained()
    run.run.recipe.write_text(json.dumps(RECIPE), encoding="utf-8")
    found = gather([run.path])
    (own,) = found.runs
    compression = {"before": {"run": before}} if before else {}
    found = replace(found, runs=(replace(own, compression=compression),))
    return commands(found, [run.path], ["raspberry_pi_4"])


def test_a_training_is_told_by_its_recipe(a_run):
    run = a_run()
    assert of(run, (TRAINED,)) == [
        "edgecnn train drawn.zip --model resnet8 --width 0.5 --size 64x48 --color gray --epochs 4 --batch 32 "
        f"--optimizer sgd --rate 0.2 --seed 3 --out {run.path}",
        f"edgecnn report {run.path} --target raspberry_pi_4",
    ]


def test_a_pruned_run_is_not_told_as_a_training(a_run):
    run = a_run()
    first, _ = of(run, (TRAINED, PRUNED), before="runs/resnet8")
    assert first == (f"edgecnn compress runs/resnet8 --macs 0.5 --data drawn.zip --epochs 4 --out {run.path}")


def test_what_no_command_is_known_for_is_a_comment(a_run):
    assert of(a_run(), (TRAINED, PRUNED, "quantization-aware training"))[:3] == [
        f"# cats: {step}" for step in (TRAINED, PRUNED, "quantization-aware training")
    ]


def test_files_are_converted_judged_and_timed_as_they_were(whole_run):
    lines = [shlex.split(line) for line in commands(gather([whole_run.path]), [whole_run.path], [])]
    float32, int8 = (str(whole_run.run.tflite(scheme)) for scheme in ("float32", "int8"))
    assert ["edgecnn", "convert", str(whole_run.path), "--float32", "--int8"] in lines
    assert ["edgecnn", "bench", float32, int8, "--threads", "1", "--warmup", "10"] in lines
    assert ["edgecnn", "evaluate", "x"] in lines  # what the measurement itself says
