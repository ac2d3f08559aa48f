"""Frozen values that travel between modules. No effects, no imports from the rest of wpod but errors and formats."""
