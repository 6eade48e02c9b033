"""Every spec gets an answer after a bounded number of steps; a long compilation says what it is at."""

from __future__ import annotations

import time

import pytest
from etacec import Mistakes, compile_text
from etacec.cli import waiting
from etacec.model import resolve

SPEC = """etace 1
species Si
radial R[n in 1..{n}, l in 0..{l}] {{
  {channels}
  transform   = agnesi(p = 2, q = 2)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(4)
}}
angular Y[l in 0..{l}] {{ harmonics = solid }}
basis B {{
  factors = R * Y
  order   = {order}
  {where}
}}
readout V {{ from = B }}
model m = V
"""


def refused(n: int, l: int, order: str, where: str = "", channels: str = "") -> str:
    begun = time.process_time()
    with pytest.raises(Mistakes) as caught:
        compile_text(SPEC.format(n=n, l=l, order=order, where=where, channels=channels))
    assert time.process_time() - begun < 10
    (only,) = caught.value.diagnostics
    assert only.code == "E402"
    return only.message


def test_products_are_counted_before_they_are_looked_at() -> None:
    assert "about 45000000 products of order 4" in refused(
        30, 5, "4", "where sum(n + 1.5 * l) <= 1000"
    )
    assert "products of order 3" in refused(100, 6, "1..5", "where sum(n + 1.5 * l) <= 100")


def test_the_tightest_of_several_bounds_leads() -> None:
    where = "where sum(n) <= 200 and sum(n + l) <= 6"
    done = compile_text(SPEC.format(n=20, l=2, order="4", where=where, channels=""))
    assert all(len(b) == 4 for b in done.spec.bases[0].blocks)


def test_conditions_that_bound_nothing_take_a_budget(monkeypatch) -> None:
    monkeypatch.setattr(resolve, "STEPS", 300_000)
    assert "order 2" in refused(900, 0, "1..2", "where count(l > 0) <= 12")
    assert "channels" in refused(
        900, 20, "1", channels="where " + " + ".join(["n * l"] * 140) + " < 3"
    )


@pytest.mark.parametrize(("n", "l", "order"), [(2, 4, "6"), (1, 20, "4"), (2, 4, "8")])
def test_couplings_are_refused_before_any_work(n: int, l: int, order: str) -> None:
    assert "couplings of `B` would take about" in refused(n, l, order)


def test_two_thousand_mistakes_are_said_in_short() -> None:
    text = "etace 1\nspecies Si\n" + "".join(f"param x{k} = y{k}\n" for k in range(2000))
    with pytest.raises(Mistakes) as caught:
        compile_text(text + "model m = V")
    assert len(str(caught.value)) < 1000


def test_what_a_long_work_is_at(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.01)
    with waiting.waiting("compiling a.etace") as at:
        at("reading")
        time.sleep(0.3)
        at("couplings")
    assert capsys.readouterr().err.split("\n")[:2] == [
        "etace: compiling a.etace: reading",
        "etace: compiling a.etace: couplings",
    ]
    with waiting.waiting("compiling a.etace") as at:
        at("reading")
    assert capsys.readouterr().err == ""
