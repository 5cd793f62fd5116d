"""Made-up binding assays with known truth: tube counts as a gamma counter would give them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fusin.assays.binding_equilibrium import competition_exact
from fusin.assays.depletion import bound_in_saturation, kd_in_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CompetitionTruth", "make_competition", "make_homologous", "make_saturation"]

FloatArray = NDArray[np.float64]
_KD_NM, _VOLUME_ML, _CPM_PER_FMOL, _ADDED_CPM = 0.5, 0.25, 1000.0, 50000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CompetitionTruth:
    """One made-up compound: its Ki [nM] and how much experiments differ, as SD of log10."""

    name: str
    ki_nm: float
    between: float = 0.06


def _counted(mean: FloatArray, *, pipetting: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Counts of tubes whose content differs by pipetting (relative SD) and which are counted for a minute."""
    content = mean * (1.0 + pipetting * rng.standard_normal(mean.shape))
    return rng.poisson(np.maximum(content, 0.0))


def make_competition(
    truths: Sequence[CompetitionTruth],
    *,
    experiments: int = 3,
    log_m: Sequence[float] = (-11.0, -10.0, -9.5, -9.0, -8.5, -8.0, -7.5, -7.0, -6.5, -6.0),
    replicates: int = 2,
    bmax_cpm: float = 9000.0,
    ns: float = 0.012,
    added_cpm: float = _ADDED_CPM,
    pipetting: float = 0.04,
    seed: int = 0,
) -> pd.DataFrame:
    """Competition with totals and non-specific tubes, at exact equilibrium, radioligand and competitor depleted.

    Parameters
    ----------
    truths : compounds
    experiments : independent ones; total binding differs by a tenth between them
    log_m : log10 molar concentrations
    replicates : tubes of each
    bmax_cpm, ns, added_cpm : receptors, non-specific share and radioligand in cpm (Kd 0.5 nM, 0.25 mL, 1000 cpm/fmol)
    pipetting : relative SD of a tube
    seed : of the noise

    Returns
    -------
    DataFrame
        ``compound``, ``experiment``, ``kind``, ``concentration_nM``, ``replicate``, ``cpm``.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    per_nm = kd_in_counts(1.0, volume_ml=_VOLUME_ML, specific_activity=_CPM_PER_FMOL)
    levels = np.concatenate([[-np.inf, np.inf], np.asarray(log_m, dtype=float)])
    rows: list[dict[str, Any]] = []
    for number in range(1, experiments + 1):
        tissue = bmax_cpm * (1.0 + 0.1 * rng.standard_normal())
        for truth in truths:
            log_ki = np.log10(truth.ki_nm) - 9.0 + truth.between * rng.standard_normal()
            mean = competition_exact(
                np.vstack([levels, np.full(levels.size, added_cpm)]), bmax=tissue, log_ki=log_ki, ns=ns,
                kd_counts=_KD_NM * per_nm, counts_per_nm=per_nm,
            )  # fmt: skip
            for tube in range(1, replicates + 1):
                counts = _counted(np.asarray(mean, dtype=float), pipetting=pipetting, rng=rng)
                rows += [_row(truth.name, number, tube, level, int(c)) for level, c in zip(levels, counts, strict=True)]
    return pd.DataFrame(rows)


def _row(compound: str, experiment: int, tube: int, level: float, counts: int) -> dict[str, Any]:
    kind = "sample" if np.isfinite(level) else ("total" if level < 0 else "nonspecific")
    # Written with 4 digits, as somebody would type a dilution series.
    nm = float(f"{10 ** (level + 9):.4g}") if kind == "sample" else (0.0 if kind == "total" else 100000.0)
    return {
        "compound": compound, "experiment": f"E{experiment}", "kind": kind, "concentration_nM": nm, "replicate": tube,
        "cpm": counts,
    }  # fmt: skip


def make_saturation(
    *,
    kd_nm: float = _KD_NM,
    bmax_cpm: float = 24000.0,
    ns: float = 0.01,
    background_cpm: float = 60.0,
    added_nm: Sequence[float] = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0, 2.0, 4.0),
    replicates: int = 2,
    pipetting: float = 0.03,
    seed: int = 0,
) -> pd.DataFrame:
    """Total and non-specific binding over concentrations added (0.25 mL, 1000 cpm/fmol).

    Returns
    -------
    DataFrame
        ``concentration_nM``, ``kind``, ``replicate``, ``cpm``.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    per_nm = kd_in_counts(1.0, volume_ml=_VOLUME_ML, specific_activity=_CPM_PER_FMOL)
    x = np.asarray(added_nm, dtype=float)
    means = {
        "total": np.asarray(bound_in_saturation(x * per_nm, bmax_cpm, kd_nm * per_nm, ns), dtype=float),
        "nonspecific": x * per_nm * ns / (1.0 + ns),
    }
    rows: list[dict[str, Any]] = []
    for kind, mean in means.items():
        for tube in range(1, replicates + 1):
            counts = _counted(mean + background_cpm, pipetting=pipetting, rng=rng)
            rows += [
                {"concentration_nM": float(c), "kind": kind, "replicate": tube, "cpm": int(y)}
                for c, y in zip(x, counts, strict=True)
            ]
    return pd.DataFrame(rows)


def make_homologous(
    *,
    kd_nm: float = 2.0,
    bmax_cpm: float = 8000.0,
    ns_cpm_per_nm: float = 150.0,
    hot_nm: Sequence[float] = (0.5, 2.0),
    log_m: Sequence[float] = (-11.0, -10.0, -9.5, -9.0, -8.5, -8.0, -7.5, -7.0, -6.0),
    replicates: int = 2,
    pipetting: float = 0.04,
    seed: int = 0,
) -> pd.DataFrame:
    """Homologous competition at several concentrations of hot ligand, without depletion.

    Returns
    -------
    DataFrame
        ``hot_nM``, ``concentration_nM``, ``replicate``, ``cpm``.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    cold = 10.0 ** (np.asarray(log_m, dtype=float) + 9.0)
    rows: list[dict[str, Any]] = []
    for hot in hot_nm:
        mean = bmax_cpm * hot / (hot + cold + kd_nm) + ns_cpm_per_nm * hot
        for tube in range(1, replicates + 1):
            counts = _counted(mean, pipetting=pipetting, rng=rng)
            rows += [
                {"hot_nM": float(hot), "concentration_nM": float(f"{c:.4g}"), "replicate": tube, "cpm": int(y)}
                for c, y in zip(cold, counts, strict=True)
            ]
    return pd.DataFrame(rows)
