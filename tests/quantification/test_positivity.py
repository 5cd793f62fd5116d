"""Readout: cited rules with three-valued verdicts, and the project-defined scale."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusin.errors import InputError
from fusin.evidence.catalogue import all_records, evidence
from fusin.imaging.volume import Grid, Region
from fusin.provenance import NoticeLog, canonical_json
from fusin.quantification.lesions import Burden, Lesion
from fusin.quantification.metrics import RegionMetrics
from fusin.quantification.positivity import SCALE_NAME, kleene_all, kleene_any, read_out
from fusin.quantification.references import ReferenceRegion

GRID = Grid(shape=(2, 2, 2), affine=np.diag([10.0, 10.0, 10.0, 1.0]))
REGION = Region.from_mask("one", GRID, np.ones((2, 2, 2)))
TRUTH = (True, False, None)
RISING = {"blood_pool": 1.5, "liver": 2.0, "spleen": 6.0}


def reference(kind, mean, spread=0.0):
    return ReferenceRegion(
        kind=kind, region=REGION, mean=mean, sd=0.1, voxels=8, volume_ml=8.0, mean_low=mean - spread,
        mean_high=mean + spread, method="given",
    )  # fmt: skip


def lesion(number, suv_max, *, suv_mean=None, status="candidate", **attributes):
    metrics = RegionMetrics(name=f"L{number}", voxels=8, volume_ml=8.0, suv_max=suv_max, suv_mean=suv_mean)
    return Lesion(
        number=number, identity=str(number), region=REGION, metrics=metrics, status=status, attributes=attributes
    )


def readout(means=None, peaks=(), log=None, spread=0.0, **more):
    references = [reference(kind, mean, spread) for kind, mean in (means or {}).items()]
    lesions = [x if isinstance(x, Lesion) else lesion(i, x) for i, x in enumerate(peaks, start=1)]
    burden = Burden(lesions=len(lesions), tumour_volume_ml=12.5, total_lesion_uptake=80.0, suv_max=None, suv_mean=None)
    return read_out(references, lesions, burden, log=log if log is not None else NoticeLog(), **more)


def rule(result, rule_id):
    return next(r for r in result.rules if r.rule_id == rule_id)


def codes(log):
    return [n.code for n in log]


def test_kleene_logic_follows_its_truth_tables():
    for a, b in itertools.product(TRUTH, TRUTH):
        assert kleene_any([a, b]) is (True if True in (a, b) else None if None in (a, b) else False)
        # De Morgan
        negated = [None if x is None else not x for x in (a, b)]
        left = kleene_all([a, b])
        right = kleene_any(negated)
        assert left is (None if right is None else not right)
    assert kleene_any([]) is False
    assert kleene_all([]) is True


@settings(deadline=None, max_examples=50)
@given(peaks=st.lists(st.one_of(st.none(), st.floats(0.1, 30.0)), max_size=9), data=st.data())
def test_filling_in_a_missing_value_never_overturns_a_verdict(peaks, data):
    """A verdict that was given while values were missing stays whatever the values turn out to be."""
    filled = [data.draw(st.floats(0.1, 30.0)) if p is None else p for p in peaks]
    before, after = readout(RISING, peaks), readout(RISING, filled)
    for rule_id in ("positivity-solid-dreher2023", "therapy-dreher2023"):
        if rule(before, rule_id).verdict is not None:
            assert rule(after, rule_id).verdict is rule(before, rule_id).verdict
        assert rule(after, rule_id).verdict is not None
    if before.score is not None and any(p is not None for p in peaks):
        assert after.score == before.score


@settings(deadline=None, max_examples=30)
@given(peaks=st.permutations([0.5, 1.2, 2.2, 6.5, None]))
def test_the_order_of_lesions_does_not_matter(peaks):
    verdicts = [r.verdict for r in readout(RISING, peaks).rules]
    assert verdicts == [r.verdict for r in readout(RISING, [0.5, 1.2, 2.2, 6.5, None]).rules]


def test_every_rule_that_is_not_optional_is_reported_once_with_its_citation():
    result = readout(RISING, [3.0])
    wanted = [r.id for r in all_records() if r.method is not None and not r.optional]
    assert [r.rule_id for r in result.rules] == wanted
    assert all(r.citation == evidence(r.rule_id).citation and r.because.endswith(".") for r in result.rules)
    assert {r.tag for r in result.rules} <= {"V", "D", "C"}


def test_a_ratio_of_exactly_one_to_blood_pool_is_negative():
    # Dreher 2023: TBR > 1
    assert rule(readout({"blood_pool": 2.0}, [2.0]), "positivity-solid-dreher2023").verdict is False
    above = rule(readout({"blood_pool": 2.0}, [1.0, np.nextafter(2.0, 3.0)]), "positivity-solid-dreher2023")
    assert (above.verdict, above.lesions) == (True, (2,))


def test_a_missing_reference_gives_no_verdict_and_says_which():
    result = rule(readout({"liver": 2.0}, [9.0]), "positivity-solid-dreher2023")
    assert result.verdict is None
    assert "blood pool reference is missing" in result.because


def test_no_lesion_is_negative_when_the_reference_is_there():
    assert rule(readout({"blood_pool": 2.0}), "positivity-solid-dreher2023").verdict is False


def test_waldenstrom_is_positive_by_a_focal_lesion_or_by_marrow():
    luo = "positivity-wm-luo2019"
    assert rule(readout({"liver": 1.3, "marrow": 1.2}, [1.4]), luo).verdict is True
    assert rule(readout({"liver": 1.3, "marrow": 1.4}, [1.0]), luo).verdict is True
    assert rule(readout({"liver": 1.3, "marrow": 1.3}, [1.3]), luo).verdict is False
    assert rule(readout({"liver": 1.3}, [1.4]), luo).verdict is True
    assert rule(readout({"liver": 1.3}, [1.0]), luo).verdict is None
    assert rule(readout({"marrow": 1.4}, [1.4]), luo).verdict is None


@pytest.mark.parametrize(
    ("peaks", "verdict"),
    [
        ([10.1] * 5, False),
        ([10.1] * 6, True),
        ([10.1] * 5 + [10.0], False),
        ([10.1] * 5 + [None], None),
        ([10.1] * 6 + [None], True),
        ([10.1] * 4 + [None], False),
    ],
)
def test_dreher_therapy_rule_needs_more_than_five_lesions_above_ten(peaks, verdict):
    # Dreher 2023: > 5 CXCR4-avid target lesions, each with SUVmax > 10
    assert rule(readout(RISING, peaks), "therapy-dreher2023").verdict is verdict


def test_lesions_set_aside_as_physiological_count_nowhere():
    peaks = [lesion(1, 30.0, status="physiological")]
    result = readout(RISING, peaks)
    assert rule(result, "positivity-solid-dreher2023").verdict is False
    assert result.score is None


def test_a_visual_rule_has_no_verdict_until_a_reader_gives_one():
    werner = "positivity-solid-werner2019"
    alone = rule(readout(RISING, [5.2]), werner)
    assert alone.verdict is None
    assert "ratio to liver 2.60" in alone.because
    for verdict in (True, False):
        assert rule(readout(RISING, [5.2], visual={werner: verdict}), werner).verdict is verdict
    with pytest.raises(InputError, match="positivity-solid-werner2019"):
        readout(RISING, visual={"positivity-solid-dreher2023": True})


def test_cns_and_mantle_cell_rules_quote_their_own_references():
    result = readout({"brain": 0.2, "blood_pool": 1.0, "liver": 2.0}, [4.0])
    assert "to brain 20.00" in rule(result, "positivity-cns-2022").because
    assert "to blood pool 4.00, to liver 2.00" in rule(result, "positivity-mcl-mayerhoefer2021").because
    assert "to brain unknown" in rule(readout({"liver": 2.0}, [4.0]), "positivity-cns-2022").because


def test_unverified_therapy_thresholds_are_off_unless_switched_on():
    off = readout(RISING, [3.0])
    assert not {"therapy-above-liver", "therapy-above-kidney"} & {r.rule_id for r in off.rules}
    log = NoticeLog()
    ids = ("therapy-above-liver", "therapy-above-kidney")
    on = readout(RISING, [3.0], log, switch_on=ids, organ_means={"kidney": 3.27})
    assert [rule(on, i).verdict for i in ids] == [True, False]
    assert rule(on, ids[0]).tag == "U"
    assert codes(log).count("RULE_UNVERIFIED") == 2
    assert rule(readout(RISING, [3.0], switch_on=ids), ids[1]).verdict is None
    with pytest.raises(InputError, match="therapy-above-liver"):
        readout(RISING, switch_on=["therapy-dreher2023"])


def test_myeloma_reads_focal_disease_first_and_l3_without_it():
    assert "SUVmax 7.00" in rule(readout(RISING, [5.0, 7.0], marrow_suv_max=3.0), "reading-mm-l3").because
    assert "L3 SUVmax 3.00" in rule(readout(RISING, marrow_suv_max=3.0), "reading-mm-l3").because
    assert "missing" in rule(readout(RISING), "reading-mm-l3").because
    assert rule(readout(RISING, [5.0]), "reading-mm-l3").verdict is None


def test_myeloma_burden_takes_the_five_hottest_lesions():
    # NTA1MDMyOA: mean SUVmax of all lesions if <= 5, else of the 5 hottest
    assert "mean SUVmax 3.00 of 3 of 3" in rule(readout(RISING, [2.0, 3.0, 4.0]), "reading-mm-hottest").because
    seven = readout(RISING, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
    assert "mean SUVmax 5.00 of 5 of 7" in rule(seven, "reading-mm-hottest").because
    assert "80.0 g" in rule(seven, "reading-burden").because


@pytest.mark.parametrize(
    ("peaks", "score"),
    [([1.5], 1), ([1.6], 2), ([2.0], 2), ([2.1], 3), ([6.0], 3), ([6.1], 4), ([6.1, 2.0], 4), ([6.1, 7.0], 5)],
)
def test_scale_steps_at_blood_pool_liver_and_spleen(peaks, score):
    result = readout(RISING, peaks)
    assert result.score == score
    assert result.score_name == SCALE_NAME == "fusin project-defined scale (not validated)"


def test_a_new_lesion_above_spleen_scores_five():
    assert readout(RISING, [lesion(1, 6.1, new=True)]).score == 5
    assert readout(RISING, [lesion(1, 5.9, new=True)]).score == 3


def test_scale_never_carries_the_name_of_another_scale():
    assert "deauville" not in canonical_json(readout(RISING, [6.1]).to_json()).lower()


@pytest.mark.parametrize("kind", sorted(RISING))
def test_scale_needs_all_three_references(kind):
    result = readout({k: v for k, v in RISING.items() if k != kind}, [5.0])
    assert result.score is None
    assert kind.replace("_", " ") in result.score_because


def test_scale_has_no_score_without_a_lesion():
    assert readout(RISING).score is None
    assert "no lesion" in readout(RISING).score_because


def test_a_cold_liver_is_said_and_leaves_step_two_empty():
    # Medians of doi:10.1007/s11307-022-01717-1: heart 1.66, liver 1.28, spleen 5.2
    cold = {kind: evidence(f"normal-uptake-{name}").value for kind, name in
            (("blood_pool", "heart"), ("liver", "liver"), ("spleen", "spleen"))}  # fmt: skip
    log = NoticeLog()
    scores = [readout(cold, [peak], log).score for peak in (1.2, 1.5, 1.66, 1.7, 5.2, 5.3)]
    assert scores == [1, 1, 1, 3, 3, 4]
    assert codes(log) == ["SCALE_REFERENCES_INVERTED"]


@settings(deadline=None, max_examples=50)
@given(
    means=st.tuples(*[st.floats(0.2, 20.0)] * 3),
    peaks=st.tuples(st.floats(0.1, 40.0), st.floats(0.1, 40.0)),
)
def test_a_hotter_lesion_never_scores_lower_whatever_the_order_of_references(means, peaks):
    references = dict(zip(RISING, means, strict=True))
    low, high = (readout(references, [p]).score for p in sorted(peaks))
    assert low <= high


@settings(deadline=None, max_examples=30)
@given(factor=st.sampled_from([0.25, 0.5, 2.0, 64.0]), peaks=st.lists(st.floats(0.1, 40.0), min_size=1, max_size=4))
def test_score_and_ratio_rules_do_not_depend_on_the_scale_of_suv(factor, peaks):
    plain, scaled = (
        readout(RISING, peaks),
        readout({k: v * factor for k, v in RISING.items()}, [p * factor for p in peaks]),
    )
    assert plain.score == scaled.score
    assert rule(plain, "positivity-solid-dreher2023").lesions == rule(scaled, "positivity-solid-dreher2023").lesions


def test_a_lesion_without_suvmax_leaves_the_score_open_unless_it_is_five():
    log = NoticeLog()
    assert readout(RISING, [3.0, None], log).score is None
    assert readout(RISING, [7.0, 8.0, None], log).score == 5
    assert set(codes(log)) == {"LESION_WITHOUT_SUVMAX"}


def test_unusable_and_repeated_references_are_said():
    log = NoticeLog()
    references = [reference("blood_pool", 0.0), reference("liver", 2.0), reference("liver", 9.0)]
    burden = Burden(lesions=1, tumour_volume_ml=8.0, total_lesion_uptake=8.0, suv_max=3.0, suv_mean=1.0)
    result = read_out(references, [lesion(1, 3.0)], burden, log=log)
    assert rule(result, "positivity-solid-dreher2023").verdict is None
    assert rule(result, "positivity-wm-luo2019").verdict is True
    assert codes(log) == ["REFERENCE_UNUSABLE", "REFERENCE_REPEATED"]


def test_a_verdict_inside_the_interval_of_the_reference_is_doubted():
    log = NoticeLog()
    assert rule(readout({"blood_pool": 2.0}, [2.1], log, spread=0.2), "positivity-solid-dreher2023").verdict is True
    assert codes(log) == ["RULE_WITHIN_REFERENCE_INTERVAL"]
    calm = NoticeLog()
    readout({"blood_pool": 2.0}, [2.3], calm, spread=0.2)
    assert codes(calm) == []
