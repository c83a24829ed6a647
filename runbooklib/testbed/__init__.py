"""The rehearsal world: a small internet of real servers in containers on this machine."""
