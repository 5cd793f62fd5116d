"""What a comparison of two tracers found: paired detection, paired quantities, adjusted tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusin.cohort.units import Unit
from fusin.provenance import Notice
from fusin.stats.agreement import Kappa
from fusin.stats.clustered import GeeComparison
from fusin.stats.effects import EffectTest
from fusin.stats.paired import McNemar
from fusin.stats.results import Estimate, TestResult

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AdjustedTest", "Comparison", "PairedDetection", "PairedValues", "Summary"]

_VARIANTS = ("exact", "mid_p", "chi2_corrected", "chi2")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDetection:
    """Detection by two tracers on the same units.

    Attributes
    ----------
    label : stratum, empty for all
    unit : ``"lesion"`` or ``"patient"``
    first, second : names of the tracers
    both, first_only, second_only, neither : number of units
    mcnemar : all variants; ``default`` is the one to quote where units are independent
    first_rate, second_rate, difference : with intervals that take units as independent
    kappa : agreement beyond chance, with the observed agreement in ``agreement``
    gee : comparison with patients as clusters, for lesions of patients; else None
    patients : number of patients, None for counts without rows
    unassessed : units without an answer of both tracers
    """

    label: str
    unit: Unit
    first: str
    second: str
    both: int
    first_only: int
    second_only: int
    neither: int
    mcnemar: McNemar
    first_rate: Estimate
    second_rate: Estimate
    difference: Estimate
    kappa: Kappa
    gee: GeeComparison | None = None
    patients: int | None = None
    unassessed: int = 0
    notices: tuple[Notice, ...] = ()

    @property
    def n(self) -> int:
        """Number of units that both tracers assessed."""
        return self.both + self.first_only + self.second_only + self.neither

    @property
    def primary(self) -> TestResult:
        """The test to quote: GEE where patients have several lesions, else the default McNemar test."""
        return self.gee.test if self.gee and self.gee.test.p is not None else self.mcnemar.default

    def to_json(self) -> dict[str, Any]:
        """Return the documented contract: p values by variant, rates, kappa."""
        tests: dict[str, TestResult] = {name: getattr(self.mcnemar, name) for name in _VARIANTS}
        default = next(name for name, test in tests.items() if test is self.mcnemar.default)
        return {
            "label": self.label,
            "unit": self.unit,
            "tracers": {"first": self.first, "second": self.second},
            "counts": {
                "both": self.both,
                "first_only": self.first_only,
                "second_only": self.second_only,
                "neither": self.neither,
                "n": self.n,
                "unassessed": self.unassessed,
                "patients": self.patients,
            },
            "mcnemar": {
                **{name: test.p for name, test in tests.items()},
                "default": default,
                "tests": {name: test.to_json() for name, test in tests.items()},
            },
            "rates": {
                "first": self.first_rate.to_json(),
                "second": self.second_rate.to_json(),
                "difference": self.difference.to_json(),
            },
            "kappa": self.kappa.to_json(),
            "gee": self.gee.to_json() if self.gee else None,
            "primary": self.primary.to_json(),
            "notices": [n.to_json() for n in self.notices],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One sample in the words of a table.

    Attributes
    ----------
    n : number of values
    median, q1, q3, low, high : with linear interpolation of the quartiles; None without values
    mean, sd : sample standard deviation, None for fewer than two values
    geometric_mean : for positive values
    skewed : the standard deviation reaches the mean, so mean and SD describe the sample badly
    """

    n: int
    median: float | None
    q1: float | None
    q3: float | None
    low: float | None
    high: float | None
    mean: float | None
    sd: float | None
    geometric_mean: float | None
    skewed: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedValues:
    """One quantity by two tracers on the units where both have it.

    Attributes
    ----------
    metric : column
    unit : what a pair is
    first, second : summaries of the pairs
    test : over all pairs; its effect is first - second (Hodges-Lehmann or mean)
    patient_test : the same over the median of each patient, where patients have several lesions; else None
    patients : number of patients
    unpaired : units with a value of one tracer only
    """

    metric: str
    unit: Unit
    first: Summary
    second: Summary
    test: EffectTest
    patient_test: EffectTest | None
    patients: int
    unpaired: int

    @property
    def primary(self) -> EffectTest:
        """The test to quote: over patients where lesions are clustered."""
        return self.patient_test or self.test

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {
            "metric": self.metric,
            "unit": self.unit,
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "test": self.test.to_json(),
            "patient_test": self.patient_test.to_json() if self.patient_test else None,
            "patients": self.patients,
            "unpaired": self.unpaired,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjustedTest:
    """One of the tests of a table with its p value before and after the adjustment for their number."""

    label: str
    test: str
    p: float
    adjusted: float
    method: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that two tracers were compared in.

    Attributes
    ----------
    overall : detection in all units
    strata : detection by group
    values : paired quantities
    tests : each test that the table quotes, adjusted over all of them
    """

    overall: PairedDetection
    strata: tuple[PairedDetection, ...]
    values: tuple[PairedValues, ...]
    tests: tuple[AdjustedTest, ...]
    notices: tuple[Notice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the documented contract of ``fusin compare --json``."""
        return self.overall.to_json() | {
            "strata": [s.to_json() for s in self.strata],
            "values": [v.to_json() for v in self.values],
            "tests": [t.to_json() for t in self.tests],
            "notices": [n.to_json() for n in self.notices],
        }

    def to_table(self) -> pd.DataFrame:
        """One row per detection comparison."""
        import pandas as pd

        return pd.DataFrame([_flat(d) for d in (self.overall, *self.strata)])

    def values_table(self) -> pd.DataFrame:
        """One row per paired quantity."""
        import pandas as pd

        return pd.DataFrame([_flat_values(v) for v in self.values])


def _flat(d: PairedDetection) -> dict[str, Any]:
    row: dict[str, Any] = {"stratum": d.label, "unit": d.unit, "n": d.n, "patients": d.patients}
    row |= {name: getattr(d, name) for name in ("both", "first_only", "second_only", "neither")}
    for name, estimate in (
        ("first", d.first_rate),
        ("second", d.second_rate),
        ("difference", d.difference),
        ("kappa", d.kappa),
    ):
        row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    row |= {f"mcnemar_{name}_p": getattr(d.mcnemar, name).p for name in _VARIANTS}
    return row | {"primary_test": d.primary.test, "primary_p": d.primary.p}


def _flat_values(v: PairedValues) -> dict[str, Any]:
    row: dict[str, Any] = {"metric": v.metric, "unit": v.unit, "pairs": v.first.n, "patients": v.patients}
    for side in ("first", "second"):
        row |= {f"{side}_{name}": getattr(getattr(v, side), name) for name in ("median", "q1", "q3", "low", "high")}
    effect = v.primary.effect
    row |= {"difference": effect.value, "difference_low": effect.low, "difference_high": effect.high}
    return row | {"difference_method": effect.method, "test": v.primary.test, "p": v.primary.p}
