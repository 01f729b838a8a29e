"""Sends records with aiokafka; each producer's thread has an event loop of its own."""

import asyncio
import ssl
import time

import aiokafka
import aiokafka.errors

import contract


def send(spec, records, deadline, report):
    asyncio.run(send_share(spec, records, deadline, report))


async def send_share(spec, records, deadline, report):
    producer = aiokafka.AIOKafkaProducer(**settings_of(spec))
    await producer.start()
    send_deadline = time.monotonic() + spec["timeout_ms"] / 1000
    for window in contract.windows(records):
        sent = await send_window(producer, spec, window, send_deadline, report)
        await settle(sent, deadline, report)
    await asyncio.wait_for(producer.stop(), contract.CLOSE_S)


async def send_window(producer, spec, records, send_deadline, report):
    """Gives the futures, by record."""
    sent = {}
    for record in records:
        await asyncio.sleep(spec["pause_ms"] / 1000)
        if time.monotonic() > send_deadline:
            break
        try:
            sent[record.index] = await producer.send(
                spec["topic"],
                key=record.key,
                value=record.value,
                headers=[(name, value or b"") for name, value in record.headers],
                timestamp_ms=record.timestamp_ms,
            )
        except aiokafka.errors.KafkaError as failed:
            note_failure(report, record.index, failed)
    return sent


async def settle(sent, deadline, report):
    for index, future in sent.items():
        try:
            await asyncio.wait_for(future, max(0, deadline - time.monotonic()))
            report.delivered(index)
        except (aiokafka.errors.KafkaError, asyncio.TimeoutError) as failed:
            note_failure(report, index, failed)


def settings_of(spec):
    return {
        "bootstrap_servers": spec["bootstrap"],
        "client_id": "sluice-test",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": spec["user"],
        "sasl_plain_password": spec["password"],
        "ssl_context": ssl.create_default_context(cafile=spec["ca"]),
        "compression_type": None if spec["codec"] == "none" else spec["codec"],
        "acks": "all" if spec["acks"] == "all" else int(spec["acks"]),
        "enable_idempotence": spec["idempotent"],
        "linger_ms": 5,
        "max_request_size": contract.REQUEST_BYTES_MAX,
        "request_timeout_ms": spec["timeout_ms"],
    }


def note_failure(report, index, failed):
    report.failed(index, getattr(failed, "errno", None), type(failed).__name__, str(failed))


contract.run(contract.Report("aiokafka", aiokafka.__version__), send)
