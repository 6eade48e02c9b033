"""The native backend: one model as C with vector extensions, one atom to a lane."""
