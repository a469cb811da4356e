"""Prints what Home Assistant would install at its first start, for pip.

It runs in the Python of that Home Assistant: `python requirements.py INTEGRATION... | pip install -r`.
Each integration names its packages in a manifest; some integrations are always set up.
"""

import ast
import importlib.util
import json
import pathlib
import sys

PACKAGE = pathlib.Path(importlib.util.find_spec("homeassistant").origin).parent


def always_set_up():
    tree = ast.parse((PACKAGE / "bootstrap.py").read_text())
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(getattr(target, "id", None) == "DEFAULT_INTEGRATIONS" for target in targets):
            return ast.literal_eval(node.value)
    sys.exit("this Home Assistant has no DEFAULT_INTEGRATIONS in bootstrap.py")


def main():
    wanted = [*sys.argv[1:], *always_set_up()]
    known, packages = set(), set()
    while wanted:
        name = wanted.pop()
        if name in known:
            continue
        known.add(name)
        manifest = json.loads((PACKAGE / "components" / name / "manifest.json").read_text())
        wanted += manifest.get("dependencies", []) + manifest.get("after_dependencies", [])
        packages.update(manifest.get("requirements", []))
    print(*sorted(packages), sep="\n")


main()
