"""Checks that each crate's rust-version is no lower than its dependencies allow, and needs no toolchain but the one here."""

import json
import subprocess
import sys


def version(text):
    parts = [int(part) for part in (text or "0").split(".")]
    return tuple(parts + [0] * (3 - len(parts)))


metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"],
        check=True,
        stdout=subprocess.PIPE,
    ).stdout
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
members = set(metadata["workspace_members"])


def needed(root):
    """Everything that a user of the crate compiles: no dev-dependencies."""
    seen, todo = set(), [root]
    while todo:
        one = todo.pop()
        if one in seen:
            continue
        seen.add(one)
        for dependency in nodes[one]["deps"]:
            if any(kind["kind"] in (None, "build") for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    return seen - {root}


wrong = set()
for member in sorted(members):
    package = packages[member]
    own = package["rust_version"]
    for dependency in sorted(needed(member)):
        other = packages[dependency]
        if version(other["rust_version"]) > version(own):
            wrong.add(member)
            print(f"{package['name']} says {own}, but {other['name']} {other['version']} needs {other['rust_version']}")
print(f"checks: {len(members) - len(wrong)} passed, {len(wrong)} failed")
sys.exit(bool(wrong))
