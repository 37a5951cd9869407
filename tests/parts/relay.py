"""A server between a client and a real one, which can stop answering: connections stay, and nothing goes through."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.process import until

Address = tuple[str, int] | str
"""Host and port, or the path of a socket."""


class Relay:
    """``address`` is where it listens. Without a server behind it, it takes connections and says nothing."""

    def __init__(self, server: Address | None, path: Path | None = None) -> None:
        self._server = server
        self._listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self._listener.bind(str(path) if path else ("127.0.0.1", 0))
        self._listener.listen(64)
        self.address: Address = self._listener.getsockname()
        self.taken = 0
        """Bytes that clients have sent since it was made, or since ``freeze``."""
        self.connections = 0
        self._open: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._freeze_after = -1
        self._given = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens, on TCP."""
        return int(self.address[1])

    def freeze(self) -> None:
        """From now on nothing goes through."""
        self._flowing.clear()
        self.taken = 0

    def freeze_after(self, size: int, *, given: bool = False) -> None:
        """Freeze as soon as so many bytes have come on one connection: from the client, or what it is ``given``."""
        self._freeze_after, self._given = size, given

    def await_frozen(self) -> None:
        """Wait until that has come."""
        until(lambda: not self._flowing.is_set(), "nobody takes so much")

    def await_asked(self) -> None:
        """Wait until somebody has asked for something that does not go through."""
        until(lambda: not self._flowing.is_set() and self.taken > 0, "nobody asks")

    def thaw(self) -> None:
        """Everything goes through again, also what came meanwhile."""
        self._freeze_after = -1
        self._flowing.set()

    def close(self) -> None:
        """End all connections."""
        self.thaw()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(client)
            if self._server is None:
                continue
            unix = isinstance(self._server, str)
            server = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
            server.connect(self._server)
            self._open.append(server)
            for pair in ((client, server, True), (server, client, False)):
                self._threads.append(threading.Thread(target=self._pump, args=pair, daemon=True))
                self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        """``upward``: from the client to the server."""
        sent = 0
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sent += len(data)
                if upward is not self._given and 0 <= self._freeze_after <= sent:
                    self.freeze()
                if upward:
                    self.taken += len(data)
                self._flowing.wait()
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def relay(server: Address | None = None, path: Path | None = None) -> Iterator[Relay]:
    """One that listens during the block, on the loopback or at ``path``."""
    opened = Relay(server, path)
    try:
        yield opened
    finally:
        opened.close()
