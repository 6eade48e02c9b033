"""The model as a graph of operations: built, checked, shown."""
