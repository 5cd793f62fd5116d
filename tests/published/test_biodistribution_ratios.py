"""Tumour-to-organ ratios as papers print them: of means, and per animal.

Int J Mol Sci 2021;22:5459 (PMC8196871), table 2: 111In-DOTA-EB-cRGDfK in U-87 MG mice, %ID/g as mean +/- SD, n = 4-5, with
T/M and T/B ratios. PMC11635053, table 2, and PMC5322329, table 2: single quotients. Daudi tumours, DOTA against NOTA:
EJNMMI Res 2016, doi:10.1186/s13550-016-0227-2.
"""

from __future__ import annotations

import pytest

from fusin.assays.ratios import ratio_of_summaries
from fusin.errors import InputError
from fusin.provenance import NoticeLog
from fusin.report.biodistribution_report import BiodistributionInputs, BiodistributionOptions, biodistribution_report
from fusin.stats.groups import Summary

TIMES = (2, 24, 48, 72, 96)
TABLE = {
    "Tumor": ((19.44, 2.20), (27.12, 2.70), (26.53, 3.92), (26.44, 6.16), (18.55, 2.01)),
    "Blood": ((13.46, 0.92), (1.90, 0.16), (1.44, 0.19), (1.12, 0.38), (0.88, 0.05)),
    "Muscle": ((2.18, 0.27), (1.19, 0.11), (1.19, 0.14), (1.26, 0.23), (1.02, 0.14)),
}
PRINTED = {"Muscle": (8.92, 22.79, 22.29, 20.98, 18.19), "Blood": (1.44, 14.27, 18.42, 23.61, 21.08)}


def summary(mean, sd, n=4):
    return Summary(mean=mean, sd=sd, n=n)


@pytest.mark.parametrize(
    ("top", "bottom", "printed"),
    [(8.47, 1.17, 7.24), (11.20, 0.22, 50.91), (16.03, 3.10, 5.17), (19.44, 13.46, 1.444), (18.55, 0.88, 21.08),
     (16.2, 1.7, 9.53)],
)  # fmt: skip
def test_printed_quotients_are_ratios_of_means(top, bottom, printed):
    found = ratio_of_summaries(summary(top, 0.1 * top), summary(bottom, 0.1 * bottom)).estimate.value
    assert found == pytest.approx(printed, abs=0.6 * 10 ** -len(str(printed).split(".")[1]))


def test_the_whole_table_comes_out_of_the_verb(tmp_path):
    rows = ["organ,mean,sd,n,time_h"]
    rows += [f"{o},{m},{s},4,{h}" for o, cells in TABLE.items() for h, (m, s) in zip(TIMES, cells, strict=True)]
    (tmp_path / "means.csv").write_text("\n".join(rows))
    output = biodistribution_report(
        BiodistributionInputs(table=tmp_path / "means.csv"), options=BiodistributionOptions(), log=NoticeLog()
    )
    found = {(r["organ"], r["time"]): r for r in output.document["ratios"]}
    for organ, printed in PRINTED.items():
        for hours, value in zip(TIMES, printed, strict=True):
            ratio = found[organ, f"{hours} h"]
            # The paper rounds means before or after dividing; its own digits differ by up to 0.01.
            assert ratio["of_means"]["value"] == pytest.approx(value, abs=0.0101)
            assert ratio["of_means"]["kind"] == "of means"
            assert ratio["per_animal"] is None


def test_delta_sd_of_a_table_that_prints_per_animal_ratios():
    # PMC5322329: 5.3/0.6 = 8.83 by means, prints 10 +/- 2 per animal; 5.3 +/- 0.7 and 0.6 +/- 0.2 give a delta SD of 3.17
    found = ratio_of_summaries(summary(5.3, 0.7), summary(0.6, 0.2))
    assert found.estimate.value == pytest.approx(8.83, abs=0.005)
    assert found.delta_sd == pytest.approx(3.17, abs=0.005)
    assert abs(found.estimate.value - 10.0) > 1.0


def test_means_without_their_spread_are_refused(tmp_path):
    (tmp_path / "means.csv").write_text("organ,mean,n\nTumor,5,4\nBlood,1,4\n")
    with pytest.raises(InputError, match="sd"):
        biodistribution_report(
            BiodistributionInputs(table=tmp_path / "means.csv"), options=BiodistributionOptions(), log=NoticeLog()
        )
