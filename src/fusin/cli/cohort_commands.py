"""Verbs of the cohort: compare, accuracy, subtype, outcome."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusin.cli.options import (
    IntervalOption,
    JsonFlag,
    OutOption,
    StrictFlag,
    all_or_none,
    choice,
    finish,
    fraction,
    limits,
    number_or_word,
)
from fusin.errors import InputError

__all__ = ["register"]

_INTERVALS = ("wilson", "clopper-pearson", "jeffreys", "wald")
_UNITS = ("lesion", "patient")

Tables = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Finding tables (CSV, Parquet), one table of paired counts, or folders of fusin read.", show_default=False
    ),
]
AccuracyTable = Annotated[
    Path | None,
    typer.Argument(help="Rows (patient, result, reference, marker), or counts per study.", show_default=False),
]
PetTable = Annotated[Path | None, typer.Argument(help="Adrenal PET, one row per scan and time.", show_default=False)]
FollowUpTable = Annotated[Path | None, typer.Argument(help="Follow-up, one row per patient.", show_default=False)]

BothOption = Annotated[int | None, typer.Option("--both", min=0, help="Units that both tracers showed.")]
FirstOnlyOption = Annotated[int | None, typer.Option("--first-only", min=0, help="Units of the first tracer alone.")]
SecondOnlyOption = Annotated[int | None, typer.Option("--second-only", min=0, help="Units of the second tracer alone.")]
NeitherOption = Annotated[int | None, typer.Option("--neither", min=0, help="Units that neither tracer showed.")]
FirstOption = Annotated[str | None, typer.Option("--first", help="First tracer; every difference is first - second.")]
SecondOption = Annotated[str | None, typer.Option("--second", help="Second tracer.")]
UnitOption = Annotated[str, typer.Option("--unit", help="What is counted: lesion or patient.")]
ByOption = Annotated[list[str] | None, typer.Option("--by", help="Group column: grade, site, entity. Repeatable.")]
MetricOption = Annotated[
    list[str] | None, typer.Option("--metric", help="Quantity to compare, e.g. suv_max. Repeatable.")
]
ValueTestOption = Annotated[str, typer.Option("--value-test", help="Of paired quantities: wilcoxon or t.")]
AdjustOption = Annotated[str, typer.Option("--adjust", help="Of all quoted tests: holm or bh.")]
AbsentOption = Annotated[
    str,
    typer.Option(
        "--absent", help="A lesion without a row for a tracer: unknown, or negative (tables of what was seen)."
    ),
]
AgreementOption = Annotated[
    str | None, typer.Option("--agreement", help="Quantity for limits of agreement (repeated scans, two readers).")
]
IhcOption = Annotated[Path | None, typer.Option("--ihc", help="Table of IHC scores to set against uptake.")]
TracerOption = Annotated[list[str] | None, typer.Option("--tracer", help="Tracer of each folder, in their order.")]
PatientOption = Annotated[list[str] | None, typer.Option("--patient", help="Patient of each folder, in their order.")]
DistanceOption = Annotated[
    float, typer.Option("--max-distance", min=0, help="Largest distance of matched lesions in mm.")
]
PlanFirstOption = Annotated[
    float | None, typer.Option("--plan-first-only", help="Plan a study: expected share seen by the first tracer alone.")
]
PlanSecondOption = Annotated[
    float | None, typer.Option("--plan-second-only", help="Plan a study: expected share seen by the second alone.")
]
PowerOption = Annotated[float, typer.Option("--power", help="Power of the planned study.")]
PlanTestOption = Annotated[
    str, typer.Option("--plan-test", help="McNemar variant of the plan: mid-p, exact, chi2 or chi2-corrected.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs of the cohort to the command line."""
    app.command("compare")(compare)
    app.command("accuracy")(accuracy)
    app.command("subtype")(subtype)
    app.command("outcome")(outcome)


