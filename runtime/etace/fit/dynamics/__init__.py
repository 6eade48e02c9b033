"""A test MD of a fitted model: does it hold at the temperature of its data, and how much hotter?

`trial.trial` runs it; `topology` and `limits` say what broken is, `walkers` moves atoms, `frames` writes where it
broke.
"""
