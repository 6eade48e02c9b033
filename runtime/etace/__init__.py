"""etace: run potentials of the Atomic Cluster Expansion (ACE) family."""
