"""How much peptide is injected: from a mass, from moles, or from what ``fusin release`` and ``fusin dispense`` have written.

A radioactive ligand of activity A holds A / lambda / N_A moles of the hot peptide; the rest of the peptide is cold.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fusin.decay import decay_factor, elapsed_s
from fusin.errors import InputError
from fusin.nuclides import nuclide
from fusin.provenance import NoticeLog
from fusin.tabular.toml_fields import is_finite

__all__ = ["AVOGADRO", "PeptideAmount", "amount_in_batch", "hot_nmol"]

AVOGADRO = 6.02214076e23
"""Per mole, exact (SI 2019)."""

_MOST_BYTES = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PeptideAmount:
    """Peptide in an injection.

    Attributes
    ----------
    peptide_nmol : hot and cold together
    activity_mbq, nuclide : None and empty when they are not known
    hot_nmol : radioactive peptide at the injection
    molar_activity_mbq_nmol : at the injection
    source : where the amount comes from
    """

    peptide_nmol: float
    source: str
    activity_mbq: float | None = None
    nuclide: str = ""
    hot_nmol: float | None = None
    molar_activity_mbq_nmol: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready mapping."""
        return {name: getattr(self, name) for name in self.__slots__}

    def with_activity(self, activity_mbq: float, nuclide_name: str, log: NoticeLog) -> PeptideAmount:
        """The same peptide with the activity that it carries.

        Raises
        ------
        InputError
            When the activity needs more hot peptide than there is peptide.
        """
        hot = hot_nmol(activity_mbq, nuclide_name)
        if hot > self.peptide_nmol:
            raise InputError(
                self.source, "activity", f"{activity_mbq:g} MBq of {nuclide_name}",
                f"at most that of {self.peptide_nmol:.4g} nmol of peptide; this activity alone is {hot:.4g} nmol",
            )  # fmt: skip
        share = hot / self.peptide_nmol
        if share > 0.5:
            log.warning("HOT_PEPTIDE_DOMINATES", f"{share:.0%} of the peptide is radioactive: an amount of cold peptide is not "
                        "what decides", where=self.source, used=hot)  # fmt: skip
        return PeptideAmount(
            peptide_nmol=self.peptide_nmol, source=self.source, activity_mbq=activity_mbq, nuclide=nuclide(nuclide_name).name,
            hot_nmol=hot, molar_activity_mbq_nmol=activity_mbq / self.peptide_nmol,
        )  # fmt: skip


def hot_nmol(activity_mbq: float, nuclide_name: str) -> float:
    """Moles of radioactive nuclide in an activity: A / lambda / N_A [nmol].

    Parameters
    ----------
    activity_mbq : at least 0
    nuclide_name : for example ``"Lu-177"``

    Raises
    ------
    InputError
        For an activity that is none, and an unknown nuclide.

    Examples
    --------
    >>> round(hot_nmol(7400.0, "Lu-177"), 1)
    10.2
    """
    if not (math.isfinite(activity_mbq) and activity_mbq >= 0):
        raise InputError("activity", "value", activity_mbq, "a number of at least 0 in MBq")
    atoms = activity_mbq * 1e6 * nuclide(nuclide_name).half_life_s / math.log(2.0)
    return atoms / AVOGADRO * 1e9


def amount_in_batch(
    path: Path,
    *,
    log: NoticeLog,
    patient: str = "",
    activity_mbq: float | None = None,
    injected_at: datetime | None = None,
    nuclide_name: str = "",
    molar_mass_g_mol: float | None = None,
) -> PeptideAmount:
    """Peptide of an injection, from the JSON document of ``fusin release`` or ``fusin dispense``.

    A release gives a molar activity at a time; it falls with the half-life, so the later an activity is drawn the more peptide
    comes with it. A day of dispensing gives the peptide of each patient.

    Parameters
    ----------
    path : ``results.json`` of either verb
    log : receives notices
    patient : id in a day of dispensing
    activity_mbq : injected, for a release
    injected_at : moment of the injection, for a release; the time of the decision is taken (and noted) without it
    nuclide_name : for a release
    molar_mass_g_mol : of the peptide, to turn the micrograms of a day of dispensing into moles

    Raises
    ------
    InputError
        For another file, an unknown patient, or what is missing to answer.
    """
    document = _document(path)
    if isinstance(document.get("patients"), list):
        return _dispensed(document, path.name, patient, molar_mass_g_mol, log)
    if isinstance(document.get("activities"), list):
        return _released(document, path.name, activity_mbq, injected_at, nuclide_name, log)
    raise InputError(
        path.name, "JSON", "neither patients nor activities", "results.json of fusin release or fusin dispense"
    )


