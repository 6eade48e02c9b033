"""Where texts and arrays come from: a folder and the presets, or what a model file carries."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath

import numpy as np

LARGEST = 10_000_000  # characters of a spec


class NoFile(Exception):
    """The reason why a file cannot be had, in words."""


@dataclass
class Files:
    """Reads what a spec names, and remembers it.

    folder: relative paths start here (None: only what is carried). carried_texts, carried_arrays:
    what a model file brought along; when given, nothing is read from disk.
    """

    folder: Path | None = None
    carried_texts: Mapping[str, str] | None = None
    carried_arrays: Mapping[str, np.ndarray] | None = None
    texts: dict[str, str] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def text(self, name: str, quoted: bool, beside: str) -> tuple[str, str]:
        """(display name, text) of `use name`; `beside`: the display name of the file that asks."""
        shown = name_beside(name, beside) if quoted else f"{name}.etace"
        if self.carried_texts is not None:
            if shown not in self.carried_texts:
                raise NoFile("the model file does not carry it")
            text = self.carried_texts[shown]
        elif quoted:
            if name in presets():
                raise NoFile("it is a preset, and presets are written without quotes")
            if not name.endswith(".etace"):
                raise NoFile("its name does not end in .etace")
            text = self._read(shown)
        else:
            if name not in presets():
                raise NoFile("there is no preset of this name")
            text = files("etacec.presets").joinpath(f"{name}.etace").read_text(encoding="utf8")
        self.texts[shown] = text
        return shown, text

    def array(self, name: str, beside: str) -> np.ndarray:
        """The one array of `load = "name"` (.npy, or .npz with a single entry), float64."""
        shown = name_beside(name, beside)
        if self.carried_arrays is not None:
            if shown not in self.carried_arrays:
                raise NoFile("the model file does not carry it")
            array = self.carried_arrays[shown]
        else:
            array = self._load(shown)
        if not np.issubdtype(array.dtype, np.floating) or not np.all(np.isfinite(array)):
            raise NoFile("it does not hold finite real numbers")
        self.arrays[shown] = np.ascontiguousarray(array, np.float64)
        return self.arrays[shown]

    def _path(self, shown: str) -> Path:
        if self.folder is None:
            raise NoFile("this text has no folder to look in")
        return self.folder / shown

    def _read(self, shown: str) -> str:
        try:
            return read_text(self._path(shown))
        except OSError as error:
            raise NoFile((error.strerror or "it cannot be read").lower()) from None
        except UnicodeDecodeError:
            raise NoFile("it is not UTF-8 text") from None
        except ValueError:
            raise NoFile("no file can have this name") from None

    def _load(self, shown: str) -> np.ndarray:
        if not shown.endswith((".npz", ".npy")):
            raise NoFile("its name does not end in .npz or .npy")
        try:
            found = np.load(self._path(shown), allow_pickle=False)
        except OSError as error:
            raise NoFile((error.strerror or "it cannot be read").lower()) from None
        except Exception:
            raise NoFile("it is not a numpy file of plain numbers") from None
        if isinstance(found, np.ndarray):
            return found
        with found:
            names = sorted(found.files)
            if len(names) != 1:
                raise NoFile(f"it holds {len(names)} arrays, and one is needed: {', '.join(names)}")
            try:
                return np.asarray(found[names[0]])
            except Exception:
                raise NoFile("it is not a numpy file of plain numbers") from None


def read_text(path: Path) -> str:
    """The text of a spec. Raises OSError, of a file without end too, and UnicodeDecodeError."""
    with path.open(encoding="utf8") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        message = f"longer than {LARGEST} characters, so no .etace file"
        raise OSError(errno.EFBIG, message, str(path))
    return text


def name_beside(name: str, beside: str) -> str:
    """`name` as seen from the file that names it, still relative to the first file's folder."""
    folder = PurePosixPath(beside).parent
    return str(folder / PurePosixPath(name)) if str(folder) != "." else str(PurePosixPath(name))


def presets() -> list[str]:
    """Names of the presets that come with etace."""
    found = files("etacec.presets").iterdir()
    return sorted(f.name.removesuffix(".etace") for f in found if f.name.endswith(".etace"))
