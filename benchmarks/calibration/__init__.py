"""How often the project's tests err, how often its intervals cover, and what its tests find, in simulated studies."""
