#!/usr/bin/env python3
"""Runs built test targets, three at a time, and says at the end where the time went and what failed.

usage: cargo test --no-run --message-format json-render-diagnostics … | infra/tools/run-tests.py

Three, since a scenario waits for longer than it computes: two targets leave a quarter of two cores idle, one more than half. Each
target has a local cloud of its own, on free ports. Each line begins with its target's name.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

AT_ONCE = 3
# They begin first, so that none of them runs alone at the end.
LONGEST = ["trading", "kill_points", "wallets", "hostile_input"]
SLOW = re.compile(r"^  slow: +(\d.*)$")
SLOWEST = 15

Target = collections.namedtuple("Target", "name executable folder")
Outcome = collections.namedtuple("Outcome", "target seconds status lines")


def main():
    waiting = collections.deque(sorted(built(sys.stdin), key=urgency))
    if not waiting:
        sys.exit("no test target was built")
    begun, count, outcomes = time.monotonic(), len(waiting), []
    lanes = [threading.Thread(target=lane, args=(waiting, outcomes, count), daemon=True) for _ in range(AT_ONCE)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join()
    print_times(outcomes, time.monotonic() - begun)
    failed = [outcome for outcome in outcomes if outcome.status != 0]
    print_failures(failed)
    print_names(failed)
    if failed or len(outcomes) < count:
        sys.exit(1)


def built(messages):
    """The test targets among cargo's messages."""
    for line in messages:
        message = json.loads(line)
        if message["reason"] != "compiler-artifact" or not message["executable"] or not message["profile"]["test"]:
            continue
        target = message["target"]
        name = target["name"] if "test" in target["kind"] else f"unit tests of {target['name']}"
        yield Target(name, message["executable"], pathlib.Path(message["manifest_path"]).parent)


def urgency(target):
    return (LONGEST.index(target.name) if target.name in LONGEST else len(LONGEST), target.name)


def lane(waiting, outcomes, count):
    while True:
        try:
            target = waiting.popleft()
        except IndexError:
            return
        outcomes.append(run(target))
        outcome = outcomes[-1]
        how = "passed" if outcome.status == 0 else "FAILED"
        print(f"== {target.name} {how} in {outcome.seconds:.1f} s; {len(outcomes)} of {count} targets", flush=True)


def run(target):
    begun, lines = time.monotonic(), []
    # As cargo starts it: in its package's folder.
    environment = {**os.environ, "CARGO_MANIFEST_DIR": str(target.folder)}
    command = {"cwd": target.folder, "env": environment, "stdin": subprocess.DEVNULL}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with subprocess.Popen([target.executable], **command, **pipes) as process:
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if lines[-1]:
                print(f"{target.name}: {lines[-1]}", flush=True)
    return Outcome(target, time.monotonic() - begun, process.returncode, lines)


def print_times(outcomes, seconds):
    print(f"\n== Where the time went ({seconds:.0f} s in all, {AT_ONCE} targets at a time)")
    for outcome in sorted(outcomes, key=lambda outcome: -outcome.seconds):
        if outcome.seconds >= 1:
            print(f"{outcome.seconds:8.1f} s  {outcome.target.name}")
    slow = [match[1] for outcome in outcomes for line in outcome.lines if (match := SLOW.match(line))]
    for line in sorted(slow, key=lambda line: -float(line.split()[0]))[:SLOWEST]:
        print(f"  {line}")


def print_failures(failed):
    """Again at the end, where they are found; all that a target said that died before it could say what failed."""
    for outcome in failed:
        print(f"\n== {outcome.target.name} failed, with {outcome.status}")
        inside, shown = False, False
        for line in outcome.lines:
            if line == "failures:":
                inside = not inside
            elif inside:
                shown = True
                print(line)
        if not shown:
            print("\n".join(outcome.lines[-50:]))


def print_names(failed):
    """Last of all, in a line each, for whoever sees only the end of a log."""
    for outcome in failed:
        last = len(outcome.lines) - outcome.lines[::-1].index("failures:") if "failures:" in outcome.lines else len(outcome.lines)
        names = [line.strip() for line in outcome.lines[last:] if line.startswith("    ")]
        print(f"FAILED: {outcome.target.name}: {', '.join(names) or f'ended with {outcome.status}'}")


main()
