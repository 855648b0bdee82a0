"""Checks that the crates are ready to publish: contents, metadata, dependencies, and crates in public signatures.

Run from the root of the repository: packages.py [--types]. Prints one line for each fault, and exits with 1 if there is one.
"""

import json
import pathlib
import re
import subprocess
import sys

# Files that a package may contain, and those that it must contain.
ALLOWED = re.compile(
    r"^(src/.+\.(rs|css|js|html|toml)|Cargo\.toml(\.orig)?|Cargo\.lock|README\.md|LICENSE-(MIT|APACHE)|\.cargo_vcs_info\.json)$"
)
REQUIRED = {"Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"}
LARGEST = 2 * 1024 * 1024
CATEGORIES = {
    "asynchronous",
    "command-line-utilities",
    "data-structures",
    "development-tools",
    "development-tools::debugging",
    "development-tools::testing",
    "encoding",
    "network-programming",
    "parser-implementations",
    "text-processing",
    "web-programming",
    "web-programming::http-client",
    "web-programming::http-server",
}
# One crate for one purpose, in the libraries: (purpose, crates of which at most one may be a direct dependency of all of them).
ONE_OF = [("pin projection", {"pin-project", "pin-project-lite"}), ("base64", {"base64", "base64-simd", "data-encoding"})]


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def published():
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--no-deps", "--locked"))
    return [package for package in metadata["packages"] if package["publish"] != []]


def contents(package, faults):
    files = cargo("package", "--list", "--allow-dirty", "-p", package["name"]).split()
    root = pathlib.Path(package["manifest_path"]).parent
    for file in files:
        if not ALLOWED.match(file):
            faults.append(f"{package['name']}: {file} does not belong into the package: change `include`")
    for file in REQUIRED - set(files):
        faults.append(f"{package['name']}: {file} is not in the package")
    size = sum((root / file).stat().st_size for file in files if (root / file).is_file())
    if size > LARGEST:
        faults.append(f"{package['name']}: {size} bytes, more than {LARGEST}")
    readme = (root / "README.md").read_text(encoding="utf-8")
    code = False
    for number, line in enumerate(readme.splitlines(), 1):
        if line.startswith("```"):
            code = line.startswith("```rust")
        elif code and re.match(r"# |#$", line):
            faults.append(f"{package['name']}: README.md:{number}: a hidden doctest line, which registries and GitHub show")
    return len(files)


def manifest(package, faults):
    name = package["name"]
    for key in ("description", "license", "repository", "readme", "rust_version"):
        if not package[key]:
            faults.append(f"{name}: no `{key}`")
    if not 1 <= len(package["keywords"]) <= 5 or any(len(word) > 20 for word in package["keywords"]):
        faults.append(f"{name}: 1 to 5 keywords of at most 20 characters")
    for category in set(package["categories"]) - CATEGORIES:
        faults.append(f"{name}: `{category}` is not a known category")
    if not package["categories"]:
        faults.append(f"{name}: no categories")
    library = any("lib" in target["kind"] for target in package["targets"])
    docs = (package["metadata"] or {}).get("docs", {}).get("rs", {})
    if library and package["features"] and not docs.get("all-features"):
        faults.append(f"{name}: docs.rs does not build all features: set `[package.metadata.docs.rs] all-features = true`")
    for dependency in package["dependencies"]:
        local = dependency.get("path")
        if local and dependency["kind"] != "dev" and dependency["req"] == "*":
            faults.append(f"{name}: `{dependency['name']}` has a path and no version")
        if not local and dependency["req"] == "*":
            faults.append(f"{name}: `{dependency['name']}` has no version")


def flavours(packages, faults):
    for purpose, crates in ONE_OF:
        used = {}
        for package in packages:
            for dependency in package["dependencies"]:
                if dependency["kind"] is None and dependency["name"] in crates:
                    used.setdefault(dependency["name"], []).append(package["name"])
        if len(used) > 1:
            faults.append(f"more than one crate for {purpose}: {used}")


# --- crates in public signatures ------------------------------------------------------------------------------------

STANDARD = {"std", "core", "alloc", "crate", "self", "super", "Self"}


