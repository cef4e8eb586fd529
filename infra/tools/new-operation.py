#!/usr/bin/env python3
"""Makes the files and entries of a new operation, and says what is left to do.

usage: make operation AREA=trading NAME=list_holdings KIND=http-read [CONCEPT=holding] [ROUTE="GET /trading/holdings"]
KIND:  http-read, http-write, queue, schedule

What it makes builds, runs in the local cloud and passes the tests of the repository's rules; what it answers is made up.
A file that is there is never overwritten. The texts are in infra/tools/operation; docs/adding-an-operation.md explains
each place.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEXTS = ROOT / "infra/tools/operation"
KINDS = ("http-read", "http-write", "queue", "schedule")
# The loops of an area's template that each kind is listed in.
LOOPS = {"http-read": ["Routed"], "http-write": ["Routed"], "queue": ["Workers", "Queues"], "schedule": ["Jobs"]}


POLICIES = """\
      Policies:
        - Statement:
            - {Effect: Allow, Action: "rds-db:connect", Resource: !Ref DatabaseUserArn}
"""
USE_CASES = {"http-read": "Finder", "http-write": "Handler", "queue": "Handler", "schedule": "Job"}


def main() -> int:
    operation = Operation(arguments())
    if problems := list(missing(operation)):
        print("\n".join(problems), file=sys.stderr)
        return 2
    made = [
        *source(operation),
        template(operation),
        event(operation),
        *scenario(operation),
        *access(operation),
    ]
    # Modules and imports in their order.
    subprocess.run(["cargo", "fmt", "--package", operation.area, "--package", "end-to-end"], cwd=ROOT, check=True)
    print("\n".join(f"  {name}" for name in dict.fromkeys(made)))
    print(remaining(operation))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("area", choices=sorted(path.parent.name for path in ROOT.glob("functions/*/Cargo.toml")))
    parser.add_argument("name", type=snake_case)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--concept", type=snake_case)
    parser.add_argument("--route", type=route)
    given = parser.parse_args()
    if list(ROOT.glob(f"functions/*/src/bin/{given.name}.rs")):
        parser.error(f"there is an operation {given.name} already")
    return given


def snake_case(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", text) and not re.fullmatch(r"[a-z][a-z0-9]{2,}", text):
        raise argparse.ArgumentTypeError(f"{text}: write words like list_holdings")
    return text


def route(text: str) -> str:
    if not re.fullmatch(r"(GET|POST|PUT|PATCH|DELETE) /[a-z][a-z/-]*", text):
        raise argparse.ArgumentTypeError(f'{text}: write a route like "GET /trading/holdings"; add path parameters later')
    return text


def missing(operation: "Operation"):
    """What has to be there before anything is made, so that nothing is made by half."""
    text = operation.template.read_text()
    name = operation.template.relative_to(ROOT)
    for loop in LOOPS[operation.kind]:
        if f"Fn::ForEach::{loop}:" not in text:
            yield f"{name}: has no loop Fn::ForEach::{loop} yet; copy it from infra/areas/trading.yaml, with an empty list"
    if operation.kind == "queue" and "\n  Queues:\n" not in text:
        yield f"{name}: has no Mappings.Queues yet; see infra/areas/trading.yaml"
    if operation.kind == "schedule" and "\n  ScheduleFailuresArn:" not in text:
        yield f"{name}: takes no ScheduleFailuresArn yet; see infra/areas/trading.yaml and infra/template.yaml"
    if operation.folder.with_suffix(".rs").exists():
        yield f"{operation.folder.with_suffix('.rs').relative_to(ROOT)}: make it a folder, {operation.concept}/mod.rs, first"


def camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("_"))


class Operation:
    """What its parts are called."""

    def __init__(self, given: argparse.Namespace):
        self.area, self.name, self.kind = given.area, given.name, given.kind
        self.crate = self.area.replace("-", "_")
        self.type = camel_case(self.name)
        # What it is about: the name without its verb.
        self.subject = self.name.partition("_")[2] or self.name
        self.queue = camel_case(self.subject)
        self.concept = given.concept or re.sub(r"(?<=[^sui])s$", "", self.subject)
        self.folder = ROOT / "functions" / self.area / "src" / self.concept
        self.is_new_concept = not self.folder.exists()
        self.template = ROOT / "infra/areas" / f"{self.area}.yaml"
        self.is_http = self.kind.startswith("http")
        # Areas of services ask for a scope, the others for the profile of the app's user.
        self.is_scoped = f'AuthorizationScopes: [!Sub "${{JwtScopePrefix}}{self.area}"]' in self.template.read_text()
        self.method, self.path = (given.route or self.default_route()).split(" ", 1)

    def default_route(self) -> str:
        """Below the first part that most of the area's paths have."""
        firsts = re.findall(r'RouteKey: "?[A-Z]+ /([a-z-]+)', self.template.read_text())
        first = max(firsts, key=firsts.count, default=self.area)
        return f"{'GET' if self.kind == 'http-read' else 'POST'} /{first}/{self.subject.replace('_', '-')}"

    def globals(self) -> str:
        """The part of the template that every function of the area gets."""
        return self.template.read_text().partition("\nGlobals:\n")[2].partition("\nResources:\n")[0]

    def view_imports(self) -> str:
        """A use case shows its view as its own."""
        path = "" if self.is_new_concept else "super::"
        return f"\n{'mod view;' + chr(10) + chr(10) if self.is_new_concept else ''}pub use {path}view::{self.type}View;\n\n"

    def fill(self, text_name: str) -> str:
        words = self.name.replace("_", " ")
        profile = "let caller = call.identity.profile()?.get();"
        scope = f'call.identity.require_scope("{self.area}")?;\n        let caller = 1;'
        values = {
            "crate": self.crate,
            "name": self.name,
            "kebab-name": self.name.replace("_", "-"),
            "kebab": self.subject.replace("_", "-"),
            "Type": self.type,
            "Queue": self.queue,
            "concept": self.concept,
            "module": self.concept if self.is_new_concept else f"{self.concept}::{self.name}",
            "words": words,
            "Words": words.capitalize(),
            "METHOD": self.method,
            "Method": self.method.capitalize(),
            "PATH": self.path,
            "scopes": f', AuthorizationScopes: [!Sub "${{JwtScopePrefix}}{self.area}"]' if self.is_scoped else "",
            "policies": POLICIES if "DATABASE_HOST" in self.globals() else "",
            "view": self.view_imports(),
            "caller": scope if self.is_scoped else profile,
            "signed_in": f'let api = fixture.api(Some(json!({{ "scope": "{self.area}" }})))?;' if self.is_scoped
            else "let tester = fixture.customer().await?;\n    let api = &tester.api;",
            "owner": "1" if self.is_scoped else "tester.customer.profile_id",
            "json": "\nuse serde_json::json;" if self.is_scoped else "",
        }
        text = (TEXTS / f"{text_name}.in").read_text()
        return re.sub(r"@([A-Za-z_-]+)@", lambda found: values[found.group(1)], text)


