"""`ccdnn-train lesion-limit`: how well the three inputs reveal a marrow lesion, with and without marrow for comparison."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("lesion-limit", help="measure how well the inputs reveal a marrow lesion to any network")
    parser.add_argument("cache", type=Path, help="slice cache of `ccdnn-train simulate`; its training subjects are used")
    parser.add_argument("--lesion", default="bone-marrow edema", help="region (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write, in addition to standard output")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from ccdnn.writing import require_writable, write_text
    from ccdnn_training.data.cache import SliceCache
    from ccdnn_training.evaluation.lesion_limit import contrast_by_view, markdown_table

    if options.output:
        require_writable(options.output)
    cache = SliceCache(options.cache)
    table = markdown_table(contrast_by_view(cache.part("train"), options.lesion), options.lesion)
    if options.output:
        command = shlex.join(["ccdnn-train", *sys.argv[1:]])
        about = "Mean ± SD over subjects unseen by the regressor; 1 is as acquired, 0 indistinguishable from marrow."
        write_text(f"{about}\n\nSubjects: `{cache.made_by}`.\n\nCommand: `{command}`\n\n{table}", options.output)
    print(table)
    return 0
