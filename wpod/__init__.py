"""wpod: a daemonless manager of WebAssembly and native containers whose resident cost is the containers alone."""

__version__ = "0.1.0"
