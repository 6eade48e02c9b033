"""Linear fits: from labelled structures to parameters, their uncertainty and the files of a fit.

`fitting.fit` fits in Python, `job.run` is the whole of `etace fit`. In the order of the work: `weights`,
`repulsion`, `assemble` (rows, to `factors`: R of QR), `checkpoint`, `cluster`, `priors`, `tuning`,
`solve` and `solvers`, `mending` (with `volumes`, `packings`, `compression` and `holes`), `nullspace`, `tables`, `calibration`, `output`. `contradictions` (with `witness` and
`corrections`) and `odd` look for wrong labels.
"""
