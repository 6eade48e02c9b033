"""One pattern to its coefficients."""

from etacec.coupling.gauge import fix_gauge
from etacec.coupling.multiplicity import multiplicity
from etacec.coupling.paths import equivariants
from etacec.coupling.pattern import Class, Coupling, CouplingError, Pattern
from etacec.coupling.real import to_real
from etacec.coupling.surd import Surd


def couple(pattern: Pattern) -> Coupling:
    """The exact coupling coefficients of a pattern, in the gauge of the package docstring.

    Raises CouplingError, a bug of ours, if their number is not the character formula's.
    """
    expected = multiplicity(pattern)
    if expected == 0:
        return Coupling(pattern, (), (), 0)
    found = equivariants(pattern)
    if len(found) != expected:
        raise CouplingError(f"{len(found)} functions instead of {expected} in {pattern}")
    functions = [_signed(f) for f in to_real(pattern, fix_gauge(pattern, found))]
    classes = tuple(sorted({c for f in functions for _, c in f}))
    index = {c: i for i, c in enumerate(classes)}
    entries = tuple(
        (q, component, index[c], x)
        for q, f in enumerate(functions)
        for (component, c), x in f.items()
    )
    return Coupling(pattern, classes, entries, expected)


def _signed(function: dict[tuple[int, Class], Surd]) -> dict[tuple[int, Class], Surd]:
    """Sorted, and with a positive first coefficient."""
    keys = sorted(function)
    if function[keys[0]].numerator > 0:
        return {key: function[key] for key in keys}
    return {
        key: Surd(-x.numerator, x.denominator, x.radicand) for key in keys for x in (function[key],)
    }
