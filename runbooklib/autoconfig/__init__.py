"""What mail programs need to know to use this site: a table, files that set them up, and whether all of it is true.

AutoconfigError  a file does not say what a mail program needs
"""

from runbooklib.autoconfig.files import File, Files, files
from runbooklib.autoconfig.services import AutoconfigError, Service, settings
from runbooklib.autoconfig.verifying import verify

__all__ = ["AutoconfigError", "File", "Files", "Service", "files", "settings", "verify"]
