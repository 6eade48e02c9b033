"""Formulas of transforms and envelopes: our own nodes, folded as they are built, never eval'ed."""
