"""What is the database's own trouble, and so nobody's fault who asked it: away, full, read-only, busy, overloaded.

The one rule for all who tell such trouble from a mistake: the doors answer it with 503, workers try again later.
"""

import sqlite3

from django.db import Error, InterfaceError, OperationalError

# Classes of SQLSTATE: connection, rolled back (deadlock), out of resources, stopped by an operator, system error
CLASSES = ("08", "40", "53", "57", "58")
STATES = {
    "25006",  # read-only
    "25P03",  # a transaction was idle for too long
    "55P03",  # a lock was not to be had in time
}
SQLITE_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOTADB,
}


def is_database_trouble(error: BaseException | None) -> bool:
    """Whether it says that the database cannot do its work now, not that it was asked for something wrong."""
    if not isinstance(error, Error):
        return False
    driver = error.__cause__
    if state := getattr(driver, "sqlstate", None):
        return state in STATES or state.startswith(CLASSES)
    if code := getattr(driver, "sqlite_errorcode", None):
        return code & 0xFF in SQLITE_CODES  # the rest of an extended code says more of the same
    return isinstance(error, OperationalError | InterfaceError)  # a connection that is not there has no code
