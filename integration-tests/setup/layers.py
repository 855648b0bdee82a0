"""Checks that the modules of propagation-core import downward only, without cycles (ARCHITECTURE.md, "Layers").

Run from the root of the repository. Exits with 1 after naming each import upward, each cycle and each unknown module.
"""

import os
import re
import sys

SOURCE = "propagation-core/src"

# From the bottom to the top. A module may import from its own layer, as long as no cycle follows, and from those below.
LAYERS = [
    ["octets", "hex", "glob", "escape"],
    ["model"],
    ["carrier", "peer", "rejection"],
    ["hop"],
    ["policy", "bridge", "format"],
    ["propagator"],
    ["messaging", "task", "reload"],
]
LAYER = {module: index for index, layer in enumerate(LAYERS) for module in layer}


def strip(text):
    """The code without comments, strings and unit tests."""
    text = re.split(r"\n#\[cfg\(test\)\]\n", text)[0]
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)


def expand(tree):
    """The paths of a use tree: "a::{b, c::d}" gives a::b and a::c::d."""
    tree = tree.strip()
    brace = tree.find("{")
    if brace < 0:
        return [re.split(r"\s+as\s+", tree)[0].strip()] if tree else []
    prefix, rest = tree[:brace], tree[brace + 1 : tree.rfind("}")]
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(rest):
        depth += (letter == "{") - (letter == "}")
        if letter == "," and depth == 0:
            parts.append(rest[start:at])
            start = at + 1
    parts.append(rest[start:])
    return [prefix + path for part in parts for path in expand(part)]


def root_names(lib):
    """The module that each name at the root of the crate comes from."""
    names = {}
    for tree in re.findall(r"\buse\s+([^;]+);", lib):
        for path in expand(tree):
            parts = [part for part in path.split("::") if part not in ("self", "crate")]
            if len(parts) >= 2:
                names[parts[-1]] = parts[0]
    # A rename: `pub use a::b as c`.
    for tree in re.findall(r"\buse\s+([^;]+);", lib):
        for path, name in re.findall(r"([\w:]+)\s+as\s+(\w+)", tree):
            names[name] = path.split("::")[0] if "::" in path else names.get(path, path)
    return names


def modules():
    for folder, _, files in sorted(os.walk(SOURCE)):
        for file in sorted(files):
            path = os.path.join(folder, file)
            relative = os.path.relpath(path, SOURCE)
            if file.endswith(".rs") and relative != "lib.rs" and not relative.endswith("tests.rs"):
                yield relative.split(os.sep)[0].removesuffix(".rs"), path


def main():
    with open(f"{SOURCE}/lib.rs", encoding="utf-8") as file:
        lib = strip(file.read())
    names = root_names(lib)
    known = set(re.findall(r"\bmod\s+(\w+)\s*;", lib))
    faults, edges = [], {}
    for module in sorted(known - LAYER.keys()):
        faults.append(f"{module}: in no layer; add it to integration-tests/setup/layers.py and ARCHITECTURE.md")
    for module, path in modules():
        with open(path, encoding="utf-8") as file:
            code = strip(file.read())
        paths = [path for tree in re.findall(r"\buse\s+crate::([^;]+);", code) for path in expand(tree)]
        paths += re.findall(r"(?<!use )\bcrate::(\w+(?:::\w+)*)", code)
        for used in paths:
            head = used.split("::")[0]
            target = head if head in known else names.get(head)
            if target in known and target != module:
                edges.setdefault((module, target), set()).add(path)
    for (module, target), paths in sorted(edges.items()):
        if LAYER.get(target, 0) > LAYER.get(module, len(LAYERS)):
            faults.append(f"{module} imports {target}, which is above it: {', '.join(sorted(paths))}")
    for cycle in cycles(edges):
        faults.append(f"modules import one another: {' -> '.join(cycle)}")
    for fault in faults:
        print(fault)
    print(f"{len(known)} modules, {len(edges)} edges, {len(faults)} faults")
    print(f"checks: {int(not faults)} passed, {len(faults)} failed")
    return bool(faults)


def cycles(edges):
    """The strongly connected components of more than one module."""
    graph = {}
    for module, target in edges:
        graph.setdefault(module, set()).add(target)

    def reach(start):
        seen, todo = set(), [start]
        while todo:
            for target in graph.get(todo.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    todo.append(target)
        return seen

    reached = {module: reach(module) for module in graph}
    found = []
    for module in sorted(graph):
        component = sorted(other for other in reached[module] if module in reached.get(other, ()))
        if component and component not in found:
            found.append(component)
    return [component for component in found if len(component) > 1]


if __name__ == "__main__":
    sys.exit(main())
