"""Runs collectd and gives it each line of a log file as a metric named by the line's first word.

Arguments: the configuration, whose line `# input: FILE` names the log file; the command that starts collectd.
"""
import os
import re
import signal
import socket
import subprocess
import sys
import time


def follow(path, stopping):
    """Yields whole lines as they are appended, also over a rotation by renaming, until what is there is read."""
    file, rest = None, b""
    while True:
        last = stopping()
        try:
            moved = file is None or os.stat(path).st_ino != os.fstat(file.fileno()).st_ino
        except FileNotFoundError:
            moved = False
        if file:
            *lines, rest = (rest + file.read()).split(b"\n")
            yield from lines
        if moved:
            file, rest = open(path, "rb"), b""
        elif last:
            return
        else:
            time.sleep(0.05)


def connect(collectd):
    """The unixsock plugin's socket, named as in the configuration, relative to the folder of its state."""
    while collectd.poll() is None:
        try:
            plugin = socket.socket(socket.AF_UNIX)
            plugin.connect("socket")
            return plugin.makefile("rw")
        except OSError:
            time.sleep(0.05)
    sys.exit(collectd.returncode or 1)


def main():
    configuration, *command = sys.argv[1:]
    with open(configuration, encoding="utf-8") as file:
        path = re.search(r"^# input: (.*)$", file.read(), re.MULTILINE)[1]
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    # It does not outlive this program, however that ends.
    collectd = subprocess.Popen(["setpriv", "--pdeathsig", "TERM", *command])
    try:
        plugin = connect(collectd)
        for line in follow(path, lambda: stopped or collectd.poll() is not None):
            number = line.split()[0].decode()
            plugin.write(f'PUTVAL "host/lines/gauge-{number}" interval=1 N:{number}\n')
            plugin.flush()
            answer = plugin.readline()
            if not answer.startswith("0 "):
                sys.exit(f"collectd refused line {number}: {answer}")
    finally:
        collectd.terminate()
        collectd.wait()
    sys.exit(collectd.returncode)


main()
