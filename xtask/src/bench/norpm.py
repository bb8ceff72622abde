"""norpm.py: what norpm (PyPI, praiskup/norpm) makes of SPECs: `python norpm.py DEFINES.json LIST`, one JSON object a line.

The macro files are read once and not counted; nor is the copy of them that each SPEC gets.
"""

import copy
import json
import signal
import sys
import time

from norpm.macrofile import system_macro_registry
from norpm.specfile import ParserHooks, specfile_expand


class Tags(ParserHooks):
    def __init__(self):
        self.tags = {}

    def tag_found(self, name, value, _raw):
        self.tags.setdefault(name, value)


class TooLong(BaseException):
    pass


def too_long(*_):
    raise TooLong


signal.signal(signal.SIGALRM, too_long)
sys.setrecursionlimit(20000)
registry = system_macro_registry()
if hasattr(registry, "known_norpm_hacks"):
    registry.known_norpm_hacks()
for define in json.load(open(sys.argv[1])):
    name, body = define.split(" ", 1)
    registry[name] = body
for path in open(sys.argv[2]).read().splitlines():
    own, hooks, error = copy.deepcopy(registry), Tags(), None
    text = open(path, encoding="utf8", errors="replace").read()
    started = time.process_time()
    signal.alarm(60)
    try:
        specfile_expand(text, own, hooks)
    except TooLong:
        error = "more than 60 s"
    except Exception as wrong:  # whatever it stumbles over
        error = f"{type(wrong).__name__}: {wrong}"[:200]
    signal.alarm(0)
    took = time.process_time() - started
    nvr = [hooks.tags.get(tag) for tag in ("name", "version", "release")]
    print(json.dumps({"spec": path, "nvr": nvr, "seconds": took, "error": error}), flush=True)
