"""A case file of OLINDA: what is filled in, what stays, what is refused."""

from __future__ import annotations

import pytest

from fusin.dosimetry.olinda_case import olinda_case, read_template
from fusin.errors import InputError

# Made up after the layout of such files; masses are invented.
TEMPLATE = """Saved on a day
[BEGIN CASE FILE]
[BEGIN NUCLIDES]
I-131|
[END NUCLIDES]
[BEGIN MODELS]
[BEGIN Somebody]
[BEGIN Somebody SOURCE ORGANS]
Kidneys|300.0|0.0
Liver|1700.0|0.0
[END Somebody SOURCE ORGANS]
[BEGIN KINETIC DATA]
Kidneys|0.5
Liver|0.0
Red Marrow|0.0
[END KINETIC DATA]
[END Somebody]
[END MODELS]
[END CASE FILE]
"""


def test_nuclide_and_coefficients_are_filled_in_and_masses_stay():
    text = olinda_case(TEMPLATE, {"kidneys": 1.0531629, "red mar.": 0.02}, nuclide_name="177Lu")
    assert "[BEGIN NUCLIDES]\nLu-177|\n[END NUCLIDES]" in text
    assert "Kidneys|1.05316\nLiver|0\nRed Marrow|0.02\n[END KINETIC DATA]" in text
    assert "Kidneys|300.0|0.0" in text
    assert text.count("\n") == TEMPLATE.count("\n")


@pytest.mark.parametrize("values", [{"aorta": 1.0}, {"kidneys": -1.0}, {"kidneys": float("nan")}])
def test_a_source_or_a_coefficient_that_the_case_cannot_hold_is_refused(values):
    with pytest.raises(InputError):
        olinda_case(TEMPLATE, values, nuclide_name="Lu-177")


def test_a_file_that_is_no_case_is_refused(tmp_path):
    path = tmp_path / "x.cas"
    path.write_text("hello")
    with pytest.raises(InputError, match="BEGIN NUCLIDES"):
        read_template(path)
    with pytest.raises(InputError):
        read_template(tmp_path / "none.cas")
    path.write_bytes(TEMPLATE.replace("\n", "\r\n").encode())
    assert olinda_case(read_template(path), {"liver": 2.0}, nuclide_name="Y-90").count("Y-90") == 1
