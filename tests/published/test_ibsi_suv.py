"""IBSI SUV digital reference objects, version 3 (oncoray/suv_computation, CC BY 4.0).

Every object must give SUVbw 0.20, 1.00 and 4.00 (min, median, max) in its mask, and 15 headers must be refused.
The full list is generated here from its published description; five originals are read where they lie.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from fusin.errors import NotComputable
from fusin.imaging.masks import read_regions
from fusin.imaging.select_series import choose_pet
from fusin.imaging.series import scan
from fusin.imaging.suv import compute_suv
from fusin.provenance import NoticeLog
from fusin.testing import ibsi_dro, ibsi_dro_ids

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pet" / "ibsi_suv_dro"
VALUES = [i for i in ibsi_dro_ids() if "error" not in i]
ERRORS = [i for i in ibsi_dro_ids() if "error" in i]
# The tag or quantity that the refusal must name, from the list's own descriptions.
NAMED = {
    "DRO_error_2_0": "0010,1030", "DRO_error_2_1": "0010,1030", "DRO_error_2_2": "0010,0040",
    "DRO_error_2_3": "0010,0040", "DRO_error_2_4": "0010,1020", "DRO_error_2_5": "0010,1020",
    "DRO_error_2_6": "7053", "DRO_error_2_7": "PROPCNTS", "DRO_error_3_0": "0018,1074",
    "DRO_error_3_1": "0018,1074", "DRO_error_3_2": "0018,1242", "DRO_error_4_0": "0018,1078",
    "DRO_error_4_1": "41400", "DRO_error_4_2": "41400", "DRO_error_5_0": "0018,1075",
}  # fmt: skip


def suv_of(folder: Path):
    log = NoticeLog()
    series = choose_pet(scan(folder, log), log)
    return compute_suv(series, series.load(log), log).volume


def test_the_list_has_43_values_and_15_refusals():
    assert (len(VALUES), len(ERRORS)) == (43, 15)
    assert set(NAMED) == set(ERRORS)


@pytest.mark.parametrize("case", VALUES)
def test_value_case_gives_the_reference_suv(tmp_path, case):
    dro = ibsi_dro(case, tmp_path)
    inside = suv_of(dro.folder).values[dro.mask]
    assert (inside.min(), np.median(inside), inside.max()) == pytest.approx((0.20, 1.00, 4.00), abs=0.005)


@pytest.mark.parametrize("case", ERRORS)
def test_error_case_is_refused_by_type_and_names_its_field(tmp_path, case):
    dro = ibsi_dro(case, tmp_path)
    with pytest.raises(NotComputable, match=NAMED[case]) as caught:
        suv_of(dro.folder)
    assert type(caught.value) is not NotComputable
    assert caught.value.code != "NOT_COMPUTABLE"


@pytest.mark.skipif(not SHARED.exists(), reason="the original IBSI SUV objects are not beside this checkout")
@pytest.mark.parametrize("case", ["0_0", "1_0", "2_0", "3_1", "4_0"])
def test_original_object_gives_the_reference_suv(tmp_path, case):
    with tarfile.open(SHARED / "DRO_public.tar.xz") as archive:
        wanted = [m for m in archive.getmembers() if f"DRO_{case}/" in m.name]
        archive.extractall(tmp_path, members=wanted, filter="data")
    folder = next(tmp_path.rglob("PT"))
    volume = suv_of(folder)
    log = NoticeLog()
    for regions in (folder.parent / "RS", folder.parent / "mask"):
        (region,) = read_regions(regions, grid=volume.grid, log=log)
        inside = region.values_in(volume)
        assert (inside.min(), np.median(inside), inside.max()) == pytest.approx((0.20, 1.00, 4.00), abs=0.025)
