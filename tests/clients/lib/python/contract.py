"""What every sending program written in Python shares: the specification on stdin, the records, the report on stdout.

The contract itself is in ../../README.md. This leaves the sending to the program.
"""

import base64
import json
import sys
import time

# How long after the records' own time-out a program gives up on answers.
GRACE_S = 8


class Record:
    """One line of the records file; key, value and header values are bytes or None."""

    def __init__(self, line):
        fields = json.loads(line)
        self.key = _bytes(fields["key"])
        self.value = _bytes(fields["value"])
        self.headers = [(name, _bytes(value)) for name, value in fields["headers"]]
        self.timestamp_ms = fields["timestamp_ms"]


class Report:
    """Counts outcomes; a record without one is an error in the end."""

    def __init__(self, library, version):
        self._library = library
        self._version = version
        self._outcomes = {}
        self._general = []

    def delivered(self, index):
        self._outcomes[index] = None

    def failed(self, index, code, name, text):
        """`index` is None when no single record is meant; `code` is Kafka's, None for the client's own failures."""
        error = {"record": index, "code": code, "name": name, "text": text}
        if index is None:
            self._general.append(error)
        else:
            self._outcomes[index] = error

    def print(self, record_count):
        for index in range(record_count):
            if index not in self._outcomes:
                self.failed(index, None, "NoAnswer", "no outcome before the deadline")
        errors = [error for error in self._outcomes.values() if error]
        print(json.dumps({
            "delivered": len(self._outcomes) - len(errors),
            "errors": self._general + errors,
            "library": self._library,
            "version": self._version,
        }), flush=True)


def run(report, send):
    """Calls `send(spec, records, deadline, report)`, deadline by time.monotonic(), and prints the report whatever happens."""
    spec = json.load(sys.stdin)
    with open(spec["records"], encoding="utf-8") as lines:
        records = [Record(line) for line in lines]
    deadline = time.monotonic() + spec["timeout_ms"] / 1000 + GRACE_S
    try:
        send(spec, records, deadline, report)
    except Exception as failed:  # Whatever it is, it must reach the report.
        report.failed(None, getattr(failed, "errno", None), type(failed).__name__, str(failed))
    report.print(len(records))


def _bytes(text):
    return None if text is None else base64.b64decode(text)
