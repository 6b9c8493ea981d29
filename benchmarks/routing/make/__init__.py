"""How the sentences of the routing benchmark were made: word lists, a small grammar, fixed seeds."""
