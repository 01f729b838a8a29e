"""Captures record sets that kcat (librdkafka) sends to a broker that is only just enough of one, into this folder.

python capture.py     (needs kcat 1.7.1 on the path)

The ranges that the broker advertises decide the message format: see librdkafka's rdkafka_feature.c.
"""

import socket
import struct
import subprocess
import threading

PRODUCE, FETCH, METADATA, COORDINATOR, VERSIONS = 0, 1, 3, 10, 18
COMMON = {METADATA: (0, 1), COORDINATOR: (0, 0), VERSIONS: (0, 0)}
FORMATS = {
    0: {PRODUCE: (0, 7), **COMMON},
    1: {PRODUCE: (0, 2), FETCH: (0, 2), **COMMON},
    2: {PRODUCE: (0, 7), FETCH: (0, 11), **COMMON},
}
INPUT = b"k0:first\n:\nk2:" + b"GET /index.html 200 " * 50 + b"\n"


def text(value):
    return struct.pack(">h", len(value)) + value


def metadata(port):
    partition = struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
    topic = struct.pack(">h", 0) + text(b"t") + b"\0" + struct.pack(">i", 1) + partition
    broker = struct.pack(">i", 1) + text(b"127.0.0.1") + struct.pack(">ih", port, -1)
    return struct.pack(">i", 1) + broker + struct.pack(">ii", 1, 1) + topic


def record_set(body, version):
    at = 2 if version >= 3 else 0  # null transactional id
    at += 2 + 4 + 4 + 2 + 1 + 4 + 4  # acks, timeout, one topic "t", one partition
    (length,) = struct.unpack_from(">i", body, at)
    return body[at + 4 : at + 4 + length]


def receive(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def serve(connection, port, versions, captured):
    try:
        while True:
            (length,) = struct.unpack(">i", receive(connection, 4))
            frame = receive(connection, length)
            key, version, correlation, client = struct.unpack_from(">hhih", frame)
            body = frame[10 + client :]
            if key == VERSIONS:
                answer = struct.pack(">hi", 0 if version == 0 else 35, len(versions))
                answer += b"".join(struct.pack(">hhh", k, *r) for k, r in versions.items())
            elif key == METADATA:
                answer = metadata(port)
            else:
                captured.append(record_set(body, version))
                continue  # acks=0
            answer = struct.pack(">i", correlation) + answer
            connection.sendall(struct.pack(">i", len(answer)) + answer)
    except (EOFError, OSError):
        pass


def capture(magic, codec):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    captured = []

    def accept():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            arguments = connection, port, FORMATS[magic], captured
            threading.Thread(target=serve, args=arguments, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    options = ["acks=0", "linger.ms=500", f"compression.codec={codec}", "api.version.request=true"]
    command = ["kcat", "-P", "-q", "-b", f"127.0.0.1:{port}", "-t", "t", "-K:", "-Z"]
    command += [part for option in options for part in ("-X", option)]
    if magic == 2:
        command += ["-H", "trace=1", "-H", "trace=2"]
    subprocess.run(command, input=INPUT, check=True, timeout=30)
    listener.close()
    assert len(captured) == 1 and captured[0][16] == magic, (magic, codec, captured)
    with open(f"kcat-v{magic}-{codec}-lines.bin", "wb") as file:
        file.write(captured[0])


for magic in FORMATS:
    for codec in ["none", "gzip", "snappy", "lz4"] + ["zstd"] * (magic == 2):
        capture(magic, codec)
