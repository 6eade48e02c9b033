"""Reports: what a fit or an evaluation found, for the terminal, as one page, and as a model's card.

    from etace.report import Report, page
    html = page(Report("Si", model=model, test=compare(model, structures)))

`terminal` prints the error tables, `html` makes the page, `figures` draws what is in it, `dimers` and
`radials` find the curves, `grades` counts what is beyond the training data, `card` describes a fit in the model file. Figures need `etace[plot]`.
"""

from etace.report.contents import Report
from etace.report.html import page

__all__ = ["Report", "page"]
