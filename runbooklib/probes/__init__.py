"""Evidence of a site, gathered at once from here, from the server and from DNS."""

from runbooklib.probes.gathering import gather

__all__ = ["gather"]
