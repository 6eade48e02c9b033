"""The entries of a block: which keys it takes, which it needs, and what was written."""

from __future__ import annotations

from collections.abc import Mapping

from etacec.diagnostics import Report, did_you_mean, shown
from etacec.syntax import ast
from etacec.words import meant

KEYS: Mapping[str, tuple[str, ...]] = {
    "radial": ("transform", "envelope", "polynomials", "weights", "where"),
    "angular": ("harmonics",),
    "basis": ("factors", "order", "L", "only", "where"),
    "zbl": ("inner", "outer"),
    "pair": ("from", "weights"),
    "readout": ("from", "weights"),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "radial": ("transform", "envelope", "polynomials"),
    "angular": ("harmonics",),
    "basis": ("factors",),
    "pair": ("from",),
    "readout": ("from",),
}
EXAMPLE = {
    "transform": "transform = agnesi(p = 2, q = 2)",
    "envelope": "envelope(y) = (1 - y^2)^2",
    "polynomials": "polynomials = legendre(12)",
    "harmonics": "harmonics = solid",
    "factors": "factors = R * Y",
    "from": "from = B",
}
_RANGES = "ranges stand with the radial: radial R[n in 1..6, l in 0..4] { ... }"
_DEGREE = "a degree is a condition: where sum(n + 1.5 * l) <= 10"
_LENGTHS = "cutoffs belong to bonds: bond *-* { rcut = 5.5 Å }"
ELSEWHERE: Mapping[tuple[str, str], str] = {
    **{(b, w): _RANGES for b in ("radial", "basis") for w in ("nmax", "n_max", "max_n", "lmax", "l_max", "max_l", "n", "l")},
    **{("basis", w): _DEGREE for w in ("degree", "totaldegree", "total_degree", "max_degree", "max_level", "level", "levels")},
    **{(b, w): _LENGTHS for b in ("radial", "basis") for w in ("cutoff", "rcut", "r_cut", "rc", "r_max", "rmax", "cutoff_radius", "rin", "r0")},
}  # fmt: skip
"""(kind of block, a key that it does not have): where that is said."""
STEP = 2  # steps of a budget for one operation of a condition
MAX_CHANNELS = 20_000
MAX_L = 20
MAX_ORDER = 8


class Entries:
    """The entries of a block by key: unknown, doubled and missing ones are faults."""

    def __init__(self, block: ast.Block, report: Report):
        self.block = block
        self.wheres: list[ast.Where] = []
        self.fields: dict[str, ast.Field | ast.Weights] = {}
        replaced: set[str] = set()  # by misspelt keys: not reported as missing too
        for e in block.entries:
            key = (
                "where"
                if isinstance(e, ast.Where)
                else "weights"
                if isinstance(e, ast.Weights)
                else e.key
            )
            if key not in KEYS[block.kind]:
                close = meant(key, KEYS[block.kind])
                replaced |= set() if close is None else {close}
                help = ELSEWHERE.get((block.kind, key.lower())) or did_you_mean(
                    key, KEYS[block.kind], "it takes " + ", ".join(KEYS[block.kind])
                )
                what = f"{'an' if block.kind == 'angular' else 'a'} {block.kind} block"
                report.add("E201", f"{what} has no key `{shown(key)}`", e.span, help=help)
            elif isinstance(e, ast.Where):
                self.wheres.append(e)
            elif key in self.fields:
                report.add("E202", f"`{key}` is said twice", e.span, help="keep one of the two")
            else:
                if isinstance(e, ast.Field) and e.argument and key not in ("transform", "envelope"):
                    report.add(
                        "E208", f"`{key}` is not a formula", e.span, help=f"write `{key} = ...`"
                    )
                self.fields[key] = e
        missing = [k for k in NEEDED[block.kind] if k not in self.fields]
        for key in (k for k in missing if k not in replaced):
            report.add(
                "E212", f"{block.kind} `{block.name}` needs `{key}`", block.span,
                help=f"for example: {EXAMPLE[key]}",
            )  # fmt: skip
        self.complete = not missing

    def field(self, key: str) -> ast.Field | None:
        found = self.fields.get(key)
        return found if isinstance(found, ast.Field) else None

    def weights(self) -> ast.Weights | None:
        found = self.fields.get("weights")
        return found if isinstance(found, ast.Weights) else None


def word(expr: ast.Expr) -> str:
    return expr.name if isinstance(expr, ast.Name) else ""
