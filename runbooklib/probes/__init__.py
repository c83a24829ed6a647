"""Evidence of a site, gathered at once from here, from the server and from DNS; and what strangers may deliver."""

from runbooklib.probes.gathering import gather
from runbooklib.probes.policies import Policies, policies
from runbooklib.probes.reception import reception

__all__ = ["Policies", "gather", "policies", "reception"]
