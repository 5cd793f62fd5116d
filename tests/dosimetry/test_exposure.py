"""Dose of the diagnostic scan: proportional to activity, with the tag of its source, never by default."""

from __future__ import annotations

import pytest

from fusin.dosimetry.exposure import coefficients, exposure, known_coefficients, read_coefficients
from fusin.errors import InputError
from fusin.provenance import NoticeLog

OWN = """
tracer = "[68Ga]Ga-Pentixafor"
nuclide = "Ga-68"
reference_activity_mbq = 1
effective_msv = 0.016
u_percent = 20
citation = "our own five patients"
tag = "V"
[organs_mgy]
spleen = 0.05
"""


def test_numbers_that_nobody_verified_are_given_by_name_only_and_with_a_warning():
    log = NoticeLog()
    found = exposure(coefficients("herrmann-2015-unverified"), administered_mbq=75.0, log=log)
    assert found.effective_msv.value == pytest.approx(1.15)
    assert found.organs_mgy["spleen"].value == pytest.approx(4.05)
    assert found.effective_msv.low is None
    assert [n.code for n in log] == ["COEFFICIENTS_UNVERIFIED"]
    assert "verify before use" in log.notices[0].message
    assert all(coefficients(name).citation for name in known_coefficients())


def test_own_coefficients_are_used_with_their_uncertainty(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    log = NoticeLog()
    found = exposure(read_coefficients(path), administered_mbq=150.0, log=log, activity_u_percent=5.0)
    assert found.effective_msv.value == pytest.approx(2.4)
    assert found.effective_msv.low == pytest.approx(2.4 / 1.4917, rel=2e-3)
    assert len(log) == 0


def test_the_scan_of_the_ct_is_length_times_conversion():
    found = exposure(coefficients("herrmann-2015-unverified"), administered_mbq=150.0, log=NoticeLog(),
                     ct_dlp_mgy_cm=300.0, ct_k_msv_per_mgy_cm=0.015)  # fmt: skip
    assert found.ct_msv == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('tag = "V"', 'tag = "X"'), ('tag = "V"', ""), ('citation = "our own five patients"', ""),
        ("effective_msv = 0.016", "effective_msv = -1"), ("reference_activity_mbq = 1", "reference_activity_mbq = 0"),
        ("u_percent", "u_procent"), ('"Ga-68"', '"Ga"'), ("spleen = 0.05", 'spleen = "much"'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path, old, new):
    path = tmp_path / "own.toml"
    path.write_text(OWN.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_coefficients(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_name_and_a_missing_activity_are_refused():
    with pytest.raises(InputError, match="herrmann-2015-unverified"):
        coefficients("herrmann")
    for activity in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError):
            exposure(coefficients("herrmann-2015-unverified"), administered_mbq=activity, log=NoticeLog())
    with pytest.raises(InputError):
        exposure(coefficients("herrmann-2015-unverified"), administered_mbq=1.0, log=NoticeLog(), ct_dlp_mgy_cm=1.0)
