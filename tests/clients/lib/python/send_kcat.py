"""Sends a file of records with kcat, and reads what it prints.

kcat reads records from its input between delimiters. What its command line cannot say per record (headers, timestamps)
is left out; a null value takes a run of its own with `-Z`, which sends every empty key or value as null. It skips a
record that has neither key nor value, so a null key with an empty value goes out as an empty key.
"""

import re
import secrets
import subprocess
import sys
import time

import contract

# kcat prints librdkafka's texts without the codes.
CODE_OF_TEXT = {
    "Broker: Topic authorization failed": 29,
    "Broker: Unknown topic or partition": 3,
    # librdkafka's own error, made of the broker's code 3.
    "Local: Unknown topic": 3,
}


def send(spec, records, deadline, report):
    plain = [index for index, record in enumerate(records) if record.value is not None]
    nulls = [index for index, record in enumerate(records) if record.value is None]
    for indexes, options in ((plain, []), (nulls, ["-Z"])):
        if indexes:
            send_some(spec, records, indexes, options, deadline, report)


def send_some(spec, records, indexes, options, deadline, report):
    key_end, record_end = (secrets.token_hex(16) for _ in range(2))
    lines = b"".join(line_of(records[index], key_end.encode()) + record_end.encode() for index in indexes)
    try:
        done = subprocess.run(
            ["kcat", "-P", "-E", "-t", spec["topic"], "-K", key_end, "-D", record_end, *settings_of(spec), *options],
            input=lines,
            capture_output=True,
            timeout=max(1, deadline - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        # Its records have no outcome, and the report says so.
        return
    sys.stderr.write(done.stderr.decode(errors="replace"))
    # One line per undelivered record, without saying which: the first so many stand for them.
    texts = [line.strip() for line in done.stderr.decode(errors="replace").splitlines()]
    failures = [text for text in texts if "Delivery failed for message" in text]
    if done.returncode != 0 and not failures:
        failures = [" / ".join(texts) or f"exit code {done.returncode}"] * len(indexes)
    for index, text in zip(indexes, failures):
        report.failed(index, code_of(text), "kcat", text)
    for index in indexes[len(failures):]:
        report.delivered(index)


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
    return found.group(1), "librdkafka " + found.group(2)


number, library = version()
contract.run(contract.Report(library, number), send)
