"""Labelled structures: read from anything ASE reads, their labels found or refused."""

from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.data.reading import read

__all__ = ["Dataset", "Found", "Keys", "Labelled", "read"]
