"""Effects on networks: sockets, links, addresses, firewall, names, and the one helper that a user's containers share."""
