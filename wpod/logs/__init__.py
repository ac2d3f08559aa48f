"""Reading what containers wrote. The writers are the runner and the monitor (docs/formats.md, "Log line")."""
