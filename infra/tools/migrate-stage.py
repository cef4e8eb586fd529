"""Brings a stage's database to the newest schema: invokes its Migrate function and waits for the outcome.

usage: .local/tools/aws-sam-cli/bin/python infra/tools/migrate-stage.py dev|staging|prod

`sam remote invoke` can't do this: it is content with an invocation whose function failed, and it asks again when the
answer takes longer than a minute, which starts a second run beside the first.
"""

import pathlib
import sys

import boto3
import botocore.exceptions
from botocore.config import Config
import tomlkit

# Longer than Migrate's own time-out in infra/areas/maintenance.yaml.
ANSWER_TIMEOUT_S = 330


def main(stage: str) -> int:
    settings = tomlkit.parse(pathlib.Path("samconfig.toml").read_text())[stage]
    common = settings["global"]["parameters"]
    session = boto3.Session(region_name=common["region"], profile_name=common.get("profile"))
    stack = settings["deploy"]["parameters"]["stack_name"]
    function = physical_name(session, stack)
    print(f"Migrating the database of {stack}", file=sys.stderr)
    answer = invoke(session, function)
    payload = answer["Payload"].read().decode()
    if answer.get("FunctionError"):
        print(f"The migration failed: {payload}\nThe new code is deployed and meets the old schema.", file=sys.stderr)
        return 1
    print(payload)
    return 0


def physical_name(session: boto3.Session, stack: str) -> str:
    """The function's name in AWS, an output of the root."""
    (description,) = session.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    (name,) = (output["OutputValue"] for output in description["Outputs"] if output["OutputKey"] == "MigrateFunction")
    return name


def invoke(session: boto3.Session, function: str) -> dict:
    # One attempt: the first one may still be at work when the second begins.
    patient = Config(read_timeout=ANSWER_TIMEOUT_S, tcp_keepalive=True, retries={"total_max_attempts": 1})
    return session.client("lambda", config=patient).invoke(FunctionName=function, Payload=b"{}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        sys.exit(main(sys.argv[1]))
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        sys.exit(f"The database was not migrated: {error}")
