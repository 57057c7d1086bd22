"""The document holds: whatever schemathesis sends to its operations, the server answers as the document says."""

import json
import os
import subprocess
from collections import Counter

import pytest
import yaml
from support import DOCUMENT, HERE, TOOLS

METHODS = {"get", "post", "patch", "put", "delete"}
OPERATIONS = {
    operation["operationId"]
    for path in yaml.safe_load(DOCUMENT.read_text())["paths"].values()
    for method, operation in path.items()
    if method in METHODS
}


@pytest.fixture(scope="module")
def run(server, tmp_path_factory):
    """What schemathesis said, and how often each operation was answered with which status and error code."""
    folder = tmp_path_factory.mktemp("schemathesis")
    (folder / "answers").touch()
    told = {"SERVER": server.http, "ACCESS_KEY": server.access_key, "ANSWERS": str(folder / "answers")}
    told = {f"CONTRACT_{name}": value for name, value in told.items()}
    ran = subprocess.run(
        [TOOLS / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run", DOCUMENT, "--url", server.http],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTHONHASHSEED": "0", **told},  # the same cases in every run
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    answers = Counter(tuple(json.loads(line)) for line in (folder / "answers").read_text().splitlines())
    return ran, answers


def test_no_answer_lies_outside_the_document(run):
    ran, answers = run

    print(f"{answers.total()} cases")
    for (operation, status, code), times in sorted(answers.items()):
        print(f"{times:6} {operation} {status} {code}")
    assert ran.returncode == 0, ran.stdout


def test_at_least_2000_cases_are_tried_and_no_operation_is_left_out(run):
    _, answers = run

    assert answers.total() >= 2000
    assert {operation for operation, *_ in answers} == OPERATIONS


def test_every_operation_also_succeeds(run):
    _, answers = run

    assert {operation for operation, status, _ in answers if status < 300} == OPERATIONS


def test_every_case_is_signed_as_it_is_sent(run):
    _, answers = run

    assert not [key for key in answers if key[2] == "Denied"]
