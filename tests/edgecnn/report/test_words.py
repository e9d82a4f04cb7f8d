import pytest

from edgecnn.report import words


def plain(text: str) -> str:
    assert "\u00a0" in text or " " not in text, "a number and its unit must stay on one line"
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("share", "digits", "text"),
    [
        (0.0, 1, "0.0 %"),
        (0.9412, 1, "94.1 %"),
        (1.0, 1, "100.0 %"),
        (0.9996, 1, "99.96 %"),
        (0.99996, 1, "99.996 %"),
        (0.999, 0, "99.9 %"),
        (0.5, 0, "50 %"),
        (None, 1, "–"),
    ],
)
def test_a_share_is_rounded_but_only_all_is_a_hundred_percent(share, digits, text):
    assert plain(words.percent(share, digits)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.000421, "0.000421"),
        (0.0421, "0.0421"),
        (0.09996, "0.100"),
        (0.4213, "0.421"),
        (4.2, "4.20"),
        (9.996, "10.0"),
        (42.13, "42.1"),
        (99.96, "100"),
        (421.3, "421"),
        (999.6, "1,000"),
        (4213, "4,210"),
        (1234567, "1,230,000"),
    ],
)
def test_three_digits_count_at_every_scale(value, text):
    assert words.significant(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 KB"),
        (86_400, "86.4 KB"),
        (999_600, "1.00 MB"),
        (3_400_000_000, "3.40 GB"),
        (2_000_000_000_000, "2.0 TB"),
    ],
)
def test_sizes_are_in_units_of_a_thousand(count, text):
    assert plain(words.size(count)) == text


@pytest.mark.parametrize(
    ("difference", "text"), [(-0.0123, "−1.2"), (0.005, "+0.5"), (0.0, "±0.0"), (-0.0004, "±0.0")]
)
def test_differences_in_points_carry_their_sign(difference, text):
    assert words.points(difference) == text


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_names_are_listed_as_people_do(names, text):
    assert words.listed(names) == text


def test_intervals_times_and_ratios_are_short():
    assert plain(words.interval((0.929, 0.951))) == "92.9–95.1 %"
    assert plain(words.milliseconds(0.4213)) == "0.421 ms"
    assert words.milliseconds(None) == words.interval(None) == "–"
    assert plain(words.times(1.83)) == "1.8 ×"
    assert plain(words.times(34.4)) == "34 ×"


@pytest.mark.parametrize(
    ("said", "words_of_it"),
    [
        ({}, ("–", "")),
        ({"outcome": "<b>fine</b>", "at_most_points": 0.5, "data": {"images": 9}}, ("–", "")),
        ({"outcome": ["certified"]}, ("–", "")),
        ({"outcome": "certified", "at_most_points": "none", "data": {"images": 9}}, ("certified", "")),
        ({"outcome": "refused", "at_most_points": 1.0, "data": 3}, ("refused", "")),
        (
            {"outcome": "certified", "at_most_points": 0.971, "data": {"images": 1307}},
            ("certified", "loses at most 0.97 points, by 1,307 images"),
        ),
    ],
)
def test_a_certificate_is_told_in_few_words_and_foreign_ones_are_left_out(said, words_of_it):
    assert words.certificate(said) == words_of_it