def write(path: pathlib.Path, text: str) -> str:
    if path.exists():
        sys.exit(f"{path.relative_to(ROOT)} is there already; nothing more was made")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return f"made     {path.relative_to(ROOT)}"


def edit(path: pathlib.Path, pattern: str, change) -> str:
    """Changes the first place that fits."""
    text, count = re.subn(pattern, change, path.read_text(), count=1, flags=re.MULTILINE | re.DOTALL)
    if count != 1:
        return f"BY HAND  {path.relative_to(ROOT)}: no place fits {pattern!r}"
    path.write_text(text)
    return f"changed  {path.relative_to(ROOT)}"


def source(operation: Operation):
    """The binary, the use case, its view, and their places in the library."""
    area = operation.folder.parent
    yield write(area / f"bin/{operation.name}.rs", operation.fill(f"{operation.kind}.bin.rs"))
    library, module = area / "lib.rs", operation.folder / "mod.rs"
    use_case = operation.fill(f"{operation.kind}.use_case.rs")
    if operation.is_new_concept:
        yield write(module, use_case)
        yield edit(library, r"^(pub )?mod ", lambda found: f"pub mod {operation.concept};\n{found.group(0)}")
    else:
        yield write(operation.folder / f"{operation.name}.rs", use_case)
        yield edit(module, r"^(pub )?mod ", lambda found: f"pub mod {operation.name};\n{found.group(0)}")
    if operation.is_http:
        yield from view(operation)
    yield edit(library, r"^//! \|---[^\n]*\n(//! \|[^\n]*\n)*", lambda found: found.group(0) + row(operation, found.group(0)))


