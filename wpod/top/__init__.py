"""The model of `wpod top`: moments, history, rows and lines of text. Nothing here knows a terminal."""
