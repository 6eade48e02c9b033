"""The lowest versions that pyproject.toml allows, a line each as pip takes them: `numpy==2.0`.

    pip install $(python3 .ci/lowest.py plot dask) .

Arguments: extras whose packages count too.
"""

import re
import sys
import tomllib
from pathlib import Path


def pins(project: dict, extras: list[str]) -> list[str]:
    """Every requirement is `NAME>=VERSION`; anything else has no lower bound to hold to."""
    asked = [*project["dependencies"]]
    for extra in extras:
        asked += project["optional-dependencies"][extra]
    out = []
    for line in dict.fromkeys(asked):
        if not (found := re.fullmatch(r"([\w.-]+)>=([\w.]+)", line)):
            raise SystemExit(f"pyproject.toml: `{line}` has no lower bound")
        out.append(f"{found[1]}=={found[2]}")
    return out


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf8")
    print("\n".join(pins(tomllib.loads(text)["project"], sys.argv[1:])))
