"""Labelled structures: read from anything ASE reads, their labels found or refused; what they hold."""

from etace.data.census import Census, census
from etace.data.census_text import warnings
from etace.data.isolated import isolated
from etace.data.labelled import Dataset, Found, Keys, Labelled, Remark
from etace.data.reading import read

__all__ = [
    "Census",
    "Dataset",
    "Found",
    "Keys",
    "Labelled",
    "Remark",
    "census",
    "isolated",
    "read",
    "warnings",
]
