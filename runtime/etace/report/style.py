"""Matplotlib, kept at arm's length: imported when a figure is drawn, its settings changed for that only.

Figures for a page are SVG in two colours that the page's style sheet sets (`INK` and `RULE` become CSS
variables), so that they follow light and dark. The same data give the same bytes.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from etace.errors import EtaceError

INK, RULE = "#1c2026", "#c9ced6"
TRAIN, TEST = "#8895a7", "#d1603d"
COLOURS = ("#3b7dd8", "#d1603d", "#3f9b63", "#9562c4", "#c79a1e", "#2ba3a8", "#c2487f", "#7d7468")
OTHER = "#9aa1ab"  # what comes after the last of the colours
DPI = 130  # of what is drawn in pixels: dense scatters

SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.6,
    "text.color": INK,
    "text.parse_math": False,  # names come from data: a $ in one is a $
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "savefig.dpi": DPI,
    "svg.fonttype": "none",
}


def matplotlib() -> ModuleType:
    """The module, or EtaceError: how to get it."""
    try:
        import matplotlib
    except ImportError:
        raise EtaceError("figures need matplotlib: pip install 'etace[plot]'") from None
    return matplotlib


@contextmanager
def styled() -> Iterator[None]:
    """House style inside, the caller's outside; characters that a font lacks are no reason to stop."""
    with matplotlib().rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure(width: float, height: float) -> Any:
    """Empty; inches. Belongs to no window and no global list."""
    matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def logarithmic(axes: Any, which: str = "xy") -> None:
    """Logarithmic axes with plain numbers (matplotlib's own would need mathematics in text)."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    for letter in which:
        axis = getattr(axes, f"{letter}axis")
        getattr(axes, f"set_{letter}scale")("log")
        low, high = getattr(axes, f"get_{letter}lim")()
        decades = math.log10(high / low) if low > 0 else 9.0
        steps = (1, 2, 5) if decades < 2.2 else (1, 3) if decades < 3.2 else (1,)
        axis.set_major_locator(LogLocator(10, steps, numticks=9))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda x, _: number(x)))


def number(x: float) -> str:
    """For ticks: 0.02, 500, −10⁵"""
    sign, size = ("−" if x < 0 else ""), abs(x)
    if size == 0 or 0.9e-3 < size < 1.1e4:
        return f"{sign}{size:g}"
    power = math.floor(math.log10(size) + 1e-9)
    first = f"{size / 10.0**power:.2g}"
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{sign}{'' if first == '1' else first + '·'}10{digits}"


def saved(figure: Any, format: str) -> bytes:
    """A file of its own, on white: svg, png or pdf."""
    out = io.BytesIO()
    figure.set_facecolor("white")
    blank: dict[str, Any] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
        "png": {"Software": None},
    }[format]
    with styled(), matplotlib().rc_context({"svg.hashsalt": "etace"}):
        figure.savefig(out, format=format, metadata=blank, dpi=170)
    return out.getvalue()


def inline(figure: Any, name: str) -> str:
    """SVG to stand inside a page: transparent, without a name space, ids of its own. name: of the figure"""
    out = io.StringIO()
    figure.set_facecolor("none")
    for axes in figure.axes:
        axes.set_facecolor("none")
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with styled(), matplotlib().rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)  # for all of the page
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text).replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    text = re.sub(r'(<svg [^>]*?)width="[^"]*"', r'\1width="100%"', text, count=1)
    text = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "var(--font)", text)
    text = re.sub(r"\n\s*", "\n", text)
    return text.replace(INK, "var(--ink)").replace(RULE, "var(--rule)")
