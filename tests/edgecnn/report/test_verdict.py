from pathlib import Path

import pytest

from edgecnn.report.choice import pareto, told_apart
from edgecnn.report.evidence import Accuracy, Condition, Evidence, Latency, RunEvidence, Variant
from edgecnn.report.verdict import judge
from edgecnn.tasks.classification import wilson

HERE = Condition("A Processor", "litert 2.3.0", 1, "measured")
GUESS = Condition("A Phone", "", None, "estimated")


def variant(
    scheme: str,
    right: int | None,
    p50: float | None,
    *,
    p90: float | None = None,
    size: int = 1000,
    images: int = 1000,
    agreement: dict | None = None,
    condition: Condition = HERE,
) -> Variant:
    accuracy = None
    if right is not None:
        metrics = {"top1": right / images, "top1_interval": wilson(right, images), "images": images}
        metrics["per_class"] = [{"images": images // 2}, {"images": images - images // 2}]
        accuracy = Accuracy(metrics | ({"agreement": agreement} if agreement else {}), {})
    total = {} if p50 is None else {"p50": p50, "p90": p90 or p50, "p99": p90 or p50}
    latencies = (Latency(condition, total, {}, {}),) if total else ()
    file = Path(f"{scheme}.tflite")
    return Variant(
        file.name, "run", file, scheme, size, f"sha of {scheme}", accuracy=accuracy, latencies=latencies
    )


def evidence(*variants: Variant) -> Evidence:
    return Evidence((RunEvidence("run", Path("run"), None, (), {}),), variants, ())


def said(*variants: Variant) -> str:
    return " ".join(judge(evidence(*variants)).sentences).replace("\u00a0", " ")


def paired(low: float, high: float, share: float = 0.99) -> dict:
    return {"share": share, "sha256": "sha of float32", "difference_interval": [low, high]}


def test_no_measurement_says_what_to_run():
    assert said() == "Nothing was measured yet: edgecnn evaluate judges, edgecnn bench times."
    assert judge(evidence()).recommended is None


def test_accuracy_alone_recommends_nothing_and_asks_for_latency():
    text = said(variant("float32", 900, None), variant("int8", 890, None))
    assert text.startswith("float32.tflite is right most often: 90.0 % of 1,000 images right")
    assert "edgecnn bench" in text


def test_latency_alone_recommends_nothing_and_asks_for_accuracy():
    text = said(variant("float32", None, 2.0), variant("int8", None, 0.8))
    assert text.startswith("int8.tflite is the fastest: 0.800 ms an image.")
    assert "edgecnn evaluate" in text


def test_an_estimate_alone_recommends_nothing():
    assert judge(evidence(variant("int8", 900, 2.0, condition=GUESS))).recommended is None


def test_the_faster_of_two_that_cannot_be_told_apart_is_taken():
    found = judge(
        evidence(
            variant("float32", 900, 2.0, size=4000), variant("int8", 895, 0.8, agreement=paired(-0.01, 0.002))
        )
    )
    assert found.recommended.name == "int8.tflite"
    assert found.condition == HERE
    text = " ".join(found.sentences).replace("\u00a0", " ")
    assert text == (
        "Take int8.tflite: 89.5 % of 1,000 images right, 0.800 ms for one image. "
        "Against float32.tflite it is 2.5 × faster and 4.0 × smaller (1.00 KB). "
        "Its accuracy cannot be told apart from float32.tflite's 90.0 % on these 1,000 images; "
        "they decide alike on 99.0 % of the images."
    )


def test_a_small_loss_is_said_even_where_it_is_worth_it():
    text = said(variant("float32", 900, 2.0), variant("int8", 892, 0.8, agreement=paired(-0.012, -0.004)))
    assert "Take int8.tflite" in text
    assert "It is 0.8 points (between 0.4 and 1.2) less accurate than float32.tflite" in text


def test_a_large_loss_is_not_worth_it_and_its_price_is_said():
    text = said(variant("float32", 900, 2.0, size=4000), variant("int8", 820, 0.8))
    assert text.startswith("Take float32.tflite")
    assert "int8.tflite is 2.5 × faster still and 8.0 points less accurate" in text


def test_a_smaller_file_that_is_not_faster_is_said_to_be_so():
    text = said(variant("float32", 900, 2.0), variant("dynamic", 899, 4.0))
    assert text.startswith("Take float32.tflite")
    assert "dynamic.tflite would not be faster here." in text


def test_of_files_equally_fast_the_smaller_is_taken():
    found = judge(evidence(variant("float32", 900, 2.0, size=4000), variant("int8", 900, 2.04, size=1000)))
    assert found.recommended.name == "int8.tflite"
    assert "it is as fast and 4.0 × smaller" in " ".join(found.sentences).replace("\u00a0", " ")


def test_few_images_call_for_more():
    assert "With 90 images the accuracy is known only to ±6 points" in said(
        variant("int8", 81, 1.0, images=90)
    )


def test_a_busy_machine_is_said_to_be_one():
    assert "busy" not in said(variant("int8", 900, 1.0, p90=1.9))
    assert "one image in ten took 3.0 × as long as usual" in said(variant("int8", 900, 1.0, p90=3.0))


def test_a_network_that_guesses_is_said_to_guess():
    assert "no better than always naming the most frequent class (50.0 %)" in said(variant("int8", 520, 1.0))
    assert "no better" not in said(variant("int8", 560, 1.0))


@pytest.mark.parametrize(
    ("right", "other", "agreement", "apart"),
    [
        (900, 880, None, False),
        (900, 800, None, True),
        (800, 900, None, True),
        (900, 880, paired(-0.03, -0.01), True),
        (900, 800, paired(-0.2, 0.001), False),
    ],
)
def test_pairs_decide_where_there_are_pairs_else_intervals_that_do_not_overlap(
    right, other, agreement, apart
):
    one, two = variant("float32", right, 1.0), variant("int8", other, 1.0, agreement=agreement)
    assert told_apart(one, two) == told_apart(two, one) == apart


def test_agreement_with_another_file_is_no_pair():
    stranger = variant("int8", 800, 1.0, agreement={**paired(-0.2, 0.001), "sha256": "sha of another"})
    assert told_apart(variant("float32", 900, 1.0), stranger)


def test_the_front_holds_exactly_the_files_that_no_other_beats():
    places = [(900, 2.0), (900, 1.0), (850, 0.5), (840, 0.7), (950, 3.0), (700, 0.5)]
    many = [variant(f"s{n}", right, p50) for n, (right, p50) in enumerate(places)]
    many += [variant("unjudged", None, 0.1), variant("untimed", 999, None)]

    def beaten(v: Variant) -> bool:
        p50, top1 = v.latencies[0].total_ms["p50"], v.accuracy.value
        return any(
            (w.latencies[0].total_ms["p50"], -w.accuracy.value) != (p50, -top1)
            and w.latencies[0].total_ms["p50"] <= p50
            and w.accuracy.value >= top1
            for w in many[:6]
        )

    front = pareto(many, HERE)
    assert {v.name for v in front} == {v.name for v in many[:6] if not beaten(v)}
    assert [v.latencies[0].total_ms["p50"] for v in front] == [0.5, 1.0, 3.0]
    assert pareto(many, GUESS) == []
