"""Figures of running containers, helpers and the machine: read often, cheaply, and never of the wrong process."""
