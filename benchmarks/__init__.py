"""Timings of etace and of its peers, side by side: `python -m benchmarks` from a checkout."""
