#!/usr/bin/env python3
"""Tries the mutants that cargo-mutants lists of shared/domain, all of one build: infra/tools/mutants.sh calls it.

usage: mutants.py FOLDER OF     in a copy of the workspace that holds shared/domain alone. FOLDER has list.json, the mutants as
                                `cargo mutants --list --json` writes them, and gets outcomes.json; of the list, every OFth is tried

cargo-mutants builds each of them by itself, which takes hours. Here each function holds all its mutants, and a variable of the
environment says which of them runs (mutant schemata, they are called):

    fn is_open(&self) -> bool {
        match crate::mutant::chosen(7) {
            41 => { true }
            42 => { false }
            _ => { matches!(self, Status::Open | Status::Late) }
        }
    }

A mutant whose lines don't compile goes out. The tests run once to learn which of them come to which function; then each mutant
runs those, and one that they don't notice runs all. What has no function (a constant's value), what answers with a type that
has no name, and what a constant may have read when it was compiled is built by itself.
"""

import concurrent.futures
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import time

LIBRARY = pathlib.Path("shared/domain/src/lib.rs")
FOLDER = pathlib.Path("shared/domain")
# A mutant that has the processor for longer than this, or hangs for longer than that, never ends; the slowest tests take seconds.
PROCESSOR_SECONDS = 30
TIMEOUT = 600
# At most so many times one part of the compiler finds errors that the part before it hid.
MAX_ROUNDS = 20
# What a mutant breaks is found by the first bad case; looking for the smallest, and keeping it for others, only takes time.
QUIET = {"PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "true", "RUST_BACKTRACE": "0"}
# `const_eval_select` makes what a constant calls choose nothing, and what runs choose.
SWITCH = """
#[doc(hidden)]
pub mod mutant {
    use std::cell::RefCell;
    use std::collections::HashSet;
    use std::io::Write;
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<usize> = OnceLock::new();
    static REACHED: OnceLock<Option<String>> = OnceLock::new();
    thread_local! { static SEEN: RefCell<HashSet<usize>> = RefCell::default(); }

    pub const fn chosen(function: usize) -> usize {
        core::intrinsics::const_eval_select((function,), none, read)
    }

    const fn none(_function: usize) -> usize {
        0
    }

    fn read(function: usize) -> usize {
        if let Some(file) = REACHED.get_or_init(|| std::env::var("MUTANT_REACHED").ok()) {
            let new = SEEN.try_with(|seen| seen.borrow_mut().insert(function)).unwrap_or(true);
            if new {
                let line = format!("{function} {}\\n", std::thread::current().name().unwrap_or("?"));
                let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
                file.write_all(line.as_bytes()).unwrap();
            }
        }
        *CHOSEN.get_or_init(|| std::env::var("MUTANT").map_or(0, |number| number.parse().unwrap()))
    }
}
"""


def main():
    folder, of = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    listed = json.loads((folder / "list.json").read_text())
    mutants = [Mutant(number, each) for number, each in enumerate(listed, 1)][::of]
    sources = {file: pathlib.Path(file).read_text() for file in {mutant.file for mutant in mutants} | {str(LIBRARY)}}
    begun = time.monotonic()
    functions = together(mutants, sources)
    leave_out_what_does_not_compile(functions, sources)
    executables = build("--lib", "--tests")
    say(f"{len(mutants)} mutants in {len(functions)} functions, built after {time.monotonic() - begun:.0f} s")
    reached = learn(executables)
    waiting = [mutant for mutant in mutants if mutant.outcome is None and not mutant.alone]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(lambda mutant: attempt(mutant, executables, reached), waiting))
    say(f"tried {len(waiting)} of them after {time.monotonic() - begun:.0f} s")
    for mutant in mutants:
        if mutant.alone or (mutant.outcome == "missed" and mutant.in_constants):
            mutant.outcome = by_itself(mutant, sources)
    report(mutants, folder / "outcomes.json", time.monotonic() - begun)