def stripped(text):
    """Source without comments, literals and unit tests."""
    pattern = r'//[^\n]*|/\*.*?\*/|b?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|\'(?:\\.[^\']*|[^\'\\])\''
    text = re.sub(pattern, lambda found: '""' if found.group().endswith('"') else " ", text, flags=re.DOTALL)
    while (start := re.search(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))? )?mod \w+ \{", text)) is not None:
        text = text[: start.start()] + text[closing(text, start.end() - 1) :]
    return text


def closing(text, opening):
    """The position behind the brace that closes the one at `opening`."""
    depth = 0
    for at in range(opening, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at + 1
    return len(text)


def imports(text):
    """Names that `use` items bring in: name -> first segment of the path."""
    names = {}

    def walk(prefix, tree):
        tree = tree.strip()
        if (group := re.match(r"(.*?)\{(.*)\}$", tree, flags=re.DOTALL)) is not None:
            depth, part = 0, ""
            for letter in group.group(2) + ",":
                depth += {"{": 1, "}": -1}.get(letter, 0)
                if letter == "," and depth == 0:
                    if part.strip():
                        walk(prefix + group.group(1), part)
                    part = ""
                else:
                    part += letter
            return
        path = (prefix + tree).strip()
        renamed = re.match(r"(.*)\s+as\s+(\w+)$", path)
        path, name = renamed.groups() if renamed else (path, path.split("::")[-1])
        segments = [segment.strip() for segment in path.split("::") if segment.strip()]
        if segments:
            names[segments[-2] if name == "self" and len(segments) > 1 else name] = segments[0]

    for found in re.finditer(r"\buse\s+((?:[^;{]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*);", text):
        walk("", found.group(1).lstrip(":"))
    return names


def signatures(text, public):
    """Public signatures, with trait implementations of public types. `unreachable_pub` is a lint here, so that `pub` means reachable."""
    for found in re.finditer(r"\bpub (?:const |async |unsafe )*fn [^{;]*", text):
        yield found.group()
    for found in re.finditer(r"\bpub (?:type|const|static) [^=;]*(?:=[^;]*)?", text):
        # The value of a constant is not a signature.
        yield found.group() if found.group().startswith("pub type") else found.group().split("=")[0]
    for found in re.finditer(r"\bpub use ([^;]*);", text):
        yield found.group(1)
    for found in re.finditer(r"\bpub (struct|enum|trait|union) \w+[^{;]*[{;]", text):
        # Fields of a tuple are public one by one.
        head, tuple_fields, where = found.group().partition("(")
        yield head
        if tuple_fields:
            yield from (field.group() for field in re.finditer(r"\bpub [^,]*", where))
        body = text[found.end() - 1 : closing(text, found.end() - 1)] if found.group().endswith("{") else ""
        if found.group(1) == "struct":
            yield from (field.group() for field in re.finditer(r"\bpub \w+:[^,}]*", body))
        elif found.group(1) == "trait":
            # Bodies of default methods are not signatures.
            yield re.sub(r"\{[^{}]*\}", ";", re.sub(r"\{[^{}]*\{[^{}]*\}[^{}]*\}", ";", body[1:]))
        else:
            yield body
    for found in re.finditer(r"\bimpl\b(?:<[^{;]*?>)?\s+[^{;(]*?\bfor\s+(?:&(?:mut )?)?(\w+)[^{;]*\{", text):
        if found.group(1) in public:
            yield found.group()


def external_types(package, faults):
    """Crates in the public signatures of a library against `package.metadata.cargo_check_external_types`."""
    names = {}
    for dependency in package["dependencies"]:
        if dependency["kind"] is None:
            names[(dependency["rename"] or dependency["name"]).replace("-", "_")] = dependency["name"]
    metadata = package["metadata"] or {}
    allowed = metadata.get("cargo_check_external_types", {}).get("allowed_external_types", [])
    allowed = {entry.split("::")[0] for entry in allowed}
    found = {}
    root = pathlib.Path(package["manifest_path"]).parent
    paths = [path for path in sorted((root / "src").rglob("*.rs")) if path.name != "tests.rs" and "/tests/" not in str(path)]
    texts = {path: stripped(path.read_text(encoding="utf-8")) for path in paths}
    declared = r"\bpub (?:struct|enum|trait|union|type) (\w+)"
    public = {name for text in texts.values() for name in re.findall(declared, text)}
    for path, text in texts.items():
        imported = imports(text)
        for signature in signatures(text, public):
            # A path's first segment, or a name that was imported.
            for word in re.finditer(r"(?<![\w:.])(\w+)", signature):
                segment = word.group(1)
                first = imported.get(segment, segment)
                if first in names and first not in STANDARD and (segment in imported or signature[word.end() :].startswith("::")):
                    where = f"{path.relative_to(root)}: {' '.join(signature.split())[:100]}"
                    found.setdefault(first, where)
    for crate in sorted(set(found) - allowed):
        faults.append(f"{package['name']}: a type of `{crate}` in a public signature, which `allowed_external_types` does not list: {found[crate]}")
    for crate in sorted(allowed - set(found)):
        faults.append(f"{package['name']}: `allowed_external_types` lists `{crate}`, and no public signature has it")
    return sorted(found)


def main():
    packages, faults = published(), []
    libraries = [package for package in packages if any("lib" in target["kind"] for target in package["targets"])]
    for package in packages:
        if "--types" not in sys.argv:
            count = contents(package, faults)
            manifest(package, faults)
            print(f"{package['name']}: {count} files")
    if "--types" not in sys.argv:
        flavours(libraries, faults)
    for package in libraries:
        print(f"{package['name']}: public signatures use {', '.join(external_types(package, faults)) or 'no other crate'}")
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"checks: {max(0, len(packages) * 2 - len(faults))} passed, {len(faults)} failed")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