def view(operation: Operation):
    text, path = operation.fill(f"{operation.kind}.view.rs"), operation.folder / "view.rs"
    if path.exists():
        before, tests, after = path.read_text().partition("\n#[cfg(test)]\n")
        path.write_text(f"{before}\n{text}{tests}{after}")
        yield f"changed  {path.relative_to(ROOT)}"
        return
    yield write(path, f"//! What callers see of {operation.concept.replace('_', ' ')}.\n\n{text}")
    if not operation.is_new_concept:
        yield edit(operation.folder / "mod.rs", r"^(pub )?mod ", lambda found: f"mod view;\n{found.group(0)}")


def row(operation: Operation, table: str) -> str:
    """A line of the library's table of operations, which has two columns or three."""
    cells = [f"`{operation.name}`", f"[`{operation.concept}`]"]
    if table.partition("\n")[0].count("|") > 3:
        module = operation.concept if operation.is_new_concept else f"{operation.concept}::{operation.name}"
        cells.append(f"[`{module}::{operation.type}{USE_CASES[operation.kind]}`]")
    return f"//! | {' | '.join(cells)} |\n"


def template(operation: Operation) -> str:
    """The function before the loops, and its name in the loop that its kind belongs to."""
    text = operation.template.read_text()
    resources = operation.fill(f"{operation.kind}.yaml")
    first_loop = re.search(r"^(  #[^\n]*\n)+  Fn::ForEach", text, re.MULTILINE)
    text = text[:first_loop.start()] + resources + text[first_loop.start():]
    names = {"Queues": operation.queue}
    for loop in LOOPS[operation.kind]:
        text = listed_in(text, loop, names.get(loop, operation.type))
    if operation.kind == "queue":
        late = operation.fill("queue.mapping.yaml")
        text = re.sub(r"^  Queues:\n", lambda found: found.group(0) + late, text, count=1, flags=re.MULTILINE)
    operation.template.write_text(text)
    return f"changed  {operation.template.relative_to(ROOT)}"


def listed_in(text: str, loop: str, name: str) -> str:
    """The template with a name more in a loop's list."""
    def longer(found: re.Match) -> str:
        return f"{found.group(1)}{found.group(2)}{', ' if found.group(2) else ''}{name}]"

    return re.sub(rf"(Fn::ForEach::{loop}:\n    - \w+\n    - \[)([^\]]*)\]", longer, text, count=1)


def event(operation: Operation) -> str:
    """A real event, made from one that the area has of the same kind."""
    if operation.kind == "schedule":
        made = {"scheduled_time": "2026-11-20T05:30:00Z"}
    elif operation.kind == "queue":
        made = queue_event(operation)
    else:
        made = http_event(operation)
    return write(ROOT / f"events/{operation.name}.json", json.dumps(made, indent=2, ensure_ascii=False) + "\n")


def http_event(operation: Operation) -> dict:
    claim = "scope" if operation.is_scoped else "profile_id"
    made = pattern_event(operation, lambda event: claim in claims(event))
    key = f"{operation.method} {operation.path}"
    made["routeKey"], made["rawPath"], made["rawQueryString"] = key, operation.path, ""
    made["requestContext"]["routeKey"] = key
    made["requestContext"]["http"].update(method=operation.method, path=operation.path)
    for name in ("body", "pathParameters", "queryStringParameters"):
        made.pop(name, None)
    for name in ("content-length", "content-type", "idempotency-key"):
        made["headers"].pop(name, None)
    if operation.kind == "http-write":
        made["body"] = '{"amount_cents":100}'
        made["headers"].update({
            "content-length": str(len(made["body"])), "content-type": "application/json",
            "idempotency-key": "6f1d8b0e-58a0-4d0f-9d6a-0f6f0f7f2b11",
        })
    return made


