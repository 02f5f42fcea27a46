"""A plot of wall time by number of secrets, with one curve for each product and shape."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from tools.benchmarks.operations import CHANGE, DESTROY, FIRST_UP, PREVIEW, REFRESH, UP
from tools.benchmarks.pulumi_stacks import FLEET, PRODUCT
from tools.benchmarks.results import Results
from tools.benchmarks.table import walls
from tools.benchmarks.terraform import SHAPES

_PANELS = (FIRST_UP, PREVIEW, UP, CHANGE, REFRESH, DESTROY)
_COLUMNS = 3
_NUMBERS = StrMethodFormatter("{x:g}")


def draw(results: Results, path: Path) -> None:
    """Write an SVG that depends only on the results. The bars are the lowest and the highest run."""
    # text as text, not outlines; identifiers that stay the same between runs
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.size": 9}):
        figure = Figure(figsize=(10, 6), layout="constrained")
        panels = figure.subplots(len(_PANELS) // _COLUMNS, _COLUMNS, sharex=True)
        for panel, operation in zip(panels.flat, _PANELS, strict=True):
            for subject in (PRODUCT, FLEET, *SHAPES):
                points = walls(results, subject, operation)
                if not points:
                    continue
                middle = [found.median for _, found in points]
                below = [found.median - found.lowest for _, found in points]
                above = [found.highest - found.median for _, found in points]
                sizes = [secrets for secrets, _ in points]
                panel.errorbar(sizes, middle, yerr=[below, above], marker="o", capsize=3, label=subject)
            panel.set(title=operation, xscale="log", yscale="log")
            panel.xaxis.set_major_formatter(_NUMBERS)
            panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            panel.yaxis.set_major_formatter(_NUMBERS)
            panel.yaxis.set_minor_formatter(NullFormatter())
            panel.grid(visible=True, alpha=0.25)
        for panel in panels[-1]:
            panel.set_xlabel("secrets")
        for row in panels:
            row[0].set_ylabel("wall time, s")
        kind = "official plugins" if results.official else "stand-in plugins, lighter than the official ones"
        figure.suptitle(f"{results.machine.cores} cores, {kind}")
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        figure.savefig(path, format="svg", metadata={"Date": None})
