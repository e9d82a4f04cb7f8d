import pytest

from edgecnn.training.schedule import Cosine, rate_at

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_the_graph_computes_what_the_formula_says(warmup: int) -> None:
    cosine = Cosine(peak=0.3, warmup=warmup, total=50)
    for step in range(51):
        assert float(cosine(step)) == pytest.approx(
            rate_at(step, peak=0.3, warmup=warmup, total=50), rel=1e-4, abs=1e-7
        )


def test_the_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    rates = [rate_at(step, peak=1.0, warmup=10, total=100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.97
    assert rates.index(max(rates)) == 9
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0, abs=1e-12)
