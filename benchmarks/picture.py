"""A bar chart as SVG, logarithmic, without any library."""

from html import escape
from math import floor, log10

from benchmarks.workloads import WORKLOADS

LEFT, RIGHT, BAR, GAP, TOP = 190, 90, 20, 8, 44
WIDTH = 760


def bars(rows, workload):
    """Draw one workload's times, the fastest on top."""
    rows = sorted(
        (
            r
            for r in rows
            if r["workload"] == workload and "seconds" in r and r["engine"] != "control"
        ),
        key=lambda r: r["seconds"],
    )
    height = TOP + len(rows) * (BAR + GAP) + 34
    low = floor(log10(min((r["seconds"] for r in rows), default=1e-3)) - 0.2)
    high = log10(max((r["seconds"] for r in rows), default=1)) + 0.1

    def x(seconds):
        return LEFT + (log10(seconds) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        "<style>text { font-family: sans-serif; font-size: 13px }</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="24" font-size="16">{escape(WORKLOADS[workload].title)}</text>',
    ]
    bottom = TOP + len(rows) * (BAR + GAP)
    for power in range(low, floor(high) + 1):
        at = x(10.0**power)
        parts.append(f'<path d="M{at:.1f} {TOP - 6}V{bottom}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="#666">'
            f"{_time(10.0**power)}</text>"
        )
    for i, row in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        end = x(row["seconds"])
        colour = "#d62728" if row["engine"].startswith("fastgrad") else "#8aa5c0"
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(row["label"])}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{end - LEFT:.1f}" height="{BAR}" fill="{colour}"/>'
            f'<text x="{end + 6:.1f}" y="{y + 15}">{_time(row["seconds"])}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


def _time(seconds):
    for scale, unit in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * scale >= 0.999:
            return f"{seconds * scale:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
