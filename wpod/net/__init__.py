"""Effects on networks: sockets, links, addresses, firewall, names, and the helper that a user's containers share."""
