"""Exact, symbolic, for every dimension: settings, closed forms, theorems and their proofs."""
