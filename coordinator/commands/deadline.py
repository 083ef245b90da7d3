"""One deadline for all parts of an HTTP call: DNS, connecting, TLS, sending and receiving."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from time import monotonic


class Deadline:
    """When a call must be over, however its peers deal out their bytes."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at = monotonic() + seconds

    def left(self) -> float:
        """Seconds until then; TimeoutError if there are none."""
        left = self._at - monotonic()
        if left <= 0:
            raise TimeoutError(f"the call was not over after {self._seconds:g} s")
        return left

    @contextmanager
    def ends(self, connection: socket.socket) -> Iterator[None]:
        """Within it the connection is shut down at the deadline, and whatever waits for its peer fails.

        A time limit of the socket's own begins anew with each byte.
        """
        timer = Timer(self.left(), _shut_down, (connection,))
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            self.left()
            raise
        finally:
            timer.cancel()
        self.left()  # else what was cut off may look like an end


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # it was closed meanwhile
        socket.socket.shutdown(connection, socket.SHUT_RDWR)  # TLS's own would wait for its peer
