"""Writes record sets with kafka-python 2.0.2's own encoders into this folder.

pip install kafka-python==2.0.2 python-snappy==0.7.3 lz4==4.4.5 zstandard==0.25.0 xxhash==3.5.0 six==1.17.0
python generate.py
"""

from kafka.record.memory_records import MemoryRecordsBuilder

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
HEADERS = [("trace", b"1"), ("trace", b"2"), ("empty", b""), ("null", None)]
SMALL = [
    (1700000000000, b"k0", b"first", HEADERS),
    (1700000000123, None, b"", []),
    (1699999999000, b"", b"GET /index.html 200 " * 50, []),
    (1700000000001, b"k3", None, []),
]
LARGE = [(1700000000000, None, b"abcdefghij" * 7000, [])]


def write(name, magic, codec, records):
    builder = MemoryRecordsBuilder(magic, codec, 1 << 20)
    for timestamp, key, value, headers in records:
        assert builder.append(timestamp, key, value, headers if magic == 2 else [])
    builder.close()
    with open(f"python-v{magic}-{CODECS[codec]}-{name}.bin", "wb") as file:
        file.write(builder.buffer())


for magic in 0, 1, 2:
    for codec in range(5 if magic == 2 else 4):
        write("small", magic, codec, SMALL)
        if codec:
            write("large", magic, codec, LARGE)
