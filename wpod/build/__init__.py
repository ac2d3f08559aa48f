"""From a Containerfile to what has to be done: pure functions, no file is opened here."""
