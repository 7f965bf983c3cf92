"""`ccdnn-train study`: the studies, each with its own command."""

from __future__ import annotations

import argparse

from ccdnn_training.studies.comparison import cli as comparison
from ccdnn_training.studies.limits import cli as limits
from ccdnn_training.studies.readers import cli as readers
from ccdnn_training.studies.simulation import cli as simulation


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("study", help="the studies: simulation, comparison of methods, readers, limits of the method")
    studies = parser.add_subparsers(required=True, metavar="STUDY")
    for study in (simulation, comparison, readers, limits):
        study.add_parser(studies)
