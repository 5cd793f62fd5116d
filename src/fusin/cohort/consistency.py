"""Check published claims against each other: ``fusin evidence check``.

A document of claims is TOML (or CSV for all but lesion matrices, one claim per row with its table name in ``check``)::

    title = "Adrenocortical carcinoma, n = 41"

    [[hazard_ratio]]
    name = "TRB per 10 mL"
    ratio = "1.004"
    low = "1.0001"
    high = "1.007"
    p = "0.005"

Write printed numbers as text: ``"2.0"`` says that the second digit was printed. The tables and their fields:

=================  =====================================================================================================
hazard_ratio       name, ratio, low, high, p (``"0.04"`` or ``"<0.001"``)
interval           name, k, n, low, high, unit (``percent`` or ``fraction``)
percentage         name, percent, n, k (optional)
mean               name, mean, n, sd (optional): of integers such as ages or counts
two_by_two         name, tp, fp, fn, tn, n, subjects (tables of equal ``subjects`` have to share one reference), and any
                   of sensitivity, specificity, accuracy, ppv, npv in percent, each with ``_low`` and ``_high``
sum                name, parts (list; in CSV joined by ``+``), total
quotient           name, numerator, denominator, quotient
lesion_matrix      name, tracers (3), rows (name, only, pairs, totals, lesions), totals, lesions
=================  =====================================================================================================
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusin.cohort import arithmetic
from fusin.cohort.arithmetic import TwoByTwo
from fusin.cohort.findings import ConsistencyReport, Finding, FindingSeverity, Printed, ranked
from fusin.cohort.lesion_matrix import LesionMatrix, MatrixRow, solve_lesion_matrix
from fusin.errors import InputError

__all__ = ["check_document", "check_lesion_matrix", "check_table"]

_MEASURES = ("sensitivity", "specificity", "accuracy", "ppv", "npv")


@dataclass(frozen=True, slots=True)
class _Claim:
    """Fields of one claim; every field has to be known, so that a misspelt one is not skipped."""

    where: str
    fields: Mapping[str, Any]

    def check(self, *allowed: str) -> None:
        for name in self.fields:
            if name not in allowed:
                raise InputError(self.where, "field", name, "one of " + ", ".join(allowed))

    def needed(self, field: str) -> Any:
        value = self.fields.get(field)
        if value is None or value == "":
            raise InputError(self.where, field, value, "a value")
        return value

    def printed(self, field: str) -> Printed:
        return Printed.parse(self.needed(field), where=self.where, field=field)

    def maybe(self, field: str) -> Printed | None:
        return self.printed(field) if self.fields.get(field) not in (None, "") else None

    def count(self, field: str) -> int:
        number = self.printed(field).value
        if number != int(number) or number < 0:
            raise InputError(self.where, field, self.fields[field], "a count of 0 or more")
        return int(number)

    def maybe_count(self, field: str) -> int | None:
        return self.count(field) if self.fields.get(field) not in (None, "") else None

    @property
    def name(self) -> str:
        return str(self.needed("name"))


def check_document(document: Mapping[str, Any], *, where: str = "claims", tolerance: float = 0.0) -> ConsistencyReport:
    """Run every check that the claims allow.

    Parameters
    ----------
    document : ``title`` and lists of claims by check, as in the module's text
    where : name for messages
    tolerance : allowed beyond rounding when an interval is compared, in percentage points

    Returns
    -------
    ConsistencyReport
        Worst findings first.

    Raises
    ------
    InputError
        For an unknown check or field, or a value that cannot be one.
    """
    findings: list[Finding] = []
    for kind, claims in document.items():
        if kind == "title":
            continue
        if kind not in _CHECKS:
            raise InputError(where, "check", kind, "one of " + ", ".join(_CHECKS))
        if not isinstance(claims, Sequence) or isinstance(claims, str):
            raise InputError(where, kind, type(claims).__name__, f"a list of claims ([[{kind}]])")
        listed = [_Claim(f"{where} {kind} {i + 1}", c) for i, c in enumerate(claims)]
        findings += _CHECKS[kind](listed, tolerance)
    return ranked(str(document.get("title", where)), findings)


def check_table(path: Path, *, tolerance: float = 0.0) -> ConsistencyReport:
    """Read claims from a TOML or CSV file and check them; see :func:`check_document`.

    Raises
    ------
    InputError
        For an unreadable file, another ending, or a bad claim.
    """
    name = path.name
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(name, "file", str(err), "a readable UTF-8 file") from err
    if path.suffix.lower() == ".toml":
        try:
            document: Mapping[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as err:
            raise InputError(name, "TOML", str(err), "a readable TOML document") from err
    elif path.suffix.lower() == ".csv":
        document = _from_csv(text, name)
    else:
        raise InputError(name, "file", path.suffix, "a .toml or .csv file")
    return check_document(document, where=name, tolerance=tolerance)


def _from_csv(text: str, where: str) -> dict[str, list[dict[str, Any]]]:
    document: dict[str, list[dict[str, Any]]] = {}
    for i, row in enumerate(csv.DictReader(text.splitlines())):
        fields: dict[str, Any] = {k: v.strip() for k, v in row.items() if isinstance(v, str) and k and v.strip()}
        kind = fields.pop("check", None)
        if kind is None:
            raise InputError(f"{where} row {i + 1}", "check", None, "one of " + ", ".join(_CHECKS))
        if kind == "sum" and "parts" in fields:
            fields["parts"] = fields["parts"].split("+")
        document.setdefault(kind, []).append(fields)
    return document


def _hazard_ratios(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "ratio", "low", "high", "p")
        limit: float | None = None
        p: Printed | None = None
        text = str(c.fields.get("p", "")).strip()
        if text.startswith("<"):
            limit = Printed.parse(text[1:], where=c.where, field="p").value
        else:
            p = c.maybe("p")
        ratio, low, high = (c.printed(f) for f in ("ratio", "low", "high"))
        yield arithmetic.check_hazard_ratio(c.name, ratio, low, high, p=p, p_less_than=limit)


def _intervals(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "k", "n", "low", "high", "unit")
        unit = c.needed("unit")
        if unit not in ("percent", "fraction"):
            raise InputError(c.where, "unit", unit, "percent or fraction")
        percent = unit == "percent"
        slack = tolerance if percent else tolerance / 100.0
        yield arithmetic.check_interval(
            c.name, c.count("k"), c.count("n"), c.printed("low"), c.printed("high"), percent=percent, tolerance=slack
        )


def _percentages(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "percent", "n", "k")
        yield arithmetic.check_percentage(c.name, c.printed("percent"), c.count("n"), k=c.maybe_count("k"))


def _means(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "mean", "n", "sd")
        yield arithmetic.check_mean_sd(c.name, c.printed("mean"), c.count("n"), sd=c.maybe("sd"))


def _sums(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "parts", "total")
        parts = c.needed("parts")
        if not isinstance(parts, Sequence) or isinstance(parts, str):
            raise InputError(c.where, "parts", parts, "a list of numbers")
        values = [Printed.parse(p, where=c.where, field="parts").value for p in parts]
        yield arithmetic.check_sum(c.name, values, c.printed("total"))


def _quotients(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "numerator", "denominator", "quotient")
        yield arithmetic.check_quotient(c.name, c.printed("numerator"), c.printed("denominator"), c.printed("quotient"))


def _two_by_twos(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    groups: dict[str, list[TwoByTwo]] = {}
    limits = [f"{m}{suffix}" for m in _MEASURES for suffix in ("", "_low", "_high")]
    for c in claims:
        c.check("name", "subjects", "n", "tp", "fp", "fn", "tn", *limits)
        table = TwoByTwo(name=c.name, tp=c.count("tp"), fp=c.count("fp"), fn=c.count("fn"), tn=c.count("tn"))
        given = {m: c.maybe(m) for m in _MEASURES}
        both = {m: (c.maybe(f"{m}_low"), c.maybe(f"{m}_high")) for m in _MEASURES}
        yield from arithmetic.check_two_by_two(
            table,
            n=c.maybe_count("n"),
            percent={m: v for m, v in given.items() if v is not None},
            intervals={m: (a, b) for m, (a, b) in both.items() if a is not None and b is not None},
            tolerance=tolerance,
        )
        if c.fields.get("subjects"):
            groups.setdefault(str(c.fields["subjects"]), []).append(table)
    for subjects, tables in groups.items():
        if len(tables) > 1:
            yield arithmetic.check_truth_vector(subjects, tables)


def _lesion_matrices(claims: Iterable[_Claim], tolerance: float) -> Iterator[Finding]:
    for c in claims:
        c.check("name", "tracers", "rows", "totals", "lesions")
        tracers = c.needed("tracers")
        if len(tracers) != 3:
            raise InputError(c.where, "tracers", tracers, "three names")
        rows = [_matrix_row(_Claim(f"{c.where} row {i + 1}", r)) for i, r in enumerate(c.needed("rows"))]
        totals = {str(k): int(v) for k, v in c.fields.get("totals", {}).items()}
        yield check_lesion_matrix(c.name, rows, tracers=tuple(tracers), totals=totals, lesions=c.maybe_count("lesions"))


def _matrix_row(claim: _Claim) -> MatrixRow:
    claim.check("name", "only", "pairs", "lesions", "totals")
    totals = claim.fields.get("totals", (None, None, None))
    if len(totals) != 3:
        raise InputError(claim.where, "totals", totals, "three counts")
    return MatrixRow(
        name=claim.name,
        only=tuple(claim.needed("only")),
        pairs=tuple(claim.needed("pairs")),
        totals=tuple(totals),
        lesions=claim.maybe_count("lesions"),
    )


def check_lesion_matrix(
    claim: str,
    rows: Sequence[MatrixRow],
    *,
    tracers: tuple[str, str, str],
    totals: Mapping[str, int] | None = None,
    lesions: int | None = None,
) -> Finding:
    """Solve a lesion matrix and say what its totals allow.

    Returns
    -------
    Finding
        ``ok`` for one solution, ``note`` for several, ``conflict`` for none; then the sentence says which single printed
        total would have to be wrong, where leaving one out gives a solution.
    """
    solved = solve_lesion_matrix(rows, tracers=tracers, totals=totals, lesions=lesions)
    severity: FindingSeverity
    if solved.unique is not None:
        one = solved.unique
        triple = ", ".join(f"{row} {t}" for row, t in one.triple.items())
        sums = ", ".join(f"{name} {k}" for name, k in one.totals.items())
        severity, text = "ok", f"one integer solution: triple-positive {triple}; {one.total_lesions} lesions, {sums}."
    elif solved.solutions:
        number = len(solved.solutions)
        shown = f"{number}" if solved.complete else f"more than {number}"
        severity, text = "note", f"{shown} integer solutions fit; the printed numbers do not say which."
    else:
        severity = "conflict"
        text = " ".join([solved.because, *_without_one(rows, tracers, dict(totals or {}), lesions)])
    return Finding(
        check="lesion matrix", claim=claim, severity=severity, sentence=f"{claim}: {text}", values=solved.to_json()
    )


def _without_one(
    rows: Sequence[MatrixRow], tracers: tuple[str, str, str], totals: dict[str, int], lesions: int | None
) -> Iterator[str]:
    for name, printed in totals.items():
        rest = {k: v for k, v in totals.items() if k != name}
        if not rest and lesions is None:
            continue
        found: LesionMatrix = solve_lesion_matrix(rows, tracers=tracers, totals=rest, lesions=lesions)
        values = sorted({s.totals[name] for s in found.solutions})
        if len(values) == 1 and found.complete:
            yield f"Without the printed total {name} {printed} the others fit, and {name} would be {values[0]}."


_CHECKS: Mapping[str, Callable[[Iterable[_Claim], float], Iterator[Finding]]] = {
    "hazard_ratio": _hazard_ratios,
    "interval": _intervals,
    "percentage": _percentages,
    "mean": _means,
    "two_by_two": _two_by_twos,
    "sum": _sums,
    "quotient": _quotients,
    "lesion_matrix": _lesion_matrices,
}
