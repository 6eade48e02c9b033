"""Every name in a generated module is made here, once, and is a safe Python identifier."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata

RESERVED = frozenset(
    """
    AtomGraph BOND_R0 BOND_RCUT BOND_RIN Constant CUTOFFS DTYPE E Fixed Linear MODELS NO_CUTOFFS Potential
    SPECIES angular annotations bonds channels edges f features graph inference init jax jnp np params
    r radial repulsion rho starts tables tensor w y
    """.split()
)


class Names:
    """Identifiers of one module: user names first, then those derived from them; no two alike."""

    def __init__(self, user: list[str]):
        self._taken: set[str] = set()
        self._of: dict[str, str] = {}
        for name in user:
            self._of[name] = self._claim(identifier(name))

    def __getitem__(self, user_name: str) -> str:
        return self._of[user_name]

    def derived(self, user_name: str, suffix: str) -> str:
        """`R` and `transform` -> `R_transform`; asked twice, the same name comes back."""
        key = f"{user_name}\0{suffix}"
        if key not in self._of:
            self._of[key] = self._claim(f"{self._of[user_name]}_{suffix}")
        return self._of[key]

    def _claim(self, wish: str) -> str:
        while wish in self._taken or wish in RESERVED or hasattr(builtins, wish):
            wish += "_"
        self._taken.add(wish)
        return wish


def identifier(name: str) -> str:
    """`ace.R` -> `ace_R`; Python's keywords get an underscore. Raises ValueError for anything else."""
    plain = unicodedata.normalize("NFKC", name.replace(".", "_"))
    if not plain.isidentifier():
        raise ValueError(f"not a name: {name!r}")
    if keyword.iskeyword(plain) or keyword.issoftkeyword(plain) or plain.startswith("__"):
        plain = plain.lstrip("_") + "_"
    return plain


def quoted(name: str) -> str:
    """A name of the spec or of our own as a text of Python or C. Raises ValueError for anything else."""
    if not re.fullmatch(r"[\w. -]+", name):
        raise ValueError(f"not a name: {name!r}")
    return f'"{name}"'
