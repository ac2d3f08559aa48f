"""The full-screen application of `wpod top` (Textual)."""
