"""Training logs: from files to a `Log`, and back.

Each container is a file of `cogfit.logs.formats`. `read_log` finds the format and the columns of a
log by itself; what it returns are the types of `cogfit.logs.model`. Importing this package loads
neither pandas nor pyarrow.
"""

from cogfit.logs.model import GROUP_COLUMNS, Log, RoutingLog, Source, UtilizationLog
from cogfit.logs.reading import read_log

__all__ = ["GROUP_COLUMNS", "Log", "RoutingLog", "Source", "UtilizationLog", "read_log"]
