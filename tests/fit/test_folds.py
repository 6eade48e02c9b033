"""Folds: every config type in every fold, copies together, the same whatever the order."""

from collections import Counter

import numpy as np
from ase import Atoms
from etace.data import Labelled
from etace.fit.folds import ALWAYS, COUNT, folds


def frames(n=40, groups=("liquid", "solid")):
    draw = np.random.default_rng(0)
    out = []
    for k in range(n):
        atoms = Atoms("Si4", positions=draw.uniform(0, 5, (4, 3)), cell=[5, 5, 5], pbc=True)
        out.append(labelled(atoms, groups[k % len(groups)], float(k)))
    return out


def labelled(atoms, group, energy=0.0):
    return Labelled(atoms, energy, None, None, group, 1.0, "frames.xyz:0")


def test_every_config_type_is_in_every_fold():
    data = frames()
    found = folds(data)
    for group in ("liquid", "solid"):
        own = Counter(f for f, s in zip(found, data, strict=True) if s.group == group)
        assert sorted(own) == list(range(COUNT))
        assert max(own.values()) - min(own.values()) <= 1
    sizes = Counter(found)
    assert max(sizes.values()) - min(sizes.values()) <= 1


def test_the_order_of_the_structures_changes_nothing():
    data = frames()
    order = np.random.default_rng(1).permutation(len(data))
    there = folds(data)
    assert folds([data[k] for k in order]) == [there[k] for k in order]
    assert folds(data, seed=1) != there


def test_copies_go_together_and_atoms_alone_stay():
    data = frames(10)
    alone = Atoms("Si", cell=[30, 30, 30], pbc=True)
    data += [labelled(alone, "solid"), data[3], labelled(frames(1)[0].atoms, "only one")]
    found = folds(data)
    assert found[10] == ALWAYS
    assert found[11] == found[3] >= 0
    assert found[12] == found[0]  # a copy of the first, under another config type
    assert folds(data[:1]) == [ALWAYS]


def test_config_types_of_one_structure_are_dealt_out_together():
    data = [labelled(s.atoms, f"frame {k}") for k, s in enumerate(frames(20))]
    assert sorted(Counter(folds(data)).values()) == [4] * COUNT
