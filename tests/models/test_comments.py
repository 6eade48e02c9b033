"""No text of a user becomes code: neither in the module nor in the C."""

import ast
import subprocess

import numpy as np
import pytest
from etace.errors import RequestError
from etace.native.toolchain import find
from etacec import compile_text
from etacec.codegen.comments import LONGEST, comment, safe
from etacec.codegen.module import generate
from etacec.codegen.names import quoted

HOSTILE = (
    "\nimport os", "\r\nimport os", "\x0b\x0cimport os", "\x85\u2028\u2029import os", "*/ int x; /*", "/* open", "ends in \\",
    "ends in ??/", "\\\nint x;", '"""\nimport os\n"""', "'''", '"', "\x00", "\u202e direction", "\u2066 isolate", "\ud800 half",
    "\ufeff", "@NAME@", "%s {0} {x}", "#", "\x1b[31m", "*\\/", "*??/\n/", "/\\\n*", "?????/\n", "x" * 10_000,
)  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_made_safe_is_one_harmless_line(text):
    made = safe(text)
    assert made.isprintable()
    assert len(made) <= LONGEST + 3
    made.encode()
    for never in ("\\", '"', "*/", "/*", "??"):
        assert never not in made
    assert safe(made[:LONGEST]) == made[:LONGEST]
    assert all(line == "#" or line.startswith("# ") for line in comment(text))


def test_what_is_harmless_stays():
    for text in ("y(r) = 1 - 2 * r / bond.rcut", "rcut = 5.5 Å, α² and Σ", "https://a.b/c?d='e'"):
        assert safe(text) == text


def test_only_names_stand_in_quotes():
    assert quoted("ace.R") == '"ace.R"'
    for text in ('"', "a\nb", "a\\", "a'b", "", "a;b", "a\0b"):
        with pytest.raises(ValueError, match="not a name"):
            quoted(text)


SPEC = """etace 1
## {text}

## {text}
species Si
bond *-* {{ rcut = 4 Å }}
## {text}
param a = 2
radial R[n in 1..2] {{
  transform(r) = 1 - a * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(2)
}}
pair V {{ from = R, weights = learnable(init = zeros) }}
## {text}
model m = V
"""


def made(text):
    line = " ".join(text.split("\n"))
    spec = SPEC.format(text=line.replace("\r", " "))
    return compile_text(spec, f"dir/{text}.etace", overrides={"a": f"2  # {line}"})


def code_of(module):
    """What Python makes of it, docstrings left out."""
    tree = ast.parse(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and isinstance(node.body[0], ast.Expr):
            del node.body[0]
    return ast.dump(tree)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_doc_name_or_value_changes_the_code(text):
    plain, hostile = made("harmless"), made(text)
    assert code_of(hostile.module) == code_of(plain.module)
    for program in ("native", "native_rows"):
        one, two = (getattr(d, program)("m").text.split("\n", 1) for d in (plain, hostile))
        assert one[1] == two[1]
        assert two[0].startswith("// ")


def test_the_compiler_says_nothing_of_hostile_comments(tmp_path):
    toolchain = find()
    if toolchain is None:
        pytest.skip("no C compiler")
    text = made("".join(t for t in HOSTILE if t.isascii())).native("m").text
    (tmp_path / "k.c").write_text(text, encoding="utf8")
    command = [*toolchain.command, *toolchain.flags, "-trigraphs", "-Wcomment", "-Wtrigraphs", "-Werror", "-fsyntax-only"]  # fmt: skip
    done = subprocess.run([*command, tmp_path / "k.c"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "dtype", [">f8", "<f8", "float16", "float64\n", "f8", "", "float64\nimport os", None, 8, np.float64]
)  # fmt: skip
def test_only_the_two_dtypes_are_compiled(dtype):
    with pytest.raises(RequestError, match="the dtype is float64 or float32"):
        compile_text(SPEC.format(text=""), dtype=dtype)
    done = compile_text(SPEC.format(text=""))
    with pytest.raises(RequestError, match="the dtype is float64 or float32"):
        generate(done.graph, None, {}, dtype)