def _document(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(
                path.name, "file", f"{path.stat().st_size} bytes", "results.json of fusin release or dispense"
            )
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as err:
        raise InputError(path.name, "file", "nothing", "results.json of fusin release or fusin dispense") from err
    except (OSError, ValueError, RecursionError) as err:
        raise InputError(path.name, "file", type(err).__name__, "a readable JSON document") from err
    if not isinstance(document, dict):
        raise InputError(path.name, "JSON", type(document).__name__, "the document of fusin release or fusin dispense")
    return document


def _positive(value: Any, where: str, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (is_finite(value) and value > 0):
        raise InputError(where, field, value, "a number above 0")
    return float(value)


def _dispensed(
    document: Mapping[str, Any], where: str, patient: str, molar_mass_g_mol: float | None, log: NoticeLog
) -> PeptideAmount:
    rows = {str(row.get("id")): row for row in document["patients"] if isinstance(row, dict)}
    if patient not in rows:
        raise InputError(where, "patient", patient or "nothing", "one of " + ", ".join(rows))
    row = rows[patient]
    amounts = {str(a.get("name")): a.get("amount") for a in row.get("amounts") or () if isinstance(a, dict)}
    if amounts.get("peptide_ug") is None:
        raise InputError(
            where, f"peptide of {patient}", "nothing", "peptide_ug of a vial in the file of fusin dispense"
        )
    if molar_mass_g_mol is None:
        raise InputError(where, "molar mass", "nothing", "molar_mass_g_mol of the peptide: the day gives micrograms")
    micrograms = _positive(amounts["peptide_ug"], where, f"peptide of {patient}")
    found = PeptideAmount(
        peptide_nmol=1e3 * micrograms / _positive(molar_mass_g_mol, where, "molar mass"),
        source=f"{where}, patient {patient}",
    )
    activity = row.get("administered_mbq")
    if activity is None or not row.get("nuclide"):
        return found
    return found.with_activity(_positive(activity, where, "administered_mbq"), str(row["nuclide"]), log)


def _released(
    document: Mapping[str, Any],
    where: str,
    activity_mbq: float | None,
    injected_at: datetime | None,
    nuclide_name: str,
    log: NoticeLog,
) -> PeptideAmount:
    rows = [r for r in document["activities"] if isinstance(r, dict) and r.get("molar_activity_gbq_umol") is not None]
    if not rows:
        raise InputError(where, "molar activity", "nothing", "a batch whose peptide amount and molar mass are stated")
    if activity_mbq is None or not nuclide_name:
        missing = "activity_mbq" if activity_mbq is None else "nuclide"
        raise InputError(
            where, missing, "nothing", "the injected activity and the nuclide: a batch is not an injection"
        )
    row = next((r for r in rows if r.get("when") == "decision"), rows[-1])
    # 1 GBq/umol is 1 MBq/nmol.
    molar = _positive(row["molar_activity_gbq_umol"], where, "molar_activity_gbq_umol")
    try:
        moment = datetime.fromisoformat(str(row.get("time")))
    except ValueError as err:
        raise InputError(where, "time", row.get("time"), "an ISO time of the molar activity") from err
    if injected_at is None:
        log.warning("INJECTION_TIME_UNKNOWN", f"the molar activity is that of {moment.isoformat()}; later there is more peptide in "
                    "the same activity", where=where, used=molar)  # fmt: skip
    else:
        passed = elapsed_s(moment, injected_at)
        molar *= decay_factor(passed, nuclide(nuclide_name).half_life_s)
    if molar <= 0:
        raise InputError(where, "injected_at", str(injected_at), "a time at which there is still activity")
    found = PeptideAmount(peptide_nmol=activity_mbq / molar, source=where)
    return found.with_activity(activity_mbq, nuclide_name, log)
