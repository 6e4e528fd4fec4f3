#!/app/bin/python
"""Exit 0 if the API of this container answers. Its database being away is no reason to start it anew."""

import os
import sys
from http.client import HTTPConnection, HTTPException


def main() -> int:
    port = int(os.environ.get("LOANMETRICS_BIND", "127.0.0.1:8000").rpartition(":")[2])
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=4)
        connection.request("GET", "/healthz")
        return 0 if connection.getresponse().status == 200 else 1
    except (OSError, HTTPException):
        return 1


if __name__ == "__main__":
    sys.exit(main())
