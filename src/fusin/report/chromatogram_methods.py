"""What made the numbers of chromatograms, each with its citation; only what a run used is listed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fusin.nuclides import nuclide
from fusin.provenance import Method
from fusin.radiopharmacy.chromatogram_run import ChromatogramRun

__all__ = ["MASS_BALANCE", "chromatogram_methods"]

MASS_BALANCE = Method(
    "mass-balance", "Sum of the printed percentages against 100 within half a unit of each last digit: JCGM 100:2008, 4.3.7."
)  # fmt: skip
_AREA = Method(
    "net-area",
    "Signed sums above the baseline; uncertainty of counts and baseline by first-order propagation: JCGM 100:2008 (GUM), 5.2.",
)
_BASELINES = {
    "arpls": "Asymmetrically reweighted penalised least squares: Baek SJ et al., Analyst 2015;140:250-257 (pybaselines).",
    "asls": "Asymmetric least squares: Eilers PHC, Anal Chem 2003;75:3631-3636 (pybaselines).",
    "polynomial": "Least squares outside of the peaks, degree by Akaike H, IEEE Trans Autom Control 1974;19:716-723.",
    "linear": "Least-squares line through points without activity: JCGM 100:2008 (GUM), H.3.",
    "constant": "Mean of points without activity: JCGM 100:2008 (GUM), 4.2.",
    "local": "Chords from the start to the end of each group of peaks: Dyson N, Chromatographic Integration Methods, 2nd ed., "
    "RSC 1998.",
}
_INTERVALS = {
    "score": "Score interval of a ratio of net counts, after Wilson EB, J Am Stat Assoc 1927;22:209-212.",
    "Fieller": "Fieller EC, J R Stat Soc B 1954;16:175-185.",
    "MOVER": "Recovered variances: Zou GY, Donner A, Stat Med 2008;27:1693-1702.",
}
_SHAPES = {
    "gaussian": "Least squares of Gaussians (lmfit): Newville M et al., Zenodo, doi 10.5281/zenodo.11813.",
    "emg": "Exponentially modified Gaussian: Grushka E, Anal Chem 1972;44:1733-1738 (lmfit).",
    "skew-normal": "Azzalini A, Scand J Stat 1985;12:171-178 (lmfit).",
}
_SKIMS = {
    "tangent": "Tangent skim of a rider: Dyson N, Chromatographic Integration Methods, 2nd ed., RSC 1998.",
    "exponential": "Exponential skim of a rider: Dyson N, Chromatographic Integration Methods, 2nd ed., RSC 1998.",
}


def chromatogram_methods(runs: Sequence[ChromatogramRun], combination: dict[str, Any] | None) -> tuple[Method, ...]:
    """Methods of all runs in the order of their use, each once.

    Parameters
    ----------
    runs : what was evaluated
    combination : the document of two systems together; None without one
    """
    listed = [method for run in runs for method in _of_run(run)]
    if combination is not None:
        listed.append(Method("interval-of-a-sum", _INTERVALS["MOVER"]))
        text = "Free and colloidal impurity by two systems, each counted once"
        if combination["rule"] == "tlc-hplc":
            text = "(100 - A) x T as printed for [68Ga]Ga-DOTA-MGS5: PMC8235783, table 1"
        listed.append(Method("two-systems", text + "."))
    return tuple({m.id: m for m in listed}.values())


def _of_run(run: ChromatogramRun) -> Iterator[Method]:
    yield _AREA
    if run.baseline.model in _BASELINES:
        yield Method(f"baseline-{run.baseline.model}", _BASELINES[run.baseline.model])
    if run.signal.half_life_s is not None and run.method.nuclide is not None:
        found = nuclide(run.method.nuclide)
        yield Method(
            "decay",
            "Each point to the start of the run: Cherry SR, Sorenson JA, Phelps ME, Physics in Nuclear Medicine, 4th ed., "
            "Elsevier 2012, ch. 4.",
        )
        yield Method(f"half-life-{found.name}", f"{found.half_life:g} {found.half_life_unit}: {found.source}.")
    if run.method.dead_time_us is not None:
        yield Method("dead-time", "Knoll GF, Radiation Detection and Measurement, 4th ed., Wiley 2010, ch. 4.")
    for shape in dict.fromkeys(f.shape for f in run.fits):
        yield Method(f"shape-{shape}", _SHAPES[shape])
    for how in dict.fromkeys(p.how for p in run.pieces if p.how in _SKIMS):
        yield Method(f"skim-{how}", _SKIMS[how])
    shares = [p.percent.estimate for p in run.pieces if p.percent is not None]
    for name in dict.fromkeys(s.method.split(",")[0] for s in (*shares, *([run.recovery] if run.recovery else []))):
        if name in _INTERVALS:
            yield Method(f"interval-{name.lower()}", _INTERVALS[name])
    if run.shapes:
        yield Method("suitability", "Resolution, plates and tailing: Ph. Eur. 2.2.46 and USP <621>.")
    if run.limits is not None:
        yield Method("detection-limits", "Currie LA, Anal Chem 1968;40:586-593.")
