"""`python -m etacec` is the command `etace`."""

from etacec.cli import main

main()