def claims(event: dict) -> dict:
    return event.get("requestContext", {}).get("authorizer", {}).get("jwt", {}).get("claims", {})


def queue_event(operation: Operation) -> dict:
    made = pattern_event(operation, lambda event: "Records" in event and "receiptHandle" in event["Records"][0])
    record = made["Records"][0]
    data = {"id": "019aa367-8c9f-74ba-a4db-933bb6e48e3d", "type": f"{operation.subject.replace('_', '-')}.happened",
            "occurred_at": "2026-11-20T12:45:00Z", "key": "subject-1",
            "correlation_id": "019aa367-8c9f-74ba-a4db-933bb6e48e3d", "data": {"subject_id": 1}}
    record["body"] = json.dumps(data, separators=(",", ":"))
    record["md5OfBody"] = hashlib.md5(record["body"].encode()).hexdigest()
    arn = record["eventSourceARN"].rpartition(":")[0]
    record["eventSourceARN"] = f"{arn}:moneta-dev-{operation.subject.replace('_', '-')}"
    record["attributes"].pop("MessageGroupId", None)
    made["Records"] = [record]
    return made


def pattern_event(operation: Operation, fits) -> dict:
    own = sorted(path.stem for path in ROOT.glob(f"functions/{operation.area}/src/bin/*.rs"))
    every = sorted(path.stem for path in ROOT.glob("events/*.json"))
    for name in own + every:
        path = ROOT / f"events/{name}.json"
        if path.exists() and fits(made := json.loads(path.read_text())):
            return made
    sys.exit("no file of events/ can be taken as a pattern")


def scenario(operation: Operation):
    """A scenario of its own, and its place in the area's target."""
    folder = ROOT / "tests/scenarios" / operation.crate
    if not folder.exists():
        yield f"BY HAND  tests/scenarios/{operation.crate}: the area has no scenarios yet"
        return
    yield write(folder / f"{operation.name}.rs", operation.fill(f"{operation.kind}.scenario.rs"))
    yield edit(folder / "main.rs", r"^mod ", lambda found: f"mod {operation.name};\n{found.group(0)}")
    yield edit(folder / "main.rs", r"( +)(\w+::scenarios\(\),)", lambda found: f"{found.group(1)}{operation.name}::scenarios(),\n{found.group(0)}")


def access(operation: Operation):
    """A row in the matrix of who may call what."""
    if not operation.is_http:
        return
    if operation.is_scoped:
        yield f"BY HAND  tests/attacks/access/{operation.crate}.rs: a row for {operation.method} {operation.path}"
        return
    row = operation.fill(f"{operation.kind}.access.rs")
    yield edit(ROOT / "tests/attacks/access/app.rs", r"(const ROWS: &\[Row\] = &\[\n)", lambda found: found.group(1) + row)


def remaining(operation: Operation) -> str:
    steps = [
        f"the use case, its rule in shared/domain, its SQL in functions/{operation.area}/src/{operation.concept}/store.rs; then make sqlx",
        f"errors of its own in functions/{operation.area}/src/error.rs and docs/errors.md",
        f"variables, rights and time-out in infra/areas/{operation.area}.yaml",
    ]
    if operation.is_http:
        steps += [
            "what it says of itself (about()) and its path parameters; then make openapi and make graphql",
            "what strangers see, in tests/attacks/access; a new first part of a path also in "
            "tests/attacks/schemathesis/main.rs and infra/local/src/cli/graphql/scope.rs",
        ]
    if operation.kind == "queue":
        steps += ["who sends to the queue: the outbox (a destination, and the queue's address in infra/template.yaml) or another function"]
    if operation.kind == "schedule":
        steps += ["when it runs"]
    steps += [
        f"the scenario in tests/scenarios/{operation.crate}/{operation.name}.rs; kill points where money moves",
        f"functions/{operation.area}/README.md, CHANGELOG.md, and infra/RUNBOOK.md for what a person has to do",
    ]
    return "\nLeft to do:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, start=1))


if __name__ == "__main__":
    sys.exit(main())
