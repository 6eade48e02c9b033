"""etace: run potentials of the Atomic Cluster Expansion (ACE) family.

    import etace
    model = etace.load("si_o.etace")         # or a .safetensors model file
    model.energy(atoms)                      # eV
    atoms.calc = model.calculator()          # ASE
    etace.fit_model(elements="Si,O", train="train.xyz", output="sio.safetensors")

Names are loaded when they are first used: importing etace costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_WHERE = {
    "AtomGraph": "etace.graph",
    "Calculator": "etace.calculator",
    "EtaceError": "etace.errors",
    "Model": "etace.model",
    "Potential": "etace.potential",
    "Stack": "etace.calculator",
    "fit_model": "etace.fit.fit_model",
    "load": "etace.loading",
}

if TYPE_CHECKING:
    from etace.calculator import Calculator, Stack
    from etace.errors import EtaceError
    from etace.fit.fit_model import fit_model
    from etace.graph import AtomGraph
    from etace.loading import load
    from etace.model import Model
    from etace.potential import Potential

__all__ = [
    "AtomGraph",
    "Calculator",
    "EtaceError",
    "Model",
    "Potential",
    "Stack",
    "__version__",
    "fit_model",
    "load",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'etace' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
