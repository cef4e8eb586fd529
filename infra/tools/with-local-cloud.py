"""Runs a command, `sam local invoke …`, while a function's container can use the running local cloud.

usage: .local/tools/aws-sam-cli/bin/python infra/tools/with-local-cloud.py OPERATION LOGICAL_ID BRIDGE COMMAND…

The deployed template names what exists only in AWS. The local cloud says what it gives the function instead; with
that in its place a template of this one function is written to .local/sam/template.yaml. A container can't reach the
machine's 127.0.0.1, where everything listens, so while the command runs those ports are also open on BRIDGE, Docker's
address of this machine.
"""

import asyncio
import json
import os
import pathlib
import re
import sys
import tomllib
import urllib.error
import urllib.request

from samcli.yamlhelper import yaml_parse

LOOPBACK = re.compile(r"(?:127\.0\.0\.1|localhost):(\d+)")
# As far from the folder target as infra/areas is, so that the function's relative path stays right.
DERIVED = pathlib.Path(".local/sam/template.yaml")


async def main(operation: str, logical_id: str, bridge: str, *command: str) -> int:
    local = json.dumps(local_variables(operation))
    for port in set(LOOPBACK.findall(local)):
        await open_on(bridge, int(port))
    variables = json.loads(LOOPBACK.sub(rf"{bridge}:\1", local))
    write_template(logical_id, variables)
    process = await asyncio.create_subprocess_exec(*command, env=environment(variables))
    return await process.wait()


def local_variables(operation: str) -> dict[str, str]:
    url = pathlib.Path(".local/cloud/url").read_text().strip()
    try:
        with urllib.request.urlopen(f"{url}/local/functions/{operation}/environment", timeout=10) as answer:
            variables = json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"sam-local: the local cloud answers {error.read().decode() or error}")
    # Over HTTP it comes without its password.
    if "DATABASE_URL" in variables:
        # Every user has the owner's password.
        owner = pathlib.Path(".local/cloud/database-url").read_text().strip()
        user = variables["DATABASE_URL"].split("://")[1].split("@")[0]
        variables["DATABASE_URL"] = re.sub(r"://[^:@]*", f"://{user}", owner, count=1)
    return variables


async def open_on(bridge: str, port: int) -> None:
    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))
        inner_writer.close()
        writer.close()

    try:
        await asyncio.start_server(forward, bridge, port)
    except OSError as error:
        sys.exit(f"sam-local: {error.strerror}; only one sam-invoke can run at a time")


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        # The other direction notices as well.
        writer.close()


def write_template(logical_id: str, variables: dict[str, str]) -> None:
    stack = stack_of(logical_id)
    function = stack["Resources"][logical_id]
    function["Properties"]["Environment"] = {"Variables": variables}
    # These name the database and the log group of AWS.
    own = {name: value for name, value in stack["Globals"]["Function"].items() if name not in ("Environment", "LoggingConfig")}
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Parameters": stack["Parameters"],
        "Globals": {"Function": own},
        "Resources": {logical_id: function},
    }
    # JSON is YAML. There is a key among the values, for development only but still.
    DERIVED.parent.mkdir(parents=True, exist_ok=True)
    DERIVED.touch(mode=0o600)
    DERIVED.write_text(json.dumps(template, indent=1, default=str))


def stack_of(logical_id: str) -> dict:
    """The area's template that has the function."""
    for path in sorted(pathlib.Path("infra/areas").glob("*.yaml")):
        stack = yaml_parse(path.read_text())
        if logical_id in stack["Resources"]:
            return stack
    sys.exit(f"sam-local: no file of infra/areas has {logical_id}")


def environment(variables: dict[str, str]) -> dict[str, str]:
    """The command's own: sam would prefer the caller's values of the function's variables, and hand on the caller's
    credentials for AWS."""
    own = {name: value for name, value in os.environ.items() if name not in variables and not name.startswith("AWS_")}
    nobody = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": region()}
    return own | nobody


def region() -> str:
    """The one that the local cloud is in."""
    settings = tomllib.loads(pathlib.Path("samconfig.toml").read_text())
    return settings["dev"]["global"]["parameters"]["region"]


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except KeyboardInterrupt:
        sys.exit(130)
