"""Positivity by cited rule, and a project-defined 1-5 scale that says it is one.

The rules are evidence records (kinds ``positivity``, ``therapy``, ``reading``); nothing is decided here that is not
written there. A verdict is three-valued: True, False, or None where an input is missing, where the paper's criterion
is a reader's eye, or where the rule says what to measure and gives no threshold.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fusin.errors import InputError
from fusin.evidence.catalogue import Catalogue, Clause, Record, default_catalogue, holds
from fusin.provenance import NoticeLog, jsonable
from fusin.quantification.lesions import Burden, Lesion
from fusin.quantification.references import ReferenceRegion

__all__ = ["SCALE_NAME", "Readout", "RuleResult", "kleene_all", "kleene_any", "read_out"]

SCALE_NAME = "fusin project-defined scale (not validated)"

_SCALE_ORDER = ("blood_pool", "liver", "spleen")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """What one cited rule says of this scan.

    ``verdict`` is True (positive), False (negative) or None (indeterminate: an input is missing).
    """

    rule_id: str
    title: str
    verdict: bool | None
    because: str
    citation: str
    tag: str
    lesions: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: jsonable(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """All rules applied, and the project-defined score (None when references are missing)."""

    rules: tuple[RuleResult, ...]
    score: int | None
    score_name: str
    score_because: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "rules": [rule.to_json() for rule in self.rules],
            "score": self.score,
            "score_name": self.score_name,
            "score_because": self.score_because,
        }


def kleene_any(verdicts: Iterable[bool | None]) -> bool | None:
    """Strong Kleene disjunction: True if one is True, else None if one is unknown, else False."""
    seen = set(verdicts)
    return True if True in seen else (None if None in seen else False)


def kleene_all(verdicts: Iterable[bool | None]) -> bool | None:
    """Strong Kleene conjunction: False if one is False, else None if one is unknown, else True."""
    seen = set(verdicts)
    return False if False in seen else (None if None in seen else True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """Mean uptake of a reference with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """What the rules look at."""

    levels: Mapping[str, _Level]
    lesions: tuple[Lesion, ...]
    burden: Burden
    marrow_suv_max: float | None
    visual: Mapping[str, bool]
    log: NoticeLog

    @property
    def hottest(self) -> Lesion | None:
        """The lesion with the highest known SUVmax."""
        known = [x for x in self.lesions if _known(x.metrics.suv_max) is not None]
        return max(known, key=lambda x: x.metrics.suv_max or 0.0, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    verdict: bool | None
    because: str
    lesions: tuple[int, ...] = field(default=())


def read_out(
    references: Sequence[ReferenceRegion],
    lesions: Sequence[Lesion],
    burden: Burden,
    *,
    marrow_suv_max: float | None = None,
    organ_means: Mapping[str, float] | None = None,
    visual: Mapping[str, bool] | None = None,
    switch_on: Collection[str] = (),
    catalogue: Catalogue | None = None,
    log: NoticeLog,
) -> Readout:
    """Apply every cited rule to a reading, and score it on the project-defined scale.

    Parameters
    ----------
    references : placed reference regions; the first of each kind counts
    lesions : candidates or given regions; those set aside as ``physiological`` are left out
    burden : whole-body sums of the lesions
    marrow_suv_max : SUVmax of the L3 vertebra [g/mL], where it was measured
    organ_means : SUVmean of further organs a rule may ask for, for example ``{"kidney": 3.3}``
    visual : a reader's verdict per rule id, for rules whose criterion is the eye
    switch_on : ids of optional rules (unverified or project-defined) to evaluate as well
    catalogue : evidence; the shipped tables when None
    log : receives REFERENCE_REPEATED, REFERENCE_UNUSABLE, LESION_WITHOUT_SUVMAX, RULE_WITHIN_REFERENCE_INTERVAL,
        RULE_UNVERIFIED and SCALE_REFERENCES_INVERTED

    Returns
    -------
    Readout
        One result per rule, in the order of the tables.

    Raises
    ------
    InputError
        For a rule id in ``visual`` or ``switch_on`` that is no rule of that sort.
    """
    tables = catalogue or default_catalogue()
    records = [r for r in tables if r.method is not None]
    _check_ids("visual", visual or {}, [r.id for r in records if r.method == "visual"])
    _check_ids("switch_on", switch_on, [r.id for r in records if r.optional])
    scan = _Scan(
        levels=_levels(references, organ_means or {}, log),
        lesions=_scored_lesions(lesions, log),
        burden=burden,
        marrow_suv_max=_known(marrow_suv_max),
        visual=visual or {},
        log=log,
    )
    rules = tuple(_apply(r, scan) for r in records if not r.optional or r.id in switch_on)
    score, because = _score(scan)
    return Readout(rules=rules, score=score, score_name=SCALE_NAME, score_because=because)


def _check_ids(argument: str, given: Collection[str], possible: Sequence[str]) -> None:
    for rule_id in given:
        if rule_id not in possible:
            raise InputError("readout", argument, rule_id, "one of " + ", ".join(possible))


def _known(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _levels(
    references: Sequence[ReferenceRegion], organ_means: Mapping[str, float], log: NoticeLog
) -> Mapping[str, _Level]:
    levels: dict[str, _Level] = {}
    given: list[tuple[str, float, float, float]] = [(r.kind, r.mean, r.mean_low, r.mean_high) for r in references]
    given += [(name, mean, mean, mean) for name, mean in organ_means.items()]
    for kind, mean, low, high in given:
        if not (math.isfinite(mean) and mean > 0):
            log.warning(
                "REFERENCE_UNUSABLE",
                f"The {_words(kind)} reference has mean {mean:g}, so no ratio to it can be formed.",
                where=kind,
                raw=mean,
            )
        elif kind in levels:
            log.warning(
                "REFERENCE_REPEATED",
                f"Several {_words(kind)} references were given; rules use the first, mean {levels[kind].mean:.2f}.",
                where=kind,
                raw=mean,
                used=levels[kind].mean,
            )
        else:
            levels[kind] = _Level(mean=mean, low=low, high=high)
    return levels


def _scored_lesions(lesions: Sequence[Lesion], log: NoticeLog) -> tuple[Lesion, ...]:
    kept = tuple(x for x in lesions if x.status != "physiological")
    for lesion in kept:
        if _known(lesion.metrics.suv_max) is None:
            log.warning(
                "LESION_WITHOUT_SUVMAX",
                f"Lesion {lesion.number} has no SUVmax; a rule that hangs on it stays indeterminate.",
                where=f"lesion {lesion.number}",
            )
    return kept


def _apply(record: Record, scan: _Scan) -> RuleResult:
    if record.method == "threshold":
        outcome = _threshold(record, scan)
    elif record.method == "visual":
        outcome = _visual(record, scan)
    else:
        outcome = _Outcome(verdict=None, because=_measurement(record, scan))
    if not record.is_default_grade:
        scan.log.warning(
            "RULE_UNVERIFIED",
            f"Rule {record.id} was switched on; it is tagged {record.tag} ({record.source}).",
            where=record.id,
        )
    return RuleResult(
        rule_id=record.id,
        title=record.title,
        verdict=outcome.verdict,
        because=outcome.because,
        citation=record.citation,
        tag=record.tag,
        lesions=outcome.lesions,
    )


def _threshold(record: Record, scan: _Scan) -> _Outcome:
    outcomes = [_clause(clause, record, scan) for clause in record.clauses]
    combine = kleene_any if record.combine == "any" else kleene_all
    numbers = sorted({number for o in outcomes for number in o.lesions})
    return _Outcome(
        verdict=combine(o.verdict for o in outcomes),
        because="; ".join(o.because for o in outcomes) + ".",
        lesions=tuple(numbers),
    )


def _clause(clause: Clause, record: Record, scan: _Scan) -> _Outcome:
    level = None
    if clause.relative_to:
        level = scan.levels.get(clause.relative_to)
        if level is None:
            return _Outcome(verdict=None, because=f"the {_words(clause.relative_to)} reference is missing")
    if clause.subject == "marrow":
        return _marrow_clause(clause, level, scan)
    if scan.burden.lesions is None:
        return _Outcome(verdict=None, because="no search for lesions was made")
    verdicts = {x.number: _compare(getattr(x.metrics, clause.metric), level, clause) for x in scan.lesions}
    fulfilled = tuple(number for number, verdict in verdicts.items() if verdict)
    unknown = sum(verdict is None for verdict in verdicts.values())
    verdict = _count(len(fulfilled), unknown, clause)
    if level is not None:
        _warn_near(clause, level, record, scan)
    text = f"{len(fulfilled)} of {len(verdicts)} lesions have {_clause_words(clause, level)}"
    if clause.count > 0 or clause.count_op != ">":
        text += f", {'more than' if clause.count_op == '>' else 'at least'} {clause.count} are needed"
    if unknown:
        text += f", {unknown} could not be measured"
    return _Outcome(verdict=verdict, because=text, lesions=fulfilled)


def _marrow_clause(clause: Clause, level: _Level | None, scan: _Scan) -> _Outcome:
    marrow = scan.levels.get("marrow")
    value = scan.marrow_suv_max if clause.metric == "suv_max" else (marrow.mean if marrow else None)
    if value is None:
        return _Outcome(verdict=None, because=f"marrow {_metric_words(clause.metric)} is missing")
    verdict = _compare(value, level, clause)
    compared = f"{value / level.mean:.2f} times {_words(clause.relative_to)}" if level else f"{value:.2f}"
    return _Outcome(
        verdict=verdict,
        because=f"marrow {_metric_words(clause.metric)} is {compared}, rule {clause.op} {clause.value:g}",
    )


def _compare(value: float | None, level: _Level | None, clause: Clause) -> bool | None:
    known = _known(value)
    if known is None:
        return None
    return holds(clause.op, known / level.mean if level else known, clause.value)


def _count(fulfilled: int, unknown: int, clause: Clause) -> bool | None:
    if holds(clause.count_op, fulfilled, clause.count):
        return True
    return None if holds(clause.count_op, fulfilled + unknown, clause.count) else False


def _warn_near(clause: Clause, level: _Level, record: Record, scan: _Scan) -> None:
    """Say so when the reference's own interval would turn the verdict."""
    verdicts = []
    for mean in (level.low, level.mean, level.high):
        if not (math.isfinite(mean) and mean > 0):
            continue
        moved = _Level(mean=mean, low=mean, high=mean)
        each = [_compare(getattr(x.metrics, clause.metric), moved, clause) for x in scan.lesions]
        verdicts.append(_count(each.count(True), each.count(None), clause))
    if len(set(verdicts)) > 1:
        scan.log.warning(
            "RULE_WITHIN_REFERENCE_INTERVAL",
            f"Rule {record.id} turns within the 95 % interval {level.low:.2f}-{level.high:.2f} of the "
            f"{_words(clause.relative_to)} mean {level.mean:.2f}.",
            where=record.id,
            raw=[level.low, level.high],
            used=level.mean,
        )


def _visual(record: Record, scan: _Scan) -> _Outcome:
    quoted = _quoted_ratios(record.reports, scan)
    if record.id in scan.visual:
        verdict = scan.visual[record.id]
        return _Outcome(verdict=verdict, because=f"the reader says {'positive' if verdict else 'negative'}{quoted}.")
    return _Outcome(verdict=None, because=f"the criterion is visual and no reader's verdict was given{quoted}.")


def _measurement(record: Record, scan: _Scan) -> str:
    peaks = (_known(x.metrics.suv_max) for x in scan.lesions)
    known = sorted((peak for peak in peaks if peak is not None), reverse=True)
    suffix = "; the source gives no threshold."
    if scan.burden.lesions is None:
        return "no search for lesions was made."
    if record.metric == "focal-or-marrow-suv-max":
        if scan.lesions:
            return f"focal disease, SUVmax {known[0]:.2f}{suffix}" if known else f"focal disease without SUVmax{suffix}"
        if scan.marrow_suv_max is None:
            return "no focal disease, and the L3 SUVmax is missing."
        return f"no focal disease, L3 SUVmax {scan.marrow_suv_max:.2f}{suffix}"
    if record.metric == "mean-suv-max-of-hottest" and record.value is not None:
        if not known:
            return "no lesion with an SUVmax."
        taken = known[: int(record.value)]
        return f"mean SUVmax {sum(taken) / len(taken):.2f} of {len(taken)} of {len(scan.lesions)} lesions{suffix}"
    if record.metric == "burden":
        volume, uptake = scan.burden.tumour_volume_ml, scan.burden.total_lesion_uptake
        if volume is None or uptake is None:
            return "the volume of a lesion is missing."
        return f"{scan.burden.lesions} lesions, volume {volume:.1f} mL, total lesion uptake {uptake:.1f} g{suffix}"
    raise InputError(f"evidence {record.id}", "metric", record.metric, "a measurement that the readout knows")


def _quoted_ratios(kinds: Sequence[str], scan: _Scan) -> str:
    hottest = scan.hottest
    if hottest is None or hottest.metrics.suv_max is None or not kinds:
        return ""
    parts = []
    for kind in kinds:
        level = scan.levels.get(kind)
        ratio = f"{hottest.metrics.suv_max / level.mean:.2f}" if level else "unknown (no reference)"
        parts.append(f"to {_words(kind)} {ratio}")
    return f"; hottest lesion {hottest.number}: ratio " + ", ".join(parts)


def _score(scan: _Scan) -> tuple[int | None, str]:
    """Score the hottest lesion against blood pool, liver and spleen.

    A level counts as at least the levels below it (a running maximum). So a higher uptake never scores lower, and
    where the liver is colder than the blood pool, as usual with Pentixafor, score 2 cannot occur.
    """
    missing = [_words(kind) for kind in _SCALE_ORDER if kind not in scan.levels]
    if missing:
        return None, f"no score: the {' and '.join(missing)} reference is missing."
    hottest = scan.hottest
    if hottest is None or hottest.metrics.suv_max is None:
        return None, "no score: there is no lesion with an SUVmax."
    limits = _running_levels(scan)
    peak = hottest.metrics.suv_max
    score = 1 + sum(peak > limit for limit in limits)
    above = f"hottest lesion {hottest.number}, SUVmax {peak:.2f}, " + _position_words(peak, limits)
    if score == len(limits) + 1:
        number = sum((_known(x.metrics.suv_max) or 0.0) > limits[-1] for x in scan.lesions)
        new = any(x.attributes.get("new") is True for x in scan.lesions)
        if number > 1 or new:
            return score + 1, above + (f", {number} lesions above spleen" if number > 1 else ", marked as new") + "."
    if any(_known(x.metrics.suv_max) is None for x in scan.lesions):
        return None, f"no score: at least {score} ({above}), and a lesion without SUVmax could raise it."
    return score, above + "."


def _running_levels(scan: _Scan) -> list[float]:
    means = [scan.levels[kind].mean for kind in _SCALE_ORDER]
    limits = [max(means[: i + 1]) for i in range(len(means))]
    if limits != means:
        named = ", ".join(f"{_words(k)} {m:.2f}" for k, m in zip(_SCALE_ORDER, means, strict=True))
        scan.log.info(
            "SCALE_REFERENCES_INVERTED",
            f"The references of the {SCALE_NAME} are not in rising order ({named}); each step counts as at least the "
            "step below it, so a step without width cannot be scored.",
            where="score",
            raw=means,
            used=limits,
        )
    return limits


def _position_words(peak: float, limits: Sequence[float]) -> str:
    names = [_words(kind) for kind in _SCALE_ORDER]
    passed = [name for name, limit in zip(names, limits, strict=True) if peak > limit]
    held = [name for name, limit in zip(names, limits, strict=True) if peak <= limit]
    parts = ([f"above {' and '.join(passed)}"] if passed else []) + ([f"not above {held[0]}"] if held else [])
    return ", ".join(parts)


def _clause_words(clause: Clause, level: _Level | None) -> str:
    ratio = f" / {_words(clause.relative_to)} mean {level.mean:.2f}" if level else ""
    return f"{_metric_words(clause.metric)}{ratio} {clause.op} {clause.value:g}"


def _metric_words(metric: str) -> str:
    return metric.upper().replace("_MAX", "max").replace("_MEAN", "mean").replace("_PEAK", "peak")


def _words(kind: str) -> str:
    return kind.replace("_", " ")
