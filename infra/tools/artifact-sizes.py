#!/usr/bin/env python3
"""Sizes of the artifacts in target/lambda beside those of docs/artifacts.md.

usage: infra/tools/artifact-sizes.py [--update|--are-known]

Prints every artifact that was built: the binary, its zip (what is uploaded, and what a cold start loads), what the document says
of it, and whether the zip is above its goal. Ends with 1 when a zip is a third larger than the document says: then a dependency
has grown it, and either goes again or is worth it and the document says so (--update writes the sizes of what was built).

Sizes come from the dependencies, the compiler, the profile and the script that builds: --update writes these as a number, and
--are-known ends with 0 while it is theirs, so that nothing needs to be built to know the sizes.
"""

import hashlib
import json
import pathlib
import re
import sys
import tomllib
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "target/lambda"
DOCUMENT = ROOT / "docs/artifacts.md"
# | `deposit_funds` | HTTP; DriveWealth, Plaid | 6.8 | 3.1 |
ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| ([\d.]+) \| ([\d.]+) \|$", re.M)
# The table was made of the build `0123456789abcdef`
BUILD = re.compile(r"(made of the build )`[0-9a-f]{16}`")
MEGABYTE = 1_000_000
GOAL = 4 * MEGABYTE
# A Kafka client with OpenSSL.
GOAL_WITH_KAFKA = 6 * MEGABYTE
WITH_KAFKA = {"relay_outbox", "migrate"}
MAX_GROWTH = 4 / 3


def main():
    text = DOCUMENT.read_text()
    if "--are-known" in sys.argv:
        known = BUILD.search(text)
        if known is None or known[0] != BUILD.sub(rf"\1`{build()}`", known[0]):
            sys.exit("what artifacts are built from isn't what docs/artifacts.md was made of")
        print("docs/artifacts.md knows the sizes: what artifacts are built from hasn't changed")
        return
    documented = {name: float(size) * MEGABYTE for name, _, _, size in ROW.findall(text)}
    built = {path.parent.name: sizes(path) for path in sorted(ARTIFACTS.glob("*/bootstrap"))}
    built.pop("hello_world", None)
    if not built:
        sys.exit("target/lambda has no artifacts: run `make build`")
    if "--update" in sys.argv:
        if missing := documented.keys() - built.keys():
            sys.exit(f"the table is made of one build, and target/lambda lacks {', '.join(sorted(missing))}: run `make sizes`")
        text = ROW.sub(lambda row: renewed(row, built), text)
        DOCUMENT.write_text(BUILD.sub(rf"\1`{build()}`", text))
        return
    print(f"{'artifact':<32}{'binary':>10}{'zip':>10}  {'documented':>10}")
    problems = []
    for name, (binary, zipped) in built.items():
        known = documented.get(name)
        goal = GOAL_WITH_KAFKA if name in WITH_KAFKA else GOAL
        remark = f"above {megabytes(goal)}" if zipped > goal else ""
        print(f"{name:<32}{megabytes(binary):>10}{megabytes(zipped):>10}  {megabytes(known) if known else '':>10}  {remark}".rstrip())
        if known and zipped > known * MAX_GROWTH:
            problems.append(f"{name}: its zip has {megabytes(zipped)} MB, docs/artifacts.md says {megabytes(known)}")
    sys.exit("\n".join(problems) or 0)


def build():
    """A number for all that decides how large artifacts are, but for our own code."""
    digest = hashlib.sha256()
    for name in ["Cargo.lock", "rust-toolchain.toml", "infra/tools/build-artifacts.sh", "infra/tools/pins/cargo-lambda.txt"]:
        digest.update((ROOT / name).read_bytes())
    for path in [ROOT / "Cargo.toml", *sorted(ROOT.glob("functions/*/Cargo.toml")), *sorted(ROOT.glob("shared/*/Cargo.toml"))]:
        manifest = tomllib.loads(path.read_text())
        # What only tests and development have.
        manifest.pop("dev-dependencies", None)
        manifest.get("profile", {}).pop("dev", None)
        digest.update(json.dumps(manifest, sort_keys=True).encode())
    return digest.hexdigest()[:16]


def sizes(path):
    content = path.read_bytes()
    return len(content), len(zlib.compress(content, 6))


def renewed(row, built):
    name, use, _, _ = row.groups()
    binary, zipped = built[name]
    return f"| `{name}` | {use} | {megabytes(binary)} | {megabytes(zipped)} |"


def megabytes(size):
    return f"{size / MEGABYTE:.1f}"


main()
