"""Checks README's table of versions against Cargo.toml's requirements and Cargo.lock: matrix.py [--write]

A row is `| crate | version | tested with | where |`. The version is the requirement of each crate of ours that has this dependency, and
tested is the one version that Cargo.lock has for them. `where` names those crates, without dev-dependencies, examples and the
test kit; of crates that reach a user by a feature named after a version, the feature. Rows for Rust name every published crate.
--write corrects the versions in place; rows and reasons stay a person's work.
"""

import json
import re
import subprocess
import sys

README = "README.md"
HEAD = "| Crate | Version | Tested with | Where |"
# Crates that need a row: those that users name, too.
NAMED = [
    "opentelemetry", "opentelemetry_sdk", "opentelemetry-otlp", "tracing", "tracing-opentelemetry", "tracing-subscriber", "axum", "tonic",
    "reqwest", "reqwest-middleware", "tower-http", "tower-layer", "tower-service", "rdkafka", "lapin", "aws-sdk-sqs",
    "aws-sdk-sns", "aws-sdk-eventbridge",
]  # fmt: skip
# Crates that only make programs of ours.
APART = {"propagation-examples", "propagation-testkit"}


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def facts(data):
    """For each named crate: the required and the tested version, and which of our crates depend on it."""
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    found = {name: (set(), set(), set()) for name in NAMED}
    for member in data["workspace_members"]:
        package = packages[member]
        if package["name"] in APART:
            continue
        for dependency in package["dependencies"]:
            if dependency["name"] in found and dependency["kind"] is None:
                found[dependency["name"]][0].add(dependency["req"].lstrip("^"))
                found[dependency["name"]][2].add(package["name"])
        for dependency in nodes[member]["deps"]:
            other = packages[dependency["pkg"]]
            if other["name"] in found and any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                found[other["name"]][1].add(other["version"])
    return found


def rows(text):
    """The cells of each row, and their lines' numbers. Rows of one crate differ by where they apply."""
    lines = text.split("\n")
    if HEAD not in lines:
        sys.exit(f"{README} has no table that begins with {HEAD}")
    at = lines.index(HEAD) + 2
    found = []
    while at < len(lines) and lines[at].startswith("|"):
        found.append((at, [cell.strip() for cell in lines[at].strip("|").split("|")]))
        at += 1
    return lines, found


def fits(tested, required):
    """Returns whether cargo accepts the version: the same leftmost part that is not zero, and no older; or within a range `>=a, <b`."""
    if required.startswith(">="):
        low, high = ([int(part) for part in bound.strip(" <>=").split(".")] for bound in required.split(","))
        numbers = [int(part) for part in re.split(r"[.+-]", tested)[:2]]
        return low <= numbers < high
    numbers = [int(part) for part in re.split(r"[.+-]", tested)[:3]]
    least = [int(part) for part in required.split(".")]
    leading = next((index for index, part in enumerate(least) if part), len(least) - 1) + 1
    return numbers[:leading] == least[:leading] and numbers >= least


def main():
    data, wrong, checks = metadata(), [], 0
    lines, table = rows(open(README, encoding="utf-8").read())
    expected = facts(data)
    seen = set()

    def check(holds, message):
        nonlocal checks
        checks += 1
        if not holds:
            wrong.append(message)

    for line, (crate, version, tested, where) in table:
        name = crate.strip("`")
        if name == "Rust":
            continue
        seen.add(name)
        if name not in expected:
            check(False, f"{name} has a row, and none of our crates asks for it")
            continue
        required, locked, by = expected[name]
        check({version} == required, f"{name}: the table says {version}, Cargo.toml says {' and '.join(sorted(required))}")
        check({tested} == locked, f"{name}: the table says tested with {tested}, Cargo.lock has {' and '.join(sorted(locked))}")
        check(all(fits(one, other) for one in locked for other in required), f"{name}: Cargo.lock has what is not asked for")
        named = set(re.findall(r"`(propagation-[a-z]+)`", where))
        check(named == by, f"{name}: the table names {', '.join(sorted(named))}; used by {', '.join(sorted(by))}")
        if len(required) == len(locked) == 1:
            lines[line] = f"| {crate} | {min(required)} | {min(locked)} | {where} |"
    check(seen >= set(NAMED), f"no row for {', '.join(sorted(set(NAMED) - seen))}")

    # A feature named after a version is about that version.
    for package in data["packages"]:
        if package["id"] not in data["workspace_members"] or package["name"] in APART:
            continue
        for feature, parts in package["features"].items():
            match = re.fullmatch(r"([a-z-]+?)-(\d+)-(\d+)", feature)
            if not match:
                continue
            # `opentelemetry-metrics-0-33` is about opentelemetry.
            about = next(name for name in sorted(NAMED, key=len, reverse=True) if match[1].startswith(name.replace("_", "-")))
            check(
                all(one.startswith(f"{match[2]}.{match[3]}.") for one in expected[about][1]),
                f"{package['name']}: the feature {feature} brings {about} {' and '.join(sorted(expected[about][1]))}",
            )
            check(any(f"`{feature}`" in cells[3] for _, cells in table), f"no row names the feature {feature} of {package['name']}")

    published = {
        package["name"]: package["rust_version"]
        for package in data["packages"]
        if package["id"] in data["workspace_members"] and package["publish"] is None
    }
    for _, (crate, version, _, where) in table:
        if crate == "Rust":
            for name in re.findall(r"`(propagation-[a-z]+)`", where):
                says = published.pop(name, None)
                check(says == version, f"{name}: the table says Rust {version}, its Cargo.toml says {says}")
    check(not published, f"no row says which Rust {', '.join(sorted(published))} needs")

    if "--write" in sys.argv:
        open(README, "w", encoding="utf-8").write("\n".join(lines))
    for message in wrong:
        print(message)
    print(f"checks: {checks - len(wrong)} passed, {len(wrong)} failed")
    sys.exit(len(wrong) > 0)


main()
