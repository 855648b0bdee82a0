"""Checks that the modules of propagation-core import downward only, without cycles (ARCHITECTURE.md, "Layers of core").

Run from the root of the repository. Prints each import upward, each cycle and each unknown module, and then exits with 1.
An import is a path that begins with `crate::`, or with `super::` where that is the root of the crate. Files of a folder
count as the module of that folder. Unit tests may import from any layer.
"""

import os
import re
import sys

SOURCE = "propagation-core/src"

# From the bottom to the top. A module may import from its own layer, as long as no cycle follows, and from those below.
LAYERS = [
    ["octets", "hex", "glob", "escape", "semconv"],
    ["model"],
    ["carrier", "peer", "rejection"],
    ["hop"],
    ["policy", "bridge", "format"],
    ["propagator"],
    ["messaging", "task", "reload"],
]

# Comments, strings and characters: none of them holds an import.
TOKENS = re.compile(
    r"""
      //[^\n]* | /\*.*?\*/
    | \bb?r(?P<hashes>\#*)".*?"(?P=hashes)
    | b?"(?:[^"\\]|\\.)*"
    | b?'(?:[^'\\\n]|\\[^\n]{1,9})'
    """,
    re.VERBOSE | re.DOTALL,
)
TEST_ITEM = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub(?:\([^)]*\))?\s+)?(?:mod|fn|impl|use)\b[^;{]*")


def strip(text):
    """Returns the code without comments, literals and unit tests."""
    text = TOKENS.sub(lambda token: '""' if token[0].endswith(('"', "'", "#")) else "", text)
    while found := TEST_ITEM.search(text):
        end = found.end()
        if text[end : end + 1] == "{":
            end = closing(text, end)
        text = text[: found.start()] + text[end + 1 :]
    return text


def closing(text, start):
    """Returns the position of the brace that closes the one at `start`."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    return len(text)


def expand(tree):
    """Returns the paths of a use tree: "a::{b, c::d}" gives a::b and a::c::d."""
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
    """Returns the module that each name at the root of the crate comes from."""
    names = {}
    for tree in re.findall(r"\buse\s+([^;]+);", lib):
        for path in expand(tree):
            parts = [part for part in path.split("::") if part not in ("self", "crate")]
            if len(parts) >= 2:
                names[parts[-1]] = parts[0]
    # A rename: `pub use a::{b as c}`.
    for tree in re.findall(r"\buse\s+([^;]+);", lib):
        for path, name in re.findall(r"([\w:]+)\s+as\s+(\w+)", tree):
            names[name] = path.split("::")[0] if "::" in path else names.get(path, path)
    return names


def imports(module_path, code):
    """Returns the paths, relative to the root of the crate, that a module's code names."""
    found = []
    # A path from the root, and as many `super` as lead there.
    for root in ("crate", "::".join(["super"] * len(module_path))):
        for tree in re.findall(rf"\buse\s+{root}::([^;]+);", code):
            found += expand(tree)
        found += re.findall(rf"(?<!use )(?<!::)\b{root}::(\w+(?:::\w+)*)", code)
        if re.search(rf"\buse\s+{root}::\*|\buse\s+{root}\s+as\b", code):
            found.append("*")
    return found


def check(files):
    """Returns the number of modules and edges, and the faults. `files` holds the sources by their path in the folder."""
    lib = strip(files["lib.rs"])
    names = root_names(lib)
    known = set(re.findall(r"\bmod\s+(\w+)\s*;", lib))
    layer = {module: index for index, layer in enumerate(LAYERS) for module in layer}
    faults, edges = [], {}
    for module in sorted(known - layer.keys()):
        faults.append(f"{module}: in no layer; add it to integration-tests/setup/layers.py and ARCHITECTURE.md")
    for path, text in sorted(files.items()):
        module_path = path.removesuffix(".rs").split("/")
        module = module_path[0]
        if path == "lib.rs" or module_path[-1] == "tests" or "tests" in module_path[1:]:
            continue
        for used in imports(module_path, strip(text)):
            head = used.split("::")[0]
            target = head if head in known else names.get(head)
            if head == "*":
                faults.append(f"{module} imports the whole crate: {path}")
            elif target in known and target != module:
                edges.setdefault((module, target), set()).add(path)
    for (module, target), paths in sorted(edges.items()):
        if layer.get(target, 0) > layer.get(module, len(LAYERS)):
            faults.append(f"{module} imports {target}, which is above it: {', '.join(sorted(paths))}")
    for cycle in cycles(edges):
        faults.append(f"modules import one another: {' -> '.join(cycle)}")
    return len(known), len(edges), faults


def cycles(edges):
    """Returns the strongly connected components of more than one module."""
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


def self_test():
    """Checks the check itself: each change to a clean crate must be a fault, or none."""
    clean = {
        "lib.rs": "mod model;\nmod hop;\nmod policy;\nmod format;\npub use hop::{Hop, id as hop_id};\npub use policy::Policy;\npub use format::Format;\n",
        "model.rs": '//! See [`crate::Policy`].\npub const TEXT: &str = "crate::Policy // {";\n#[cfg(test)]\nmod tests {\n    use crate::Policy;\n}\n',
        "hop.rs": "mod id;\nuse crate::model;\n",
        "hop/id.rs": "use super::Hop;\n",
        "policy.rs": "use crate::{Hop, model::{self, TEXT}};\n",
        "format.rs": "use crate::hop_id;\n",
    }
    faults = [
        ("model.rs", "use crate::Policy;\n"),
        ("model.rs", "fn f(_: &crate::policy::Policy) {}\n"),
        ("model.rs", "use super::{Hop};\n"),
        ("hop/id.rs", "use super::super::policy;\n"),
        ("hop/id.rs", "#[cfg(test)]\nmod tests;\nuse crate::{\n    model::TEXT,\n    Policy,\n};\n"),
        ("model.rs", "use crate::hop_id;\n"),
        ("model.rs", "use crate::*;\n"),
        ("lib.rs", "mod unknown;\n"),
    ]
    wrong = [] if not check(clean)[2] else ["the clean crate has faults"]
    for path, line in faults:
        if not check({**clean, path: clean[path] + line})[2]:
            wrong.append(f"no fault in {path}: {line.strip()}")
    cycle = {**clean, "policy.rs": "use crate::Format;\n", "format.rs": "use crate::Policy;\n"}
    if "modules import one another: format -> policy" not in check(cycle)[2]:
        wrong.append("no cycle within a layer")
    return [f"self-test: {text}" for text in wrong]


def main():
    files = {}
    for folder, _, names in os.walk(SOURCE):
        for name in names:
            if name.endswith(".rs"):
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8") as file:
                    files[os.path.relpath(path, SOURCE).replace(os.sep, "/")] = file.read()
    modules, edges, faults = check(files)
    faults = self_test() + faults
    for fault in faults:
        print(fault)
    print(f"{modules} modules, {edges} edges, {len(faults)} faults")
    print(f"checks: {int(not faults)} passed, {len(faults)} failed")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
