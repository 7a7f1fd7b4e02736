"""Greets whoever connects; its arguments after the port are the faults it is to have, or what it says."""

# ruff: noqa: T201

import contextlib
import os
import signal
import socket
import ssl
import sys
import time
from pathlib import Path

DETACHED = "import os, sys, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(300)\n"


def main() -> None:  # noqa: C901  a list of faults
    """Take on each fault, then serve."""
    port, *faults = sys.argv[1:]
    greeting, tls = "hello", None
    print("banner server", port, flush=True)
    for fault in faults:
        match fault.partition("="):
            case ("ignore-sigterm", _, _):
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            case ("slow-exit", _, seconds):
                signal.signal(signal.SIGTERM, lambda *_, pause=float(seconds): (time.sleep(pause), sys.exit(0)))
            case ("tls", _, files):
                tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                tls.load_cert_chain(*files.split(","))
            case ("grandchild", _, _):
                os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-S", "-c", "import time; time.sleep(300)"])
            case ("detached-grandchild", _, _):
                os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-S", "-c", DETACHED])
            case ("exit", _, code):
                print("giving up", flush=True)
                sys.exit(int(code))
            case ("never-listens", _, _):
                print("still thinking, password=hunter2hunter2", flush=True)
                time.sleep(300)
            case ("needs", _, file):
                if not Path(file).exists():
                    sys.exit(7)
            case ("says", _, words):
                greeting = words
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(port)))
    server.listen()
    while True:
        connection, _ = server.accept()
        with contextlib.suppress(OSError):  # also from whoever only looks at the port
            connection = tls.wrap_socket(connection, server_side=True) if tls else connection
            connection.sendall(greeting.encode() + b"\n")
        connection.close()


main()
