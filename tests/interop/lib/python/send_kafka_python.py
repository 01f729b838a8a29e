"""Sends records with kafka-python.

Version 2.0 logs in by the raw SASL dialect. When Metadata refuses the topic, it keeps the code to itself and raises a time-out in
the end.
"""

import logging
import time

import kafka
import kafka.errors

import contract

# What the client is told about the broker decides its message format; None lets it ask. Below 0.10 it cannot log in at all,
# so format 0 is out of its reach.
API_VERSION = {1: (0, 10), 2: None}


def send(spec, records, deadline, report):
    if spec["verbose"]:
        logging.basicConfig(level=logging.INFO)
    producer = kafka.KafkaProducer(**settings_of(spec))
    # A send may block for the whole time-out; the one after it must not do so again.
    send_deadline = time.monotonic() + spec["timeout_ms"] / 1000
    for window in contract.windows(records):
        sent = send_window(producer, spec, window, send_deadline, report)
        settle(sent, deadline, report)
    # Flushes what acks=0 has only queued.
    producer.close(timeout=2)


def send_window(producer, spec, records, send_deadline, report):
    """Gives the futures, by record."""
    sent = {}
    for record in contract.paced(spec, records):
        if time.monotonic() > send_deadline:
            break
        try:
            sent[record.index] = producer.send(
                spec["topic"],
                key=record.key,
                value=record.value,
                headers=headers_of(record) if spec["message_format"] == 2 else None,
                timestamp_ms=record.timestamp_ms,
            )
        except kafka.errors.KafkaError as failed:
            note_failure(report, record.index, failed)
    return sent


def settle(sent, deadline, report):
    for index, future in sent.items():
        try:
            future.get(timeout=max(0, deadline - time.monotonic()))
            report.delivered(index)
        except kafka.errors.KafkaError as failed:
            note_failure(report, index, failed)


def settings_of(spec):
    timeout_ms = spec["timeout_ms"]
    settings = {
        "bootstrap_servers": spec["bootstrap"],
        "client_id": "sluice-test",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": spec["user"],
        "sasl_plain_password": spec["password"],
        "ssl_cafile": spec["ca"],
        "api_version": API_VERSION[spec["message_format"]],
        "compression_type": None if spec["codec"] == "none" else spec["codec"],
        "acks": "all" if spec["acks"] == "all" else int(spec["acks"]),
        "linger_ms": 5,
        "max_block_ms": timeout_ms,
        "max_request_size": contract.REQUEST_BYTES_MAX,
        "request_timeout_ms": spec["request_timeout_ms"] or timeout_ms,
        "retries": 1000,
    }
    if kafka.__version__.startswith("2.0."):
        return settings | {"api_version_auto_timeout_ms": timeout_ms}
    # From 2.1 on; the delivery must have longer than a request.
    return settings | {
        "enable_idempotence": spec["idempotent"],
        "request_timeout_ms": spec["request_timeout_ms"] or timeout_ms - 1000,
        "delivery_timeout_ms": timeout_ms,
    }


def headers_of(record):
    """This client refuses a header without a value: null goes out as empty."""
    return [(name, value or b"") for name, value in record.headers]


def note_failure(report, index, failed):
    report.failed(index, getattr(failed, "errno", None), type(failed).__name__, str(failed))


contract.run(contract.Report("kafka-python", kafka.__version__), send)
