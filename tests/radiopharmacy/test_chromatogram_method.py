"""Saved methods: every key is read, and a mistake is refused by its key."""

from __future__ import annotations

import pytest

from fusin.errors import InputError
from fusin.radiopharmacy.chromatogram_method import read_method

WHOLE = """
kind = "hplc"
nuclide = "68Ga"
decay_correction = true
dead_time_us = 4.0
dead_time_model = "paralysable"
denominator = "run"
fit = "emg"
peaks_from = "detect"
[baseline]
model = "linear"
windows_min = [[0, 1], [12, 14]]
[detection]
threshold = 6
exclude_min = [0, 0.5]
[delay]
seconds = 12
[recovery]
injected_area = 1000
injected_area_u = 10
[[peaks]]
name = "product"
retention_min = 10
tolerance_min = 0.5
role = "product"
[[peaks]]
name = "shoulder"
window_min = [10.4, 10.9]
skim = "tangent"
[[edits]]
peak = "product"
start_min = 9.5
reason = "late baseline"
user = "A. Person"
"""


def read(tmp_path, text):
    path = tmp_path / "method.toml"
    path.write_text(text)
    return read_method(path)


def test_every_key_of_a_method_is_read(tmp_path):
    found = read(tmp_path, WHOLE)
    assert (found.nuclide, found.dead_time_model, found.delay_s) == ("Ga-68", "paralysable", 12.0)
    assert found.baseline.windows == ((0.0, 1.0), (12.0, 14.0))
    assert found.detection.exclude == ((0.0, 0.5),)
    assert found.peaks[1].skim == "tangent"
    assert found.edits[0].start == 9.5
    assert found.recovery.injected == 1000.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nucleide = 'Ga-68'", "nuclide"),
        ("nuclide = 'Ga-88'", "Ga-68"),
        ("decay_correction = 'yes'", "true or false"),
        ("decay_correction = true", "nuclide"),
        ("origin_mm = '15 mm'", "number"),
        ("kind = 'gc'", "tlc, hplc"),
        ("[[regions]]\nname = 'a'", "rf or mm"),
        ("[[regions]]\nname = 'a'\nrf = [0.2, 0.0]", "smaller first"),
        ("[[regions]]\nname = 'a'\nrf = [0, 0.2]\n[[regions]]\nname = 'a'\nrf = [0.3, 0.5]", "once"),
        ("[[peaks]]\nname = 'a'", "one of window_min"),
        ("[[peaks]]\nname = 'a'\nretention_min = 3", "tolerance_min"),
        ("kind = 'tlc'\n[[peaks]]\nname = 'a'\nwindow_min = [0, 1]", "hplc for peaks"),
        ("[[edits]]\npeak = 'a'\nstart_min = 1\nuser = 'me'", "reason"),
        ("[[edits]]\npeak = 'a'\nstart_min = 1\nreason = 'x'", "user"),
        ("[[edits]]\npeak = 'a'\nreason = 'x'\nuser = 'me'", "start_min"),
        ("[recovery]\ninjected_area = 5", "injected_area_u"),
        ("[baseline]\nmodel = 'linear'\nper_point = 3", "constant"),
        ("[delay]\nseconds = 3\nmatch_min = [1, 2]", "one of them"),
        ("level = 95", "0.9999"),
        ("baseline = 3", "table"),
        ("x = [", "TOML"),
    ],
)
def test_a_mistake_in_a_method_is_refused_by_its_key(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)