def compare(
    tables: Tables = None,
    out: OutOption = None,
    both: BothOption = None,
    first_only: FirstOnlyOption = None,
    second_only: SecondOnlyOption = None,
    neither: NeitherOption = None,
    first: FirstOption = None,
    second: SecondOption = None,
    unit: UnitOption = "lesion",
    by: ByOption = None,
    metric: MetricOption = None,
    value_test: ValueTestOption = "wilcoxon",
    adjust: AdjustOption = "holm",
    interval: IntervalOption = "wilson",
    absent: AbsentOption = "unknown",
    agreement: AgreementOption = None,
    ihc: IhcOption = None,
    tracer: TracerOption = None,
    patient: PatientOption = None,
    max_distance: DistanceOption = 15.0,
    plan_first_only: PlanFirstOption = None,
    plan_second_only: PlanSecondOption = None,
    power: PowerOption = 0.8,
    plan_test: PlanTestOption = "mid-p",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Compare tracers on the same patients: detection, exclusive and shared lesions, uptake, tests.

    \b
    Example: fusin compare fusin-demo/cohort/findings.csv --first CXCR4 --second FDG --by grade
    """
    from fusin.provenance import NoticeLog
    from fusin.report import cohort_compare as work

    log = NoticeLog(strict=strict)
    options = work.CompareOptions(
        first=first, second=second, unit=choice(unit, _UNITS, "--unit"), by=tuple(by or ()),
        metrics=tuple(metric) if metric else None, value_test=choice(value_test, ("wilcoxon", "t"), "--value-test"),
        adjust=choice(adjust, ("holm", "bh"), "--adjust"), interval=choice(interval, _INTERVALS, "--interval"),
        absent=choice(absent, ("unknown", "negative"), "--absent"), agreement=agreement, ihc=ihc,
    )  # fmt: skip
    cells = {"--both": both, "--first-only": first_only, "--second-only": second_only, "--neither": neither}
    shares = {"--plan-first-only": plan_first_only, "--plan-second-only": plan_second_only}
    counted = all_or_none(cells, "the four counts of a paired table")
    planned = all_or_none(shares, "the discordant shares of a plan")
    _one_task({"tables": bool(tables), "counts": counted, "plan": planned}, "tables or folders, four counts, or a plan")
    if planned:
        one, two = (fraction(value, name) or 0.0 for name, value in shares.items())
        variant = choice(plan_test, ("mid-p", "exact", "chi2", "chi2-corrected"), "--plan-test")
        output = work.plan_comparison(one, two, power=fraction(power, "--power") or 0.8, test=variant, log=log)
    elif counted:
        output = work.compare_cells(*(int(v or 0) for v in cells.values()), options=options, log=log)
    else:
        output = work.compare_paths(
            tables or (), options=options, log=log, tracers=tracer, patients=patient, max_distance_mm=max_distance
        )
    finish(output, out, as_json=as_json)


TpOption = Annotated[int | None, typer.Option("--tp", min=0, help="True positives.")]
FnOption = Annotated[int | None, typer.Option("--fn", min=0, help="False negatives.")]
FpOption = Annotated[int | None, typer.Option("--fp", min=0, help="False positives.")]
TnOption = Annotated[int | None, typer.Option("--tn", min=0, help="True negatives.")]
TestOption = Annotated[
    str, typer.Option("--test", help="Index test; also chooses among the values of the column test.")
]
ReferenceOption = Annotated[str, typer.Option("--reference", help="The reference standard in words; rows need it.")]
ContainsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-contains", "--reference-contains-test", help="A test that the reference is made of. Repeatable."
    ),
]
IndeterminateOption = Annotated[
    str, typer.Option("--indeterminate", help="Indeterminate index results: excluded, worst (always wrong) or best.")
]
CutOffOption = Annotated[
    list[float] | None, typer.Option("--cut-off", help="Cut-off of the marker, fixed in advance. Repeatable.")
]
OperatorOption = Annotated[str, typer.Option("--operator", help="What makes a marker positive: >=, >, <= or <.")]
PlanSensitivityOption = Annotated[
    float | None, typer.Option("--plan-sensitivity", help="Plan a study: expected sensitivity as a fraction.")
]
PlanSpecificityOption = Annotated[
    float | None, typer.Option("--plan-specificity", help="Plan a study: expected specificity as a fraction.")
]
PlanPrevalenceOption = Annotated[
    float | None, typer.Option("--plan-prevalence", help="Plan a study: expected share of diseased patients.")
]
PlanWidthOption = Annotated[
    float, typer.Option("--plan-half-width", help="Plan a study: half-width of the intervals as a fraction.")
]


def accuracy(
    table: AccuracyTable = None,
    out: OutOption = None,
    tp: TpOption = None,
    fn: FnOption = None,
    fp: FpOption = None,
    tn: TnOption = None,
    interval: IntervalOption = "wilson",
    test: TestOption = "",
    reference: ReferenceOption = "",
    reference_contains: ContainsOption = None,
    unit: UnitOption = "patient",
    indeterminate: IndeterminateOption = "excluded",
    cut_off: CutOffOption = None,
    operator: OperatorOption = ">=",
    plan_sensitivity: PlanSensitivityOption = None,
    plan_specificity: PlanSpecificityOption = None,
    plan_prevalence: PlanPrevalenceOption = None,
    plan_half_width: PlanWidthOption = 0.1,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Diagnostic accuracy against a declared reference, with intervals, flow, ROC and the biases that the data show.

    \b
    Example: fusin accuracy fusin-demo/cohort/accuracy.csv --reference "histology and follow-up" --test "CXCR4 PET"
    """
    from fusin.provenance import NoticeLog
    from fusin.report import cohort_accuracy as work

    log = NoticeLog(strict=strict)
    options = work.AccuracyOptions(
        interval=choice(interval, _INTERVALS, "--interval"), test=test, reference=reference,
        reference_tests=tuple(reference_contains or ()), unit=choice(unit, _UNITS, "--unit"),
        indeterminate=choice(indeterminate, ("excluded", "worst", "best"), "--indeterminate"),
        cut_offs=tuple(cut_off or ()), operator=choice(operator, (">=", ">", "<=", "<"), "--operator"),
    )  # fmt: skip
    cells = {"--tp": tp, "--fn": fn, "--fp": fp, "--tn": tn}
    shares = {
        "--plan-sensitivity": plan_sensitivity,
        "--plan-specificity": plan_specificity,
        "--plan-prevalence": plan_prevalence,
    }
    counted = all_or_none(cells, "the four counts of a 2 x 2 table")
    planned = all_or_none(shares, "what a plan expects")
    _one_task({"table": table is not None, "counts": counted, "plan": planned}, "a table, four counts, or a plan")
    if planned:
        sens, spec, prevalence = (fraction(value, name) or 0.0 for name, value in shares.items())
        width = fraction(plan_half_width, "--plan-half-width") or 0.1
        output = work.plan_accuracy(
            sensitivity=sens, specificity=spec, half_width=width, prevalence=prevalence, log=log
        )
    elif counted:
        output = work.accuracy_of_cells(*(int(v or 0) for v in cells.values()), options=options, log=log)
    else:
        output = work.accuracy_of_table(table or Path(), options=options, log=log)
    finish(output, out, as_json=as_json)


AvsOption = Annotated[Path | None, typer.Option("--avs", help="Samples of adrenal vein sampling, one row per vein.")]
VerdictsOption = Annotated[Path | None, typer.Option("--verdicts", help="CT verdicts and reported AVS verdicts.")]
PasoOption = Annotated[
    Path | None, typer.Option("--paso", help="Findings before and after surgery, for PASO outcomes.")
]
PetRuleOption = Annotated[str | None, typer.Option("--pet-rule", help="Evidence id of the cut-off of the PET index.")]
PreferOption = Annotated[str, typer.Option("--prefer", help="Scan that gives the verdict: early (10 min) or late.")]
SelectivityOption = Annotated[
    str | None,
    typer.Option(
        "--selectivity", help="Evidence id of the selectivity threshold (none is verified without cosyntropin)."
    ),
]
LateralisedOption = Annotated[
    str | None, typer.Option("--lateralised", help="Evidence id of the lateralisation index that means unilateral.")
]
BilateralOption = Annotated[
    str | None,
    typer.Option("--bilateral", help="Evidence id of the index that means bilateral; between lies a grey zone."),
]
NormaliserOption = Annotated[str, typer.Option("--normaliser", help="Divides aldosterone: cortisol or metanephrine.")]


def subtype(
    pet: PetTable = None,
    out: OutOption = None,
    avs: AvsOption = None,
    verdicts: VerdictsOption = None,
    paso: PasoOption = None,
    pet_rule: PetRuleOption = None,
    prefer: PreferOption = "early",
    selectivity: SelectivityOption = None,
    lateralised: LateralisedOption = None,
    bilateral: BilateralOption = None,
    normaliser: NormaliserOption = "cortisol",
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Primary aldosteronism: CT, PET and vein sampling side by side, with concordance and PASO outcomes.

    \b
    Example: fusin subtype fusin-demo/cohort/adrenal_pet.csv --avs fusin-demo/cohort/avs.csv --selectivity avs-si-basal-2
    """
    from fusin.provenance import NoticeLog
    from fusin.report.cohort_subtype import SubtypeInputs, SubtypeOptions, subtype_report

    options = SubtypeOptions(
        pet_rule=pet_rule, prefer=choice(prefer, ("early", "late"), "--prefer"), selectivity=selectivity,
        lateralised=lateralised, bilateral=bilateral,
        normaliser=choice(normaliser, ("cortisol", "metanephrine"), "--normaliser"),
    )  # fmt: skip
    inputs = SubtypeInputs(pet=pet, avs=avs, verdicts=verdicts, paso=paso)
    finish(subtype_report(inputs, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


ResponseOption = Annotated[Path | None, typer.Option("--response", help="Scans before and after, one row per scan.")]
ToxicityOption = Annotated[
    Path | None, typer.Option("--toxicity", help="CTCAE events; the follow-up table lists all treated.")
]
EndpointOption = Annotated[list[str] | None, typer.Option("--endpoint", help="pfs or os; both without it. Repeatable.")]
MarkerOption = Annotated[
    list[str] | None, typer.Option("--marker", help="Column of the follow-up table to test as prognostic. Repeatable.")
]
CutOption = Annotated[str | None, typer.Option("--cut", help="Cut-off of the marker: a number, median or best.")]
CutSourceOption = Annotated[str, typer.Option("--cut-source", help="Where the number comes from.")]
StepOption = Annotated[float, typer.Option("--step", help="Step of the marker to which the hazard ratio refers.")]
RepeatabilityOption = Annotated[
    list[str] | None,
    typer.Option("--repeatability", help="Own limits of agreement in percent: suv_peak=-25,30. Repeatable."),
]
CrossOption = Annotated[str | None, typer.Option("--cross", help="Two frameworks to cross: lugano,percist.")]


def outcome(
    follow_up: FollowUpTable = None,
    out: OutOption = None,
    response: ResponseOption = None,
    toxicity: ToxicityOption = None,
    endpoint: EndpointOption = None,
    marker: MarkerOption = None,
    cut: CutOption = None,
    cut_source: CutSourceOption = "",
    step: StepOption = 1.0,
    repeatability: RepeatabilityOption = None,
    cross: CrossOption = None,
    strict: StrictFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Survival, uptake as a prognostic variable, response and toxicity.

    \b
    Example: fusin outcome fusin-demo/cohort/follow_up.csv --marker suv_max --cut median
    """
    from fusin.cohort.outcome import FRAMEWORKS, METRICS
    from fusin.provenance import NoticeLog
    from fusin.report.cohort_outcome import OutcomeInputs, OutcomeOptions, outcome_report

    if not step > 0:
        raise InputError("--step", "step", step, "a number above 0")
    endpoints = tuple(choice(e, ("pfs", "os"), "--endpoint") for e in endpoint or ("pfs", "os"))
    pair = cross.split(",") if cross else []
    if cross and len(pair) != 2:
        raise InputError("--cross", "frameworks", cross, "two of " + ", ".join(FRAMEWORKS) + " joined by a comma")
    options = OutcomeOptions(
        endpoints=endpoints, markers=tuple(marker or ()), cut=number_or_word(cut, ("median", "best"), "--cut"),
        cut_source=cut_source, step=step, repeatability=limits(repeatability, METRICS, "--repeatability"),
        cross=tuple(choice(name, tuple(FRAMEWORKS), "--cross") for name in pair) or None,
    )  # fmt: skip
    inputs = OutcomeInputs(follow_up=follow_up, response=response, toxicity=toxicity)
    finish(outcome_report(inputs, options=options, log=NoticeLog(strict=strict)), out, as_json=as_json)


def _one_task(given: dict[str, bool], needed: str) -> None:
    asked = [name for name, there in given.items() if there]
    if len(asked) != 1:
        raise InputError("command line", "input", " and ".join(asked) or "nothing", needed)
