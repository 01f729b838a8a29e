"""What every sending program written in Python shares: the specification on stdin, the records, the report on stdout.

The contract itself is in ../../README.md. This leaves the sending to the program.
"""

import base64
import itertools
import json
import sys
import threading
import time

# How long after the records' own time-out a program gives up on answers.
GRACE_S = 8
# How long closing may take after that.
CLOSE_S = 2
# More than any test sends: what is too large is for the gateway to say.
REQUEST_BYTES_MAX = 8 << 20
# So many records at most are on their way where each holds an object until it has its outcome.
WINDOW = 10_000
# Further errors are only counted.
ERRORS_MAX = 1_000
# What became of a record; at first it is neither.
_DELIVERED = 1
_FAILED = 2


class Record:
    """Key, value and header values are bytes or None."""

    def __init__(self, index, key, value, headers, timestamp_ms):
        self.index = index
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp_ms = timestamp_ms


class Records:
    """Some of the records, made when they are asked for: there may be a million."""

    def __init__(self, make, indices):
        self._make = make
        self._indices = indices

    def __len__(self):
        return len(self._indices)

    def __iter__(self):
        return map(self._make, self._indices)

    def share(self, first, step):
        return Records(self._make, self._indices[first::step])


def _records_of(spec):
    if "numbers" in spec:
        return Records(_number, range(spec["numbers"]))
    with open(spec["records"], encoding="utf-8") as file:
        records = [_record(index, line) for index, line in enumerate(file)]
    return Records(records.__getitem__, range(len(records)))


def _number(index):
    return Record(index, None, str(index).encode(), [], round(time.time() * 1000))


def _record(index, line):
    fields = json.loads(line)
    headers = [(name, _bytes(value)) for name, value in fields["headers"]]
    return Record(index, _bytes(fields["key"]), _bytes(fields["value"]), headers, fields["timestamp_ms"])


def _bytes(text):
    return None if text is None else base64.b64decode(text)


class Report:
    """Collects outcomes, from any thread; a record without one is an error in the end."""

    def __init__(self, library, version):
        self._library = library
        self._version = version
        # By record.
        self._outcomes = bytearray()
        self._general = []
        self._errors = []

    def expect(self, record_count):
        self._outcomes = bytearray(record_count)

    def delivered(self, index):
        self._outcomes[index] = _DELIVERED

    def failed(self, index, code, name, text):
        """`index` is None when no single record is meant; `code` is Kafka's, None for the client's own failures."""
        error = {"record": index, "code": code, "name": name, "text": text}
        if index is None:
            self._general.append(error)
            return
        self._outcomes[index] = _FAILED
        if len(self._errors) < ERRORS_MAX:
            self._errors.append(error)

    def print(self):
        for index, outcome in enumerate(self._outcomes):
            if not outcome:
                self.failed(index, None, "NoAnswer", "no outcome before the deadline")
        print(json.dumps({
            "delivered": self._outcomes.count(_DELIVERED),
            "errors": self._general + self._errors,
            "library": self._library,
            "version": self._version,
        }), flush=True)


def run(report, send):
    """Calls `send(spec, records, deadline, report)`, deadline by time.monotonic(), in a thread for each producer with its share
    of the records, and prints the report whatever happens."""
    spec = json.load(sys.stdin)
    records = _records_of(spec)
    report.expect(len(records))
    deadline = time.monotonic() + spec["timeout_ms"] / 1000 + GRACE_S

    def send_share(share):
        try:
            send(spec, share, deadline, report)
        except Exception as failed:  # Whatever it is, it must reach the report.
            report.failed(None, getattr(failed, "errno", None), type(failed).__name__, str(failed))

    producers = spec["producers"]
    shares = [records.share(first, producers) for first in range(producers)]
    threads = [threading.Thread(target=send_share, args=(share,), daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, deadline + CLOSE_S - time.monotonic()))
    report.print()


def paced(spec, records):
    """The records, each after the pause that the specification asks for."""
    for record in records:
        if spec["pause_ms"]:
            time.sleep(spec["pause_ms"] / 1000)
        yield record


def windows(records):
    """The records in lists of at most `WINDOW`."""
    records = iter(records)
    return iter(lambda: list(itertools.islice(records, WINDOW)), [])
