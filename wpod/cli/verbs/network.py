"""The tables of what is done with networks: none yet; podman's commands are refused by name."""
