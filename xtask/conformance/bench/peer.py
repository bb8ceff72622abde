"""peer.py: what norpm (PyPI, praiskup/norpm) makes of SPECs: `python peer.py DEFINES.json LIST`, one JSON object a line.

The macro files are read once and not counted; nor is the copy of them that each SPEC gets.
"""

import copy
import glob
import json
import signal
import sys
import time

from norpm.macro import MacroRegistry
from norpm.macrofile import macrofile_split_generator
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
# As `system_macro_registry` does, but in rpm's own order and with every vendor's file, and past names that norpm stops at.
registry = MacroRegistry()
registry.target = "x86_64"
for pattern in ("macros", "macros.d/macros.*", "platform/x86_64-linux/macros", "[!pdflm]*/macros"):
    for file in sorted(glob.glob("/usr/lib/rpm/" + pattern)):
        for name, value, params, modifiers in macrofile_split_generator(open(file, encoding="utf8").read()):
            try:
                registry[name] = (value, params, modifiers)
            except Exception:
                pass
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
