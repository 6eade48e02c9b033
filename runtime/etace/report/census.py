"""A picture of a data set: energies by config type, forces, radial distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from etace.report.style import matplotlib, styled


def draw(data: Any, census: Any, path: Path) -> None:
    """Write it. data: `etace.data.Dataset`; census: `etace.data.census.Census`"""
    matplotlib().use("agg")
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        energies, forces, rdf = figure.subplots(1, 3)
        names = [g for g in census.groups if _of(data, g)]
        if names:
            energies.boxplot(
                [_of(data, g) for g in names], tick_labels=names, orientation="horizontal"
            )
        energies.set(xlabel="energy, eV/atom", title="Energies")
        every = [np.linalg.norm(s.forces, axis=1) for s in data.structures if s.forces is not None]
        if every:
            forces.hist(np.concatenate(every), bins=60, log=True)
            forces.yaxis.set_major_formatter(lambda n, _: f"{n:g}")
        forces.set(xlabel="|F|, eV/Å", ylabel="atoms", title="Forces")
        for pair, g in census.rdf.items():
            (line,) = rdf.plot(census.r, g, label="-".join(pair), lw=1.2)
            if pair in census.shortest:
                rdf.axvline(census.shortest[pair][0], color=line.get_color(), ls=":", lw=1)
        rdf.set(xlabel="r, Å", ylabel="g(r)", title="Distances (dotted: shortest)")
        if census.rdf:
            rdf.legend()
        figure.savefig(path, dpi=150)


def _of(data: Any, group: str) -> list[float]:
    return [
        s.energy / len(s.atoms)
        for s in data.structures
        if s.group == group and s.energy is not None
    ]
