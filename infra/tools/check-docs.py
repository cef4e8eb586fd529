#!/usr/bin/env python3
"""Holds the documents against the repository: what they name exists, and what has to be in them is there.

usage: infra/tools/check-docs.py

Checked in every Markdown file: links and their anchors; paths in backticks (`shared/domain/src/lane.rs`); `make` targets.
Checked in code: comments cite only what is in the repository, and every area has a README.md.
Checked in docs/: every error code of the code is in docs/errors.md and the other way round; every decision is in the
index and fits on a page.
"""

import itertools
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ERRORS = ROOT / "docs/errors.md"
DECISIONS = ROOT / "docs/decisions"
MAX_DECISION_LINES = 40

# Folders that a path in backticks begins with. What is made by a build (target/, .local/) need not be there.
TOP = r"(?:functions|shared|infra|tests|docs|events|\.ci|\.github)/"
PATH = re.compile(rf"`({TOP}[^`\s]*)`")
# Parts of a path that stand for something: AREA, NNNN-title, OPERATION.rs, *.sql.
PLACEHOLDER = re.compile(r"[*…<]|(?<![a-z])[A-Z]{4,}(?![a-z])")
# Documents whose whole name is in capitals are no placeholders.
CAPITALS = re.compile(r"[A-Z]+\.md$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
TARGET = re.compile(r"`make ([a-z][a-z-]*)")
# Where an error's class or a problem gets its code.
CLASS = re.compile(r'\b(rejected|denied|transient|fatal)\(\s*(?:(?:\w+::)*(\w+),\s*)?"([a-z-]+)"')
PROBLEM = re.compile(r'\b(?:Problem|Self)::new\(\s*(\d+),\s*"([a-z-]+)"')
STATUS = {"Malformed": "400", "PaymentRequired": "402", "NotFound": "404", "Conflict": "409", "TooLarge": "413",
          "Unprocessable": "422", "denied": "403"}
# What callers see of transient and fatal errors.
MASKED = {"unavailable": "503", "internal": "500"}
EVERY_AREA = "All areas"
# A specification that isn't in the repository: the rules are in each area's README.md.
CITATION = re.compile(r'\b[Ss]pec "|\b[Ss]eed(?:s)? (?:00\d|")')
ROW = re.compile(r"^\| `([a-z-]+)` \| ([^|]*?) \|", re.MULTILINE)


def main() -> int:
    documents = [ROOT / name for name in listed("*.md")]
    problems = list(itertools.chain(
        *(check_document(document) for document in documents),
        check_areas(),
        check_citations(),
        check_errors(),
        check_decisions(),
    ))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        print(f"{len(problems)} problems in the documents", file=sys.stderr)
    return 1 if problems else 0


def listed(pattern: str) -> list[str]:
    """Files that are committed or will be, and are still there."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", pattern]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(name for name in set(names) if (ROOT / name).is_file())


def check_document(document: pathlib.Path):
    name = document.relative_to(ROOT)
    text = document.read_text()
    prose = without_code_blocks(text)
    for link in LINK.findall(prose):
        yield from (f"{name}: {problem}" for problem in check_link(document, link))
    for path in PATH.findall(prose):
        for one in expanded(path.split(":")[0]):
            if not PLACEHOLDER.search(CAPITALS.sub("", one)) and not (ROOT / one).exists():
                yield f"{name}: there is no {one}"
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in TARGET.findall(prose):
        if target not in targets:
            yield f"{name}: make has no target {target}"


def without_code_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def check_link(document: pathlib.Path, link: str):
    if re.match(r"[a-z]+:", link):
        return
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    if not target.exists():
        yield f"link {link} leads nowhere"
    elif anchor and target.suffix == ".md" and anchor not in anchors(target.read_text()):
        yield f"link {link}: there is no such heading"


def anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", without_code_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def expanded(path: str) -> list[str]:
    """`a/{b,c}.rs` names two files."""
    found = re.search(r"\{([^{}]*)\}", path)
    if not found:
        return [path]
    whole = (path[:found.start()] + part + path[found.end():] for part in found.group(1).split(","))
    return list(itertools.chain(*(expanded(one.strip()) for one in whole)))


def check_areas():
    for manifest in sorted(ROOT.glob("functions/*/Cargo.toml")):
        if not (manifest.parent / "README.md").exists():
            yield f"{manifest.parent.relative_to(ROOT)}: has no README.md with the area's rules"


def check_citations():
    # Migrations that were applied can't be edited, not even their comments.
    names = (name for name in listed("*.rs") + listed("*.yaml") + listed("*.py") + listed("*.md")
             if not name.startswith("infra/tools/check-docs"))
    for name in names:
        for number, line in enumerate((ROOT / name).read_text().splitlines(), start=1):
            if CITATION.search(line):
                yield f"{name}:{number}: cites a specification that isn't in the repository; cite the area's README.md"


def check_errors():
    """Each code has a row in its area's table, with its status; no row is of a code that is gone."""
    in_code, in_document = codes_in_code(), codes_in_document()
    for area, code, status in sorted(in_code):
        documented = in_document.get((area, code)) or in_document.get((EVERY_AREA, code))
        if documented is None:
            yield f"docs/errors.md: code {code} of {area} is missing under \"Codes\""
        elif status not in documented:
            yield f"docs/errors.md: code {code} of {area} has status {status}, not {', '.join(documented)}"
    known = {(area, code) for area, code, _ in in_code}
    for area, code in sorted(set(in_document) - known):
        yield f"docs/errors.md: no error of {area} has the code {code}"


def codes_in_document() -> dict[tuple[str, str], list[str]]:
    codes = ERRORS.read_text().partition("\n## Codes\n")[2].partition("\n## ")[0]
    return {
        (area.partition("\n")[0], code): status.split(", ")
        for area in codes.split("\n### ")[1:]
        for code, status in ROW.findall(area)
    }


def codes_in_code() -> set[tuple[str, str, str]]:
    """Area, code and status of each; the platform's and the providers' are all areas'."""
    codes = set()
    for name in listed("*.rs"):
        found = re.match(r"functions/([^/]+)/src/|shared/(?:platform|providers)/src/", name)
        if not found:
            continue
        area = found.group(1).capitalize().replace("-", " ") if found.group(1) else EVERY_AREA
        text = (ROOT / name).read_text().partition("#[cfg(test)]")[0]
        for lane, rejection, code in CLASS.findall(text):
            codes.add((EVERY_AREA if code in MASKED else area, code,
                       MASKED.get(code) or STATUS.get(rejection or lane, "log")))
        codes.update((area, code, status) for status, code in PROBLEM.findall(text))
    return codes


def check_decisions():
    index = (DECISIONS / "README.md").read_text()
    for document in sorted(DECISIONS.glob("[0-9]*.md")):
        lines = len(document.read_text().splitlines())
        if lines > MAX_DECISION_LINES:
            yield f"docs/decisions/{document.name}: {lines} lines; at most {MAX_DECISION_LINES}"
        if f"({document.name})" not in index:
            yield f"docs/decisions/README.md: {document.name} is missing"


if __name__ == "__main__":
    sys.exit(main())
