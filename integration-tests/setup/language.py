"""Holds documentation, messages and test names to the style of CONTRIBUTING.md, and prints the figures.

Run from the root of the repository. Exits with 1 if a goal is missed, after naming the lines to change.
"""

import re
import subprocess
import sys

# Words that usually replace a noun or a technical verb: (name, pattern, goal for docs, goal for pages), in percent of lines.
WORDS = [
    ("what", r"\bwhat\b", 1.0, 2.0),
    ("say, tell", r"\b(says?|said|saying|tells?|told|telling)\b", 0.4, 0.5),
    ("stand", r"\bstands?\b(?!-in)", 0.1, 0.1),
    ("nobody, whoever", r"\b(nobody|somebody|whoever|whom)\b", 0.1, 0.1),
    ("begins with 'The same'", r"^(?:[-*|#>\s]*)the same\b", 0.1, 0.1),
]
LONGEST_TEST_NAME = 60
LONG_TEST_NAMES = 10
BANNED_SUMMARY = re.compile(r"^\s*//[/!] (What|Who|The same|All that)\b")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--", *patterns], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [path for path in out.splitlines() if not path.startswith("integration-tests/breaks/")]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def is_test(path):
    return "/tests/" in path or path.endswith("/tests.rs") or "/benches/" in path or "/fuzz/" in path


def collect():
    """Lines by group: (path, line number, text without markup)."""
    groups = {"public docs": [], "other comments": [], "messages": [], "pages": []}
    names, summaries = [], []
    for path in tracked("*.rs"):
        lines = read(path)
        in_doc, unit_tests, test_attribute = False, False, False
        for number, line in enumerate(lines, 1):
            if re.match(r"^#\[cfg\(test\)\]", line):
                unit_tests = True
            comment = re.match(r"^\s*(//[/!]?)(?!/) ?(.*)$", line)
            if comment:
                mark, text = comment.groups()
                public = mark != "//" and not is_test(path) and not unit_tests
                groups["public docs" if public else "other comments"].append((path, number, text))
                if mark == "//":
                    in_doc = False
                    continue
                if not in_doc and public and BANNED_SUMMARY.match(line):
                    summaries.append((path, number, line.strip()))
                in_doc = True
                continue
            in_doc = False
            if re.match(r"^\s*#\[(tokio::)?test", line):
                test_attribute = True
            name = re.match(r"^\s*(?:pub )?(?:async )?fn (\w+)", line)
            if name:
                if test_attribute and len(name.group(1)) > LONGEST_TEST_NAME:
                    names.append((path, number, name.group(1)))
                test_attribute = False
            if not is_test(path) and not unit_tests:
                # Texts of three words and more: errors, events, assertions.
                for text in re.findall(r'"((?:[^"\\]|\\.)*)"', line):
                    if len(text.split()) >= 3:
                        groups["messages"].append((path, number, text))
    for path in tracked("*.md"):
        code = False
        for number, line in enumerate(read(path), 1):
            if line.lstrip().startswith("```"):
                code = not code
            elif not code and line.strip():
                groups["pages"].append((path, number, line))
    return groups, names, summaries


def main():
    groups, names, summaries = collect()
    failed = 0
    for group, lines in groups.items():
        for word, pattern, docs_goal, pages_goal in WORDS:
            expression = re.compile(pattern, re.IGNORECASE)
            hits = [line for line in lines if expression.search(line[2])]
            share = 100 * len(hits) / max(1, len(lines))
            goal = pages_goal if group == "pages" else docs_goal
            missed = share > goal
            failed += missed
            mark = "MISSED" if missed else "ok"
            print(f"{group:15} {word:24} {len(hits):5} of {len(lines):6} lines {share:6.2f} %  goal {goal:.1f} %  {mark}")
            if missed or "-v" in sys.argv:
                for path, number, text in hits:
                    print(f"    {path}:{number}: {text.strip()[:120]}")
    print(f"{'summaries':15} {'What, Who, The same, All that':24} {len(summaries):5}  goal 0  {'MISSED' if summaries else 'ok'}")
    for path, number, text in summaries:
        print(f"    {path}:{number}: {text[:120]}")
    too_many = len(names) > LONG_TEST_NAMES
    print(
        f"{'test names':15} {f'over {LONGEST_TEST_NAME} characters':24} {len(names):5}"
        f"  goal {LONG_TEST_NAMES}  {'MISSED' if too_many else 'ok'}"
    )
    for path, number, name in names if too_many else []:
        print(f"    {path}:{number}: {name}")
    failed += bool(summaries) + too_many
    print(f"checks: {len(WORDS) * len(groups) + 2 - failed} passed, {failed} failed")
    return failed > 0


sys.exit(main())
