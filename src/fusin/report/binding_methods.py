"""Citations of what a binding assay used, for the page's list of methods."""

from __future__ import annotations

from collections.abc import Sequence

from fusin.assays.binding import BindingOptions
from fusin.assays.binding_results import CompoundBinding
from fusin.assays.saturation import SaturationOptions
from fusin.assays.saturation_results import GroupSaturation
from fusin.provenance import Method

__all__ = ["methods_of_binding", "methods_of_saturation"]

_MODELS = {
    "one-site competition": "One site, slope 1: GraphPad Prism 8 Curve Fitting Guide, One site - Fit logIC50.",
    "variable-slope competition": "Four-parameter logistic: Ritz et al., PLoS ONE 2015;10:e0146021.",
    "homologous competition": "Homologous competition: DeBlasi, O'Reilly, Motulsky, Trends Pharmacol Sci 1989;10:227.",
}
_KI = {
    "cheng-prusoff": "Ki = IC50 / (1 + [L]/Kd): Cheng, Prusoff, Biochem Pharmacol 1973;22:3099.",
    "hot-depletion": "Depletion of the radioligand, competitor taken as free: GraphPad Prism 8 Curve Fitting Guide, One site - "
    "accounting for ligand depletion.",
    "exact": "Exact equilibrium of two ligands at one site: Wang, FEBS Lett 1995;360:111; as Munson, Rodbard, J Recept Res "
    "1988;8:533, at the middle of the curve.",
}
_INTERVALS = {
    "profile": "Profile likelihood: Venzon, Moolgavkar, Appl Stat 1988;37:87; Bates, Watts, Nonlinear Regression Analysis and "
    "Its Applications, Wiley 1988, section 6.1.",
    "wald": "Wald interval with the t distribution: Bates, Watts, Nonlinear Regression Analysis and Its Applications, Wiley 1988.",
    "bootstrap": "Bootstrap of residuals, BCa: Davison, Hinkley, Bootstrap Methods and Their Application, 1997; Efron, J Am Stat "
    "Assoc 1987;82:171.",
    "bootstrap-cases": "Bootstrap of points, BCa: Efron, J Am Stat Assoc 1987;82:171.",
}
_F_TEST = Method("f-test", "Extra sum of squares F test of nested models: Motulsky, Ransnas, FASEB J 1987;1:365.")
_AICC = Method(
    "aicc",
    "AICc: Hurvich, Tsai, Biometrika 1989;76:297; Burnham, Anderson, Model Selection and Multimodel Inference, 2002.",
)
_OPEN = Method(
    "identifiability", "A parameter whose profile stays open is not identified by the data: Raue et al., Bioinformatics "
    "2009;25:1923.",
)  # fmt: skip
_MEAN = Method("mean-of-logs", "Mean over experiments on the log scale with its t interval (geometric mean).")
_FIT = Method(
    "least-squares", "Weighted least squares, Levenberg-Marquardt from many starts, derivatives by complex steps: Marquardt, J Soc "
    "Ind Appl Math 1963;11:431; Squire, Trapp, SIAM Rev 1998;40:110.",
)  # fmt: skip


def methods_of_binding(found: Sequence[CompoundBinding], options: BindingOptions) -> tuple[Method, ...]:
    """Methods behind the numbers of a competition, in the order in which they were used."""
    curves = [e for c in found for e in c.used]
    methods = [_FIT]
    methods += [Method(name.replace(" ", "-"), _MODELS[name]) for name in dict.fromkeys(e.model for e in curves)]
    methods += [Method(f"interval-{options.interval}", _INTERVALS[options.interval]), _OPEN]
    if any(e.comparison is not None for e in curves):
        methods += [_F_TEST, _AICC]
    ways = dict.fromkeys(way for e in curves for way in e.ki_ways)
    methods += [Method(f"ki-{way}", _KI[way]) for way in ways]
    if any(k.shifts for e in curves for k in e.ki_ways.values()):
        methods.append(
            Method("mover", "Uncertain inputs added to an interval (MOVER): Zou, Donner, Stat Med 2008;27:1693.")
        )
    if any(len(c.used) > 1 for c in found):
        methods.append(_MEAN)
    if any(c.relative is not None for c in found):
        methods.append(
            Method(
                "ratio", "Ratio to the reference within experiments; of one experiment by Welch-Satterthwaite: "
                "Satterthwaite, Biometrics Bull 1946;2:110.",
            )
        )  # fmt: skip
    return tuple(methods)


def methods_of_saturation(found: Sequence[GroupSaturation], options: SaturationOptions) -> tuple[Method, ...]:
    """Methods behind the numbers of a saturation."""
    curves = [c for g in found for c in g.experiments]
    methods = [_FIT]
    if any(len(c.fit.datasets) > 1 for c in curves):
        methods.append(
            Method(
                "global-fit", "Total and non-specific binding in one fit, non-specific binding a parameter: Munson, Rodbard, "
                "Anal Biochem 1980;107:220.",
            )
        )  # fmt: skip
    if options.deplete:
        methods.append(
            Method(
                "depletion", "Ligand depletion: GraphPad Prism 7 Curve Fitting Guide, One site - Total, accounting for ligand "
                "depletion.",
            )
        )  # fmt: skip
    methods += [Method(f"interval-{options.interval}", _INTERVALS[options.interval]), _OPEN]
    if any(c.comparison is not None for c in curves):
        methods += [_F_TEST, _AICC]
    if any(len(g.experiments) > 1 for g in found):
        methods.append(_MEAN)
    return tuple(methods)
