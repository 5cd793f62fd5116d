"""The draw sheet: one printed page that a technologist takes to the hot cell, with empty fields for what is measured there."""

from __future__ import annotations

import base64
import hashlib
import math
from html import escape

from fusin.radiopharmacy.dispensing_plan import DispensePlan, Serving

__all__ = ["draw_sheet_html", "time_text"]

_CSS = """
@page { size: A4 landscape; margin: 12mm; }
body { font-family: Arial, Helvetica, sans-serif; font-size: 13pt; color: #000; background: #fff; margin: 12px; }
h1 { font-size: 20pt; margin: 0 0 4px; }
p { margin: 2px 0 8px; font-size: 11pt; }
table { border-collapse: collapse; width: 100%; margin: 8px 0 14px; }
th, td { border: 1px solid #000; padding: 7px 8px; text-align: right; }
th { background: #e8e8e8; font-size: 11pt; }
td.t, th.t { text-align: left; }
td.big { font-size: 17pt; font-weight: bold; }
td.blank { min-width: 24mm; background: #fff; }
tr.no td { color: #444; background: #f4f4f4; font-size: 11pt; }
.sign { margin-top: 18px; font-size: 12pt; }
.warn { border: 2px solid #000; padding: 6px 10px; font-weight: bold; font-size: 12pt; }
"""
_HEADS = (
    ("draw at", ""), ("patient", "t"), ("vial", "t"), ("draw mL", ""), ("expected MBq at the draw", ""), ("measured MBq", ""),
    ("at", ""), ("inject at", ""), ("MBq at injection", ""), ("residue MBq", ""), ("at", ""), ("initials", ""),
)  # fmt: skip


def draw_sheet_html(plan: DispensePlan) -> str:
    """The sheet as one HTML file without script; equal plans give equal bytes."""
    digest = base64.b64encode(hashlib.sha256(_CSS.encode("utf-8")).digest()).decode("ascii")
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    clock = plan.clock
    vials = "".join(
        "<tr>" + _cells([u.vial.name, u.vial.nuclide], "t") + _cells([
            f"{u.vial.activity_mbq:.1f}", clock.text(u.vial.reference_s), f"{u.vial.volume_ml:g}", f"{u.vial.dead_volume_ml:g}",
            clock.text(u.vial.expires_s), f"{u.used_ml:.2f}", f"{u.left_ml:.2f}",
        ]) + "</tr>"
        for u in plan.vials
    )  # fmt: skip
    vial_heads = "".join(
        f"<th{' class=t' if i < 2 else ''}>{h}</th>"
        for i, h in enumerate(("vial", "nuclide", "MBq", "at", "mL", "dead mL", "expires", "mL drawn", "mL left"))
    )
    heads = "".join(f'<th class="{css}">{escape(h)}</th>' for h, css in _HEADS)
    served = [s for s in plan.servings if s.served]
    rows = "".join(_row(plan, s) for s in served)
    missed = [s for s in plan.servings if not s.served]
    warn = f'<p class="warn">NOT ALL PATIENTS CAN BE SERVED: {escape(plan.reason)}</p>' if missed else ""
    refused = "".join(f"<p>Not served: {escape(s.reason)}.</p>" for s in missed)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>Draw sheet</title><style>{_CSS}</style></head><body>"
        "<h1>Draw sheet</h1><p>Research use only. Calculated; what is injected is what was measured.</p>"
        f"{warn}<table><thead><tr>{vial_heads}</tr></thead><tbody>{vials}</tbody></table>"
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{refused}"
        '<p class="sign">Drawn by ______________________ &nbsp; Checked by ______________________ &nbsp; '
        "Activity meter ______________ &nbsp; Date ______________</p></body></html>\n"
    )


def time_text(plan: DispensePlan, seconds: float | None) -> str:
    """Time of day; with the day where the doses of a plan lie on several days, or this time on another one."""
    clock = plan.clock
    moments = [t for s in plan.servings for t in (s.draw_s, s.injection_s) if t is not None]
    days = {clock.text(t)[:10] for t in (*moments, seconds) if t is not None and math.isfinite(t)}
    one_day = len(days) <= 1 or clock.origin is None
    return clock.text(seconds, day=not one_day)


def _row(plan: DispensePlan, s: Serving) -> str:
    done = " (drawn)" if s.order.drawn_ml is not None else ""
    blank = '<td class="blank"></td>'
    return (
        "<tr>" + _cells([time_text(plan, s.draw_s)], "big") + _cells([s.order.id + done, str(s.vial)], "t")
        + _cells([f"{s.volume_ml:.3f}"], "big") + _cells([f"{s.activity_mbq:.1f}"], "big") + blank + blank
        + _cells([time_text(plan, s.injection_s), f"{s.injection_mbq:.1f}"]) + blank * 3 + "</tr>"
    )  # fmt: skip


def _cells(texts: list[str], css: str = "") -> str:
    return "".join(f'<td class="{css}">{escape(text)}</td>' for text in texts)
