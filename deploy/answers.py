"""Exit code 0 where http://host:port/path answers 200, or tcp://host:port takes a connection."""

from __future__ import annotations

import socket
import sys
import urllib.request
from urllib.parse import urlsplit

address = urlsplit(sys.argv[1])
if address.scheme == "tcp":
    socket.create_connection((address.hostname, address.port), timeout=5).close()
else:
    urllib.request.urlopen(sys.argv[1], timeout=5).close()  # noqa: S310
