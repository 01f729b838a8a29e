"""Sends records with kcat, and reads what it prints.

kcat reads records from its input between delimiters. What its command line cannot say per record (timestamps, headers where
they differ) is left out; a null value takes a run of its own with `-Z`, which sends every empty key or value as null. It skips
a record that has neither key nor value, so a null key with an empty value goes out as an empty key.
"""

import itertools
import re
import secrets
import subprocess
import sys
import tempfile
import time

import contract

# kcat prints librdkafka's texts without the codes.
CODE_OF_TEXT = {
    "Broker: Topic authorization failed": 29,
    "Broker: Unknown topic or partition": 3,
    "Broker: Message size too large": 10,
    # librdkafka's own error, made of the broker's code 3.
    "Local: Unknown topic": 3,
}


def send(spec, records, deadline, report):
    nulls = [record for record in records if record.value is None]
    plain = [record for record in records if record.value is not None] if nulls else records
    for some, options in ((plain, []), (nulls, ["-Z"])):
        if some:
            send_some(spec, some, options, deadline, report)


def send_some(spec, records, options, deadline, report):
    key_end, record_end = (secrets.token_hex(16) for _ in range(2))
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            ["kcat", "-P", "-E", "-t", spec["topic"], "-K", key_end, "-D", record_end, *settings_of(spec),
             *headers_of(records), *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
        feed(process.stdin, spec, records, key_end.encode(), record_end.encode())
        try:
            process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            # Its records have no outcome, and the report says so.
            process.kill()
            process.wait()
            return
        errors.seek(0)
        text = errors.read().decode(errors="replace")
        sys.stderr.write(text)
        note_outcomes(iter(records), process.returncode, text, report)


def feed(pipe, spec, records, key_end, record_end):
    try:
        for record in contract.paced(spec, records):
            pipe.write(line_of(record, key_end) + record_end)
            if spec["pause_ms"]:
                pipe.flush()
        pipe.close()
    except BrokenPipeError:
        # It ended early; why is on its standard error.
        pass


def note_outcomes(records, exit_code, errors, report):
    """kcat prints one line per undelivered record, without saying which: the first so many stand for them."""
    texts = [line.strip() for line in errors.splitlines()]
    failures = [text for text in texts if "Delivery failed for message" in text]
    if exit_code != 0 and not failures:
        failures = itertools.repeat(" / ".join(texts) or f"exit code {exit_code}")
    for text, record in zip(failures, records):
        report.failed(record.index, code_of(text), "kcat", text)
    for record in records:
        report.delivered(record.index)


def headers_of(records):
    """Where all records have the same; a name alone is a header without a value."""
    first = next(iter(records)).headers
    if any(record.headers != first for record in records):
        return []
    texts = [name if value is None else f"{name}={value.decode()}" for name, value in first]
    return [part for text in texts for part in ("-H", text)]


def line_of(record, key_end):
    value = record.value or b""
    if record.key is None and value:
        return value
    return (record.key or b"") + key_end + value


def settings_of(spec):
    settings = {
        "bootstrap.servers": spec["bootstrap"],
        "client.id": "sluice-test",
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "PLAIN",
        "sasl.username": spec["user"],
        "sasl.password": spec["password"],
        "ssl.ca.location": spec["ca"],
        "compression.codec": spec["codec"],
        "acks": spec["acks"],
        "enable.idempotence": str(spec["idempotent"]).lower(),
        "linger.ms": 5,
        "message.max.bytes": contract.REQUEST_BYTES_MAX,
        "message.timeout.ms": spec["timeout_ms"],
        "request.timeout.ms": spec["request_timeout_ms"] or 30_000,
        "topic.metadata.propagation.max.ms": spec["timeout_ms"] // 2,
        **({"debug": "msg"} if spec["verbose"] else {}),
    }
    return [part for name, value in settings.items() for part in ("-X", f"{name}={value}")]


def code_of(text):
    return next((code for known, code in CODE_OF_TEXT.items() if known in text), None)


def version():
    text = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Version (\S+) .*librdkafka (\S+)", text)
    return found.group(1), f"librdkafka {found.group(2)}, kcat"


number, library = version()
contract.run(contract.Report(library, number), send)
