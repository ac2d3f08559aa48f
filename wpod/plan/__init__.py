"""Request and facts to a plan: pure functions, no file is opened and no program started here."""
