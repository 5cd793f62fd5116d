"""ICRP 133 files: layout, S values by hand, electrons' share, refusals. The files of these tests are made up."""

from __future__ import annotations

import numpy as np
import pytest

from fusin.dosimetry.emissions import emissions
from fusin.dosimetry.organs import organ_doses
from fusin.dosimetry.s_table_files import read_s_tables
from fusin.dosimetry.s_tables import KEV_PER_S_GRAM, absorbed_kev, with_masses
from fusin.dosimetry.saf_files import read_saf
from fusin.errors import FusinError, InputError, NotComputable
from fusin.provenance import NoticeLog

ENERGIES = [0.001, 0.01, 0.1, 1.0, 10.0]
MASS_KG = {"Liver": 1.8, "R-marrow": 1.17}


def saf_text(value):
    """Records of two organs; ``value(target, source)`` is the SAF at each energy."""
    head = ["made up", "layout of ICRP 133", "Electrons"]
    energies = "   2   2" + " " * 14 + "".join(f"{e:10.5f}" for e in ENERGIES) + "   Ecutoff  Icut"
    lines = [*head, energies, "-" * 60]
    for target in MASS_KG:
        for source in MASS_KG:
            values = "".join(f"{v:10.3E}" for v in value(target, source))
            lines.append(f"{target:<10}<-{source:<10}{values}{0.001:10.3E}  1")
    return "\r\n".join(lines) + "\r\n"


def electrons(target, source):
    return (
        [0.5 / MASS_KG[target] if target == "R-marrow" else 1.0 / MASS_KG[target]] * 5
        if target == source
        else [0.0] * 5
    )


def photons(target, source):
    return [0.1 / MASS_KG[target] if target == source else 0.01] * 5


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / "rcp-am_electron_2016-08-12.SAF", tmp_path / "rcp-am_photon_2016-08-12.SAF"]
    for path, value in zip(paths, (electrons, photons), strict=True):
        path.write_bytes(saf_text(value).encode())
    return paths


def test_s_values_are_energy_times_absorbed_fraction(files):
    table = read_s_tables(files, NoticeLog(), nuclide_name="Lu-177")
    emitted = emissions("Lu-177")
    self_s = table.values[0, 0]
    kev = emitted.electron_kev_per_decay + 0.1 * emitted.photon_kev_per_decay
    assert absorbed_kev(self_s, 1800.0) == pytest.approx(kev, rel=2e-3)
    assert table.values[0, 1] == pytest.approx(0.01 * emitted.photon_kev_per_decay * KEV_PER_S_GRAM / 1000, rel=2e-3)
    assert table.electron_share("liver") == pytest.approx(emitted.electron_kev_per_decay / kev, rel=2e-3)


def test_marrow_takes_half_of_the_electrons_where_its_file_says_so(files):
    table = with_masses(read_s_tables(files, NoticeLog(), nuclide_name="Y-90"), {"red marrow": 1170.0}, NoticeLog())
    found = organ_doses({"red marrow": 1.0}, table, {"red marrow": 585.0}, log=NoticeLog()).of("red marrow")
    kev = 0.5 * emissions("Y-90").electron_kev_per_decay
    assert found.dose_gy.value == pytest.approx(3.6 * kev * KEV_PER_S_GRAM / 585.0, rel=5e-3)


def test_a_saf_that_changes_with_energy_is_interpolated_and_integrated_over_the_spectrum(tmp_path, files):
    """SAF = 1 + log10(E/keV): the monotone cubic is exact on it, and the spectrum's mean log energy is a sum of its own."""
    steep = saf_text(lambda t, s: [1.0 + i for i in range(5)])
    files[0].write_text(steep)
    table = read_s_tables(files, NoticeLog(), nuclide_name="Y-90")
    (branches, total) = emissions("Y-90").betas, 0.0
    for branch in branches:
        spectrum = branch.spectrum(4000)
        total += branch.intensity * np.sum(
            spectrum.energy_kev * spectrum.share * (1 + np.log10(np.maximum(spectrum.energy_kev, 1)))
        )
    assert table.values[0, 1] == pytest.approx(total * KEV_PER_S_GRAM / 1000, rel=5e-3)


def test_values_without_blanks_between_them_are_read_by_their_columns(tmp_path):
    path = tmp_path / "rcp-af_photon_2016-08-12.SAF"
    text = saf_text(photons).replace(" 5.556E-02", "5.5556E-02")
    path.write_text(text)
    assert read_saf(path).saf_per_kg[0, 0, 0] == pytest.approx(0.05556, rel=1e-3)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<-Liver", "--Liver"),
        ("1.000E-02", "1.000Q-02"),
        ("   0.00100", "   9.00100"),
        ("   2   2", "two"),
        ("1.000E-02", "-1.00E-02"),
    ],
)
def test_a_line_of_another_layout_is_refused_with_its_number(files, old, new):
    files[1].write_text(saf_text(photons).replace(old, new))
    with pytest.raises(InputError, match="line"):
        read_s_tables(files, NoticeLog(), nuclide_name="Lu-177")


def test_one_file_two_models_and_other_particles_are_refused(tmp_path, files):
    for paths in ([files[0]], [files[0], files[0]]):
        with pytest.raises(FusinError):
            read_s_tables(paths, NoticeLog(), nuclide_name="Lu-177")
    other = tmp_path / "rcp-af_photon_2016-08-12.SAF"
    other.write_bytes(files[1].read_bytes())
    alpha = tmp_path / "rcp-am_alpha_2016-08-12.SAF"
    alpha.write_bytes(files[1].read_bytes())
    short = tmp_path / "rcp-am_photon_x.SAF"
    short.write_text("nothing")
    for second in (other, alpha, short):
        with pytest.raises(InputError):
            read_s_tables([files[0], second], NoticeLog(), nuclide_name="Lu-177")
    with pytest.raises(InputError, match="--nuclide"):
        read_s_tables(files, NoticeLog())


def test_a_nuclide_whose_alphas_are_in_neither_file_is_refused(files):
    with pytest.raises(NotComputable, match="alphas") as refusal:
        read_s_tables(files, NoticeLog(), nuclide_name="Ac-225")
    assert refusal.value.code == "ALPHAS_NOT_IN_TABLE"
