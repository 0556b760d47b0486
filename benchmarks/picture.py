"""Bar charts as SVG, logarithmic, without any library: for docs/benchmarks.md and the README."""

from html import escape
from math import floor, log10

from benchmarks.workloads import WORKLOADS

LEFT, RIGHT, BAR, GAP, TOP = 190, 90, 20, 8, 44
WIDTH = 760
STYLE = (
    "text { font: 13px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif } "
    ".title { font-size: 16px }"
)
# What the README shows, and in which colours: text, faint text, lines, bars of ours, other bars.
HEADLINE = (
    "fastgrad", "fastgrad_tape", "fastgrad_fit", "jax", "jax_scan", "torch_batched", "plain",
    "micrograd",
)  # fmt: skip
THEMES = {
    "light": ("#1f2328", "#656d76", "#d8dee4", "#d1242f", "#8aa5c0"),
    "dark": ("#e6edf3", "#8d96a0", "#30363d", "#ff7b72", "#57708f"),
}


def pictures(rows):
    """Return all pictures: name of the file in docs/, and its text."""
    step = "A training step of two moons: 100 samples, 337 parameters (logarithmic)"
    shown = [row for row in rows if row["engine"] in HEADLINE]
    return {
        "benchmarks.svg": bars(rows, "moons", background="white"),
        **{f"training-step-{t}.svg": bars(shown, "moons", step, theme=t) for t in THEMES},
    }


def bars(rows, workload, title="", theme="light", background=""):
    """Draw one workload's times, the fastest on top."""
    text, faint, line, ours, others = THEMES[theme]
    rows = sorted(
        (
            r
            for r in rows
            if r["workload"] == workload and "seconds" in r and r["engine"] != "control"
        ),
        key=lambda r: r["seconds"],
    )
    bottom = TOP + len(rows) * (BAR + GAP)
    height = bottom + 34
    low = floor(log10(min((r["seconds"] for r in rows), default=1e-3)) - 0.2)
    high = log10(max((r["seconds"] for r in rows), default=1)) + 0.1

    def x(seconds):
        return LEFT + (log10(seconds) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    title = escape(title or WORKLOADS[workload].title)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" fill="{text}">',
        f"<title>{title}</title>",
        f"<style>{STYLE}</style>",
        f'<text class="title" x="12" y="24">{title}</text>',
    ]
    if background:
        parts.insert(3, f'<rect width="{WIDTH}" height="{height}" fill="{background}"/>')
    for power in range(low, floor(high) + 1):
        at = x(10.0**power)
        parts.append(f'<path d="M{at:.1f} {TOP - 6}V{bottom}" stroke="{line}"/>')
        parts.append(
            f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle" fill="{faint}">'
            f"{_time(10.0**power)}</text>"
        )
    for i, row in enumerate(rows):
        y = TOP + i * (BAR + GAP)
        end = x(row["seconds"])
        colour = ours if row["engine"].startswith("fastgrad") else others
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
