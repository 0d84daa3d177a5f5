"""The audit: what a folder of data holds, and whether it would leak from training into testing."""

from datamodules.audit.check import check, check_all
from datamodules.audit.findings import Finding, Report, SourceReport
from datamodules.audit.opening import Entry, entries_below, entries_of_config, entry_of

__all__ = [
    "Entry",
    "Finding",
    "Report",
    "SourceReport",
    "check",
    "check_all",
    "entries_below",
    "entries_of_config",
    "entry_of",
]