class Mutant:
    """One change of one place."""

    def __init__(self, number, listed):
        self.number, self.name, self.file = number, listed["name"], listed["file"]
        self.span, self.replacement = listed["span"], listed["replacement"]
        self.function = listed["function"] and json.dumps(listed["function"]["span"], sort_keys=True)
        self.alone = self.function is None or "impl " in listed["function"]["return_type"]
        self.in_constants = False
        self.outcome = None
        # Lines of the file with all of them that are this one's.
        self.lines = range(0)


class Function:
    """A function and what is to be tried in it."""

    def __init__(self, number, file, source, span):
        self.number, self.file, self.mutants = number, file, []
        start, self.end = offset(source, span["start"]), offset(source, span["end"])
        self.open = body(source, start, self.end)
        self.const = "const fn" in source[start:self.open]


def together(mutants, sources):
    functions = {}
    for mutant in mutants:
        if mutant.alone:
            continue
        place = (mutant.file, mutant.function)
        if place not in functions:
            functions[place] = Function(len(functions) + 1, mutant.file, sources[mutant.file], json.loads(mutant.function))
        functions[place].mutants.append(mutant)
        mutant.in_constants = functions[place].const
        mutant.function = functions[place].number
    return list(functions.values())


def write(functions, sources):
    """The sources with every mutant that has no outcome yet."""
    for file, source in sources.items():
        text, at, line = [], 0, 1

        def add(part):
            nonlocal line
            text.append(part)
            line += part.count("\n")

        if file == str(LIBRARY):
            add("#![feature(core_intrinsics, const_eval_select)]\n#![allow(internal_features)]\n")
        for function in sorted((f for f in functions if f.file == file), key=lambda f: f.open):
            alive = [mutant for mutant in function.mutants if mutant.outcome is None]
            # A function within another one is tried in the outer one's body alone if that has mutants too.
            if not alive or function.open < at:
                for mutant in alive:
                    mutant.alone = True
                continue
            add(source[at:function.open + 1])
            add(f" match crate::mutant::chosen({function.number}) {{\n")
            for mutant in alive:
                begun = line
                start, end = offset(source, mutant.span["start"]), offset(source, mutant.span["end"])
                add(f"{mutant.number} => {{{source[function.open + 1:start]}{mutant.replacement}{source[end:function.end - 1]}\n}}\n")
                mutant.lines = range(begun, line)
            add(f"_ => {{{source[function.open + 1:function.end - 1]}\n}} }} }}")
            at = function.end
        add(source[at:])
        if file == str(LIBRARY):
            add(SWITCH)
        pathlib.Path(file).write_text("".join(text))


def leave_out_what_does_not_compile(functions, sources):
    for _ in range(MAX_ROUNDS):
        write(functions, sources)
        errors = list(compile_errors())
        if not errors:
            return
        found = 0
        for file, line, text in errors:
            for mutant in (mutant for function in functions if function.file == file for mutant in function.mutants):
                if mutant.outcome is None and line in mutant.lines:
                    mutant.outcome = "unviable"
                    found += 1
        if not found:
            sys.exit("an error is in no mutant:\n" + "\n".join(text for _, _, text in errors[:5]))
        say(f"{found} that don't compile")
    sys.exit(f"there are still errors after {MAX_ROUNDS} rounds")


def compile_errors():
    output = cargo("check", "--lib", "--tests", "--keep-going", "--message-format=json").stdout
    for message in map(json.loads, output.splitlines()):
        if message["reason"] != "compiler-message" or message["message"]["level"] != "error":
            continue
        for span in message["message"]["spans"]:
            if span["is_primary"]:
                while span["expansion"] and not span["file_name"].startswith(str(FOLDER)):
                    span = span["expansion"]["span"]
                yield span["file_name"], span["line_start"], message["message"]["rendered"]


def build(*selection):
    built = cargo("test", *selection, "--no-run", "--message-format=json")
    if built.returncode:
        return None
    messages = map(json.loads, built.stdout.splitlines())
    return [message["executable"] for message in messages if message.get("executable")]


