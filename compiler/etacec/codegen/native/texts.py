"""C that is the same for every model, as files of `c/`."""

from importlib.resources import files


def text_of(name: str) -> str:
    return files("etacec.codegen.native").joinpath("c", name).read_text(encoding="utf8")
