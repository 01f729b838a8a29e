"""Runs one scenario: its name and the signature's version are the arguments, where everything is comes as JSON on standard
input. Whatever is not as it should be ends in a traceback and exit code 1. `read` for a name prints all logs instead."""

import json
import sys

import reading
import scenarios
import sdk

name, version = sys.argv[1:]
store = sdk.Store(json.load(sys.stdin), version)
if name == "read":
    reading.print_all(store)
else:
    getattr(scenarios, name)(store)
