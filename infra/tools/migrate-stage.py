"""Brings a stage's database to the newest schema: invokes its Migrate function and waits for the outcome.

usage: .local/tools/aws-sam-cli/bin/python infra/tools/migrate-stage.py dev|staging|prod [--with BOOTSTRAP]

With a built bootstrap the function gets that code first, and a stage that was never deployed is left alone.

`sam remote invoke` can't do this: it is content with an invocation whose function failed, and it asks again when the
answer takes longer than a minute, which starts a second run beside the first.
"""

import argparse
import io
import pathlib
import sys
import zipfile

import boto3
import botocore.exceptions
from botocore.config import Config
import tomlkit

# Longer than Migrate's own time-out in infra/areas/maintenance.yaml.
ANSWER_TIMEOUT_S = 330


def main(stage: str, bootstrap: pathlib.Path | None) -> int:
    settings = tomlkit.parse(pathlib.Path("samconfig.toml").read_text())[stage]
    common = settings["global"]["parameters"]
    session = boto3.Session(region_name=common["region"], profile_name=common.get("profile"))
    stack = settings["deploy"]["parameters"]["stack_name"]
    function = physical_name(session, stack)
    if function is None and bootstrap is not None:
        print(f"{stack} isn't deployed yet: its database is migrated after the deploy", file=sys.stderr)
        return 0
    if function is None:
        print(f"{stack} has no Migrate function: the deploy didn't go through", file=sys.stderr)
        return 1
    if bootstrap is not None:
        print(f"Giving the Migrate function of {stack} the new migrations", file=sys.stderr)
        give_code(session, function, bootstrap, architecture(settings))
    print(f"Migrating the database of {stack}", file=sys.stderr)
    answer = invoke(session, function)
    payload = answer["Payload"].read().decode()
    if answer.get("FunctionError"):
        print(f"The migration failed: {payload}", file=sys.stderr)
        print("The release before is still deployed." if bootstrap else "The new code is deployed.", file=sys.stderr)
        return 1
    print(payload)
    return 0


def physical_name(session: boto3.Session, stack: str) -> str | None:
    """The function's name in AWS, an output of the root; none before the first deploy that went through."""
    try:
        (description,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description.get("Outputs", [])}
    return outputs.get("MigrateFunction")


def architecture(settings: dict) -> str:
    """What the artifacts were built for; a deploy may be the one that changes it."""
    overrides = dict(pair.split("=", 1) for pair in settings["deploy"]["parameters"]["parameter_overrides"])
    return overrides["Architecture"]


def give_code(session: boto3.Session, function: str, bootstrap: pathlib.Path, built_for: str) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, bootstrap.read_bytes(), zipfile.ZIP_DEFLATED)
    client = session.client("lambda")
    client.update_function_code(FunctionName=function, ZipFile=package.getvalue(), Architectures=[built_for])
    client.get_waiter("function_updated_v2").wait(FunctionName=function)


def invoke(session: boto3.Session, function: str) -> dict:
    # One attempt: the first one may still be at work when the second begins.
    patient = Config(read_timeout=ANSWER_TIMEOUT_S, tcp_keepalive=True, retries={"total_max_attempts": 1})
    return session.client("lambda", config=patient).invoke(FunctionName=function, Payload=b"{}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("stage")
    parser.add_argument("--with", dest="bootstrap", type=pathlib.Path)
    arguments = parser.parse_args()
    try:
        sys.exit(main(arguments.stage, arguments.bootstrap))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        sys.exit(f"The database was not migrated: {error}")
