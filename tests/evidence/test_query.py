"""Questions to the evidence, the discrepancy list, and data of a forest plot."""

from __future__ import annotations

import doctest

import pandas as pd
import pytest

from fusin.errors import InputError
from fusin.evidence import query as module
from fusin.evidence.catalogue import Catalogue, Record, all_records, evidence
from fusin.evidence.query import Added, discrepancies, forest_data, query, shipped_discrepancies, topics


def test_without_a_condition_every_record_is_a_row():
    table = query()
    assert list(table["id"]) == [r.id for r in all_records()]
    assert table["citation"].str.len().min() > 0
    assert set(table["topic"]) == set(topics())


def test_conditions_narrow_together_and_in_any_case():
    table = query(topic="dosimetry", tracer="90y-PENTIXATHER", entity="Kidney")
    assert set(table["id"]) == {"haenscheid-dose-kidney-y", "haenscheid-ratio-kidney"}
    assert "weich2021-paired" in set(query(tracer="FDG", topic="comparison")["id"])


def test_text_looks_everywhere_for_all_words():
    assert "jnm116544-ct85-sensitivity" in set(query(text="highwire sensitivity")["id"])
    assert set(query(text="LYMFOR marginal")["id"]) == {"trial-nct06125028"}
    assert query(text="no such words anywhere").empty


def test_older_records_are_filed_under_their_kind():
    assert "adrenal-li-hu2023" in set(query(topic="adrenal-cutoff")["id"])


def test_an_unknown_topic_is_refused_with_near_ones():
    with pytest.raises(InputError, match="dosimetry"):
        query(topic="dosimetri")
    with pytest.raises(InputError):
        forest_data("x")


def test_unverified_rows_say_so():
    table = query(topic="affinity").set_index("id")
    assert not table.loc["pentixafor-ic50-guide", "default_grade"]
    assert table.loc["cu-pentixather-ic50", "default_grade"]


def test_missing_counts_stay_missing():
    table = query(topic="dosimetry")
    assert table["k"].isna().all()
    assert str(table["k"].dtype) == "Int64"


# Second transcription of the clinical sheet, section 1, and of its list of errors of concept: id -> verdict
VERDICTS = {
    "werner2017-lesions": "wrong", "werner2017-patients": "unverified", "werner2017-grade": "overstated",
    "weich2021-total": "omission", "lapa2016-sclc": "omission", "linde2021-lesions": "wrong",
    "luo2019-marrow": "omission", "cns2022-tnr": "omission", "dreher2023": "agrees",
    "schwarzenboeck2017-pc3": "suspect", "poschenrieder2016-ic50": "suspect", "poschenrieder2016-uptake": "omission",
    "haenscheid-90y": "omission", "yin2024-reference": "omission", "pa-bilateral": "unverified",
    "lapa2017-mm": "overstated", "nct06125028-phase": "wrong", "nct05222269-enrolled": "agrees",
    "nct06246357-status": "agrees", "nct-unverified": "unverified", "daniel2023-conditions": "wrong",
    "manual-labelling": "unverified", "antagonist": "wrong", "lu-pentixafor": "wrong", "references": "wrong",
    "uptake-time": "suspect", "reference-standard": "omission", "tbr-reference": "suspect",
}  # fmt: skip


def test_discrepancies_are_the_22_of_the_sheet_and_6_of_concept():
    table = discrepancies()
    assert table["category"].value_counts().to_dict() == {"number": 22, "concept": 6}
    assert dict(zip(table["id"], table["verdict"], strict=True)) == VERDICTS
    assert table[["claim", "original", "tag", "guide"]].map(bool).to_numpy().all()
    assert len({d.id for d in shipped_discrepancies()}) == 28


def test_forest_rates_have_wilson_intervals_of_their_counts():
    table = forest_data("detection", per="patient", metric="positive patients", tracer="pentixafor")
    row = table.set_index("id").loc["luo2019-marrow-pentixafor"]
    # Wilson score interval of 16 of 17, by hand: centre (16 + 1.9208) / (17 + 3.8415), half-width as in Wilson 1927
    assert (row["k"], row["n"], row["rate"]) == (16, 17, pytest.approx(16 / 17))
    assert (row["low"], row["high"]) == (pytest.approx(0.7302, abs=1e-4), pytest.approx(0.9895, abs=1e-4))
    assert "wilson" in row["method"].lower()
    assert set(table["per"]) == {"patient"}


def test_printed_intervals_stand_beside_computed_ones():
    row = (
        forest_data("accuracy", metric="accuracy", entity="aldosteronism")
        .set_index("id")
        .loc["jnm116544-ct85-accuracy"]
    )
    assert (row["printed_low"], row["printed_high"]) == (pytest.approx(0.622), pytest.approx(0.813))
    assert row["printed_method"].startswith("wald")


def test_all_20_printed_intervals_of_the_jnm_table_reproduce_with_the_method_on_record():
    from fusin.stats.proportions import proportion

    records = [r for r in all_records() if r.id.startswith("jnm116544-")]
    assert len(records) == 20
    for r in records:
        method = "wald" if r.interval_method.startswith("wald") else "wilson"
        found = proportion(r.k, r.n, method=method)
        assert 100 * found.low == pytest.approx(r.low, abs=0.1), r.id
        assert 100 * found.high == pytest.approx(r.high, abs=0.1), r.id


def test_this_cohort_joins_last_and_unverified_rates_only_on_request():
    mine = Added(label="this cohort", k=5, n=9, entity="NET")
    table = forest_data("detection", metric="positive patients", entity="NET", added=mine)
    assert list(table["added"])[-1]
    assert table.iloc[-1]["label"] == "this cohort"
    assert not table["id"].str.startswith("werner2017").any()
    more = forest_data("detection", metric="positive patients", entity="NET", unverified=True, added=[mine, mine])
    assert more["id"].str.startswith("werner2017").any()
    assert more["added"].sum() == 2


@pytest.mark.parametrize(("k", "n"), [(3, 2), (-1, 2), (0, 0)])
def test_impossible_counts_of_ones_own_are_refused(k, n):
    with pytest.raises(InputError, match="this cohort"):
        forest_data("detection", added=Added(label="this cohort", k=k, n=n))


def test_another_catalogue_can_be_asked():
    mine = Catalogue((Record(id="a", title="t", kind="published", topic="x", metric="m", source="s", tag="V"),))
    assert query(topic="x", catalogue=mine)["id"].tolist() == ["a"]
    assert topics(catalogue=mine) == ("x",)
    assert isinstance(forest_data("x", catalogue=mine), pd.DataFrame)


def test_examples_of_the_module_hold():
    assert doctest.testmod(module).failed == 0
    assert evidence("haenscheid-dose-kidney-y").value == 3.75
