"""What receivers report about a site by mail: read from its own mailboxes, and what it allows."""

from runbooklib.reports.ladder import records, verify
from runbooklib.reports.mailbox import Heard, read

__all__ = ["Heard", "read", "records", "verify"]
