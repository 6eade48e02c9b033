"""The text of the default spec for some elements: E0, and the shape that the data choose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from etace.data import Labelled
from etace.errors import RequestError
from etace.fit.compositions import undetermined
from etace.fit.priors import Prior
from etace.fit.settings import Settings
from etace.fit.size.choose import Choice, choose
from etace.fit.weights import Weights
from etace.loading import compiler


def default_spec(
    elements: Sequence[str],
    structures: Sequence[Labelled],
    settings: Settings,
    bound: str = "large",
    e0: str = "auto",
    *,
    cores: int = 1,
    backend: str = "auto",
    minutes: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> tuple[str, Choice, Settings]:
    """(text, how its shape was chosen, settings with the weights that were chosen).

    structures: of the training set; settings: kinds, weights, prior, repulsion and seed count
    bound: small, medium or large, what the model may grow to; e0: auto, isolated, lsq, zero, or numbers as
        Si=-1.0,O=-2.0 (eV); minutes: for the choice; tell: takes lines for people
    Raises RequestError: no elements, sizes or numbers there.
    """
    defaults = compiler("defaults")

    defaults.size_of(bound)
    names = _names(elements, structures)
    energies, how = defaults.one_body(names, structures, e0)
    tell(f"E0, eV ({how}): " + ", ".join(f"{e} {energies[e]:.6f}" for e in names))
    if how == "least squares" and (line := undetermined(names, structures, "E0")):
        tell(f"warning: {line}")
    choice = choose(
        names, energies, structures, bound,
        kinds=settings.kinds, prior=Prior(**settings.prior),
        weights=Weights(settings.weights) if settings.weights else None,
        repulsion=settings.repulsion, seed=settings.seed, cores=cores, backend=backend,
        minutes=minutes, tell=tell,
    )  # fmt: skip
    text = defaults.spec(names, energies, choice.shape)
    return text, choice, replace(settings, weights=choice.weights)


def _names(elements: Sequence[str], structures: Sequence[Labelled]) -> list[str]:
    from ase.data import atomic_numbers

    names = sorted({e.strip() for e in elements if e.strip()})
    if unknown := [e for e in names if e not in atomic_numbers or e == "X"]:
        near = [e.capitalize() for e in unknown if e.capitalize() in {*atomic_numbers} - {"X"}]
        hint = f": write {', '.join(near)}" if near else ""
        raise RequestError(f"{', '.join(unknown)} is no element{hint}")
    if not names:
        raise RequestError("no element is named")
    for s in structures:
        if others := sorted(set(s.atoms.get_chemical_symbols()) - set(names)):
            raise RequestError(
                f"{s.source} contains {', '.join(others)}, but the elements named are only "
                f"{', '.join(names)}: name all elements of the data"
            )
    return names