def cargo(*arguments):
    # What the tests spend their time in.
    quick = [f"--config=profile.dev.package.{package}.opt-level=2" for package in ("proptest", "rust_decimal")]
    environment = os.environ | {"RUSTC_BOOTSTRAP": "domain", "RUSTFLAGS": "--cap-lints=allow"}
    command = ["cargo", *quick, *arguments, "--package", "domain", "--quiet"]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def learn(executables):
    """The tests that come to each function: {function: {executable: tests, or None for all of them}}."""
    reached = {}
    for executable in executables:
        file = pathlib.Path(f"{executable}.reached")
        file.unlink(missing_ok=True)
        if run(executable, ["--test-threads=2"], {"MUTANT_REACHED": str(file)}) != 0:
            sys.exit(f"{executable} fails without a mutant")
        for line in file.read_text().splitlines() if file.exists() else []:
            function, test = line.split(" ", 1)
            tests = reached.setdefault(int(function), {}).setdefault(executable, set())
            # A thread of a test's own has no name of a test's.
            tests.add(test if test not in ("?", "main") else None)
    return reached


def attempt(mutant, executables, reached):
    chosen = {"MUTANT": str(mutant.number)}
    for executable, tests in reached.get(mutant.function, {}).items():
        arguments = [] if None in tests else ["--exact", *sorted(tests)]
        mutant.outcome = outcome(run(executable, [*arguments, "--test-threads=1"], chosen))
        if mutant.outcome != "missed":
            return
    mutant.outcome = of_all(executables, chosen)


def of_all(executables, chosen):
    for executable in executables:
        found = outcome(run(executable, ["--test-threads=1"], chosen))
        if found != "missed":
            return found
    return "missed"


def outcome(code):
    return {0: "missed", None: "timeout", -signal.SIGXCPU: "timeout"}.get(code, "caught")


def limit_processor_time():
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR_SECONDS, PROCESSOR_SECONDS + 1))


def run(executable, arguments, environment):
    try:
        return subprocess.run(
            [executable, *arguments], env=os.environ | QUIET | environment, cwd=FOLDER, timeout=TIMEOUT,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=limit_processor_time,
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def by_itself(mutant, sources):
    for file, source in sources.items():
        if file == mutant.file:
            source = source[:offset(source, mutant.span["start"])] + mutant.replacement + source[offset(source, mutant.span["end"]):]
        pathlib.Path(file).write_text(source)
    # The tests beside the code first: they are one to link, and find most.
    for selection in ("--lib", "--tests"):
        executables = build(selection)
        found = of_all(executables, {}) if executables else "unviable"
        if found != "missed":
            return found
    return "missed"


def report(mutants, file, seconds):
    file.write_text(json.dumps({mutant.name: mutant.outcome for mutant in mutants}, indent=1))
    names = {kind: [mutant.name for mutant in mutants if mutant.outcome == kind] for kind in ("caught", "missed", "timeout", "unviable")}
    for kind in ("timeout", "missed"):
        for name in names[kind]:
            print(f"{kind}: {name}")
    print(f"{len(mutants)} mutants in {seconds:.0f} s: " + ", ".join(f"{len(of)} {kind}" for kind, of in names.items()))
    sys.exit(1 if names["missed"] else 0)


def offset(source, place):
    """Where a line and a column, both from one, are in a text."""
    at = 0
    for _ in range(place["line"] - 1):
        at = source.index("\n", at) + 1
    return at + place["column"] - 1


def body(source, at, end):
    """Where a function's body opens: the first brace that is in no bracket, text or comment."""
    depth = 0
    while at < end:
        if source.startswith("//", at):
            at = source.index("\n", at)
        elif source[at] == '"':
            at += 1
            while source[at] != '"':
                at += 2 if source[at] == "\\" else 1
        elif source[at] in "([":
            depth += 1
        elif source[at] in ")]":
            depth -= 1
        elif source[at] == "{" and depth == 0:
            return at
        at += 1
    sys.exit(f"no body: {source[at:end]}")


def say(text):
    print(text, file=sys.stderr, flush=True)


main()
