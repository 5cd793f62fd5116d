"""Rules about a generator that a site sets: retirement, least yield, idle time, breakthrough with its denominator."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from fusin.decay import decay_factor
from fusin.errors import InputError
from fusin.evidence.catalogue import cite, default_value
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.radiopharmacy.generator import Elution, Generator
from fusin.radiopharmacy.moments import Clock

__all__ = [
    "Breakthrough",
    "Denominator",
    "GeneratorRules",
    "Retirement",
    "breakthrough_of",
    "retirement_of",
    "retirement_rules",
]

Denominator = Literal["ge68_on_column", "ga68_eluted"]
DENOMINATORS: tuple[Denominator, ...] = ("ge68_on_column", "ga68_eluted")
_DAYS_PER_YEAR = 365.25


@cache
def retirement_rules() -> Mapping[str, Mapping[str, Any]]:
    """Retirement rules by name, from ``generator_rules.toml``: elutions, months, source."""
    text = resources.files("fusin.radiopharmacy").joinpath("generator_rules.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorRules:
    """What a site decides.

    Attributes
    ----------
    retire_elutions, retire_months, retire_source : retirement at whichever comes first; None for no such limit
    minimum_yield : least share of the 68Ga on the column
    discard_after_idle_h : the first eluate after so many idle hours is discarded; None when the site has no such rule
    calibrator_u_relative : relative standard uncertainty of the activity meter, common to all measurements
    breakthrough_percent, breakthrough_of, breakthrough_source : limit with its denominator
    """

    retire_elutions: int | None = None
    retire_months: float | None = None
    retire_source: str = ""
    minimum_yield: float | None = None
    discard_after_idle_h: float | None = None
    calibrator_u_relative: float = 0.0
    breakthrough_percent: float | None = None
    breakthrough_of: Denominator | None = None
    breakthrough_source: str = ""

    def with_published_breakthrough(self) -> GeneratorRules:
        """The rules with the published limit of 68Ge per eluted 68Ga, where the site gave none."""
        if self.breakthrough_percent is not None:
            return self
        from dataclasses import replace

        return replace(
            self, breakthrough_percent=default_value("galliad-ge68"), breakthrough_of="ga68_eluted",
            breakthrough_source=cite("galliad-ge68"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """How far a generator is from its retirement.

    Attributes
    ----------
    generator : its name
    elutions : so far, with those before the log
    age_months : months of 365.25/12 days from its first use to the last elution
    limit_elutions, limit_months, source : the rule
    due : whether a limit is reached
    """

    generator: str
    elutions: int
    age_months: float
    limit_elutions: int | None
    limit_months: float | None
    source: str
    due: bool


def retirement_of(
    generators: Sequence[Generator], elutions: Sequence[Elution], rules: GeneratorRules, log: NoticeLog
) -> tuple[Retirement, ...]:
    """Count elutions and months of each generator, with a notice where a limit is reached.

    Parameters
    ----------
    generators, elutions : of the log
    rules : limits
    log : receives GENERATOR_RETIREMENT
    """
    found = []
    for generator in generators:
        own = [e for e in elutions if any(p.generator == generator.name for p in e.parts)]
        count = generator.eluted_before + len(own)
        begun = generator.reference_s if generator.in_use_s is None else generator.in_use_s
        age = max(own[-1].time_s - begun, 0.0) / (_DAYS_PER_YEAR / 12 * 86400.0) if own else 0.0
        many = rules.retire_elutions is not None and count >= rules.retire_elutions
        old = rules.retire_months is not None and age >= rules.retire_months
        if many or old:
            reached = f"{count} elutions" if many else f"{age:.1f} months"
            limit = f"{rules.retire_elutions} elutions" if many else f"{rules.retire_months:g} months"
            log.warning(
                "GENERATOR_RETIREMENT",
                f"generator {generator.name} has reached {reached}, the rule retires it at {limit}"
                + (f" ({rules.retire_source})" if rules.retire_source else ""),
                where=generator.name, raw=count if many else age,
            )  # fmt: skip
        found.append(
            Retirement(
                generator=generator.name, elutions=count, age_months=age, limit_elutions=rules.retire_elutions,
                limit_months=rules.retire_months, source=rules.retire_source, due=many or old,
            )
        )  # fmt: skip
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakthrough:
    """68Ge in one eluate, in both denominators as far as the log allows; the two are never mixed.

    Attributes
    ----------
    number : of the elution
    stated_percent, stated_of : as the log has it; None when it states the 68Ge activity alone
    ge68_eluate_bq : 68Ge in the eluate; None without the activity of the denominator
    of_column_percent : per 68Ge on the column at the elution
    of_ga68_percent : per eluted 68Ga at the moment of the elution; doubles every 68 min afterwards
    limit_percent, limit_of : the rule; None without one
    within : whether the value in the denominator of the rule keeps it at the elution; None when it is not known
    reached_after_min : minutes from the elution until the ratio to 68Ga reaches a limit in that denominator
    """

    number: int
    stated_percent: float | None
    stated_of: str | None
    ge68_eluate_bq: float | None
    of_column_percent: float | None
    of_ga68_percent: float | None
    limit_percent: float | None
    limit_of: str | None
    within: bool | None
    reached_after_min: float | None


def breakthrough_of(elution: Elution, rules: GeneratorRules, clock: Clock, log: NoticeLog) -> Breakthrough | None:
    """68Ge of one eluate; None when the log holds none.

    Parameters
    ----------
    elution : with its entry
    rules : the limit
    clock : to name moments
    log : receives BREAKTHROUGH_ABOVE_LIMIT and BREAKTHROUGH_NO_REFERENCE

    Raises
    ------
    InputError
        For a percentage without its denominator.
    """
    entry = elution.entry
    if entry.breakthrough_percent is None and entry.ge68_eluate_bq is None:
        return None
    eluted = entry.eluted_measured_mbq
    column_bq, in_eluate_bq, of_ga = 1e6 * elution.ge68_mbq, entry.ge68_eluate_bq, None
    if entry.breakthrough_percent is not None:
        if entry.breakthrough_of not in DENOMINATORS:
            raise InputError(
                entry.where, "breakthrough_of", entry.breakthrough_of or "nothing", " or ".join(DENOMINATORS)
            )
        share = entry.breakthrough_percent / 100.0
        if entry.breakthrough_of == "ge68_on_column":
            in_eluate_bq = share * column_bq
        elif entry.breakthrough_s is None:
            log.warning(
                "BREAKTHROUGH_NO_REFERENCE",
                f"elution {elution.number}: 68Ge in percent of 68Ga without the time of the 68Ga means nothing, for it "
                "doubles every 68 min; it is listed and not judged",
                where=entry.where, raw=entry.breakthrough_percent,
            )  # fmt: skip
            in_eluate_bq = None
        else:
            of_ga = 100.0 * share / _growth(entry.breakthrough_s - elution.time_s)
            in_eluate_bq = None if eluted is None else 1e6 * eluted * of_ga / 100.0
    if of_ga is None and in_eluate_bq is not None and eluted:
        of_ga = 100.0 * in_eluate_bq / (1e6 * eluted)
    of_column = None if in_eluate_bq is None else 100.0 * in_eluate_bq / column_bq
    return _judged(elution, in_eluate_bq, of_column, of_ga, rules, clock, log)


def _growth(elapsed_s: float) -> float:
    """Growth of the ratio of 68Ge to 68Ga in an eluate."""
    return decay_factor(elapsed_s, nuclide("Ge-68").half_life_s) / decay_factor(elapsed_s, nuclide("Ga-68").half_life_s)


def _judged(
    elution: Elution, in_eluate_bq: float | None, of_column: float | None, of_ga: float | None,
    rules: GeneratorRules, clock: Clock, log: NoticeLog,
) -> Breakthrough:  # fmt: skip
    limit, denominator = rules.breakthrough_percent, rules.breakthrough_of
    value = of_column if denominator == "ge68_on_column" else of_ga
    within = None if limit is None or value is None else value <= limit
    if within is False:
        log.warning(
            "BREAKTHROUGH_ABOVE_LIMIT",
            f"elution {elution.number} ({clock.text(elution.time_s)}): 68Ge is {value:.3g} % of "
            f"{'the 68Ge on the column' if denominator == 'ge68_on_column' else 'the eluted 68Ga'}, the limit is {limit:g} %"
            + (f" ({rules.breakthrough_source})" if rules.breakthrough_source else ""),
            where=elution.entry.where, raw=value,
        )  # fmt: skip
    reached = None
    if limit and of_ga and denominator == "ga68_eluted":
        half_ge, half_ga = nuclide("Ge-68").half_life_s, nuclide("Ga-68").half_life_s
        reached = math.log2(limit / of_ga) / (1.0 / half_ga - 1.0 / half_ge) / 60.0
    entry = elution.entry
    return Breakthrough(
        number=elution.number, stated_percent=entry.breakthrough_percent, stated_of=entry.breakthrough_of,
        ge68_eluate_bq=in_eluate_bq, of_column_percent=of_column, of_ga68_percent=of_ga,
        limit_percent=limit, limit_of=denominator, within=within, reached_after_min=reached,
    )  # fmt: skip
