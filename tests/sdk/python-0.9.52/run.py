"""Runs one scenario: its name and the signature's version are the arguments, where everything is comes as JSON on standard
input. Whatever is not as it should be ends in a traceback and exit code 1."""

import json
import sys

import scenarios
import sdk

name, version = sys.argv[1:]
getattr(scenarios, name)(sdk.Store(json.load(sys.stdin), version))
