#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Holds what `cargo xtask ci render` made against what its engines say of themselves.

Give the folder. LAVA jobs are read with LAVA's own schema (Debian's package lava-common), plans
with TuxSuite's (tuxsuite of the Python package index), command lines with tuxrun's own parser
(tuxrun of the same). What is not installed is said to be skipped. Ends with 1 if anything is wrong.
"""

import pathlib
import shlex
import sys

if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
    sys.exit("usage: validate.py FOLDER, which `cargo xtask ci render --output FOLDER` made")
FOLDER = pathlib.Path(sys.argv[1])
# Where Debian has the modules of its packages, which a virtual environment does not look at.
DEBIAN = "/usr/lib/python3/dist-packages"


def yaml(path):
    import yaml

    return yaml.safe_load(path.read_text())


def lava(path):
    if DEBIAN not in sys.path and pathlib.Path(DEBIAN).is_dir():
        sys.path.append(DEBIAN)
    from lava_common.schemas import validate

    validate(yaml(path))


def tuxsuite(path):
    import attr
    from tuxsuite.build import Test
    from tuxsuite.schema import plan

    # The schema lets a test have any field; what is made of it has these.
    known = {field.name for field in attr.fields(Test)}
    for job in plan()(yaml(path))["jobs"]:
        fields = set(job["test"])
        if fields - known or not {"device", "kernel", "commands"} <= fields:
            raise ValueError(f"{job['name']}: a test has {', '.join(sorted(fields))}")


def tuxrun(path):
    from tuxrun.argparse import setup_parser

    lines = [shlex.split(line, comments=True) for line in path.read_text().splitlines()]
    commands = [line[1:] for line in lines if line[:2] == ["step", "tuxrun"]]
    if not commands:
        raise ValueError("no command line of tuxrun's in it")
    for command in commands:
        options = setup_parser().parse_args(command[1:])
        if not options.device or not options.kernel or not options.commands:
            raise ValueError("tuxrun would do nothing")


CHECKS = [("lava-*.yaml", lava, "lava-common"), ("tuxsuite-*.yaml", tuxsuite, "tuxsuite"), ("tuxrun-*.sh", tuxrun, "tuxrun")]


def main():
    wrong = 0
    for pattern, check, package in CHECKS:
        paths = sorted(FOLDER.glob(pattern))
        if not paths:
            print(f"wrong: there is no {pattern}")
            wrong += 1
        for path in paths:
            try:
                check(path)
                print(f"valid: {path.name}")
            except ImportError as error:
                print(f"skipped: {path.name}: needs {package} ({error.name})")
            except SystemExit:
                print(f"wrong: {path.name}: a command line that tuxrun does not take")
                wrong += 1
            except Exception as error:
                print(f"wrong: {path.name}: {error}")
                wrong += 1
    sys.exit(1 if wrong else 0)


main()
