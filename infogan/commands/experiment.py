"""`infogan experiment`."""

from __future__ import annotations

import click

from infogan.commands.experiment_bound import bound
from infogan.commands.experiment_classifier import classifier
from infogan.commands.experiment_codes import codes
from infogan.commands.experiment_disentanglement import disentanglement
from infogan.commands.experiment_labelled import labelled
from infogan.commands.experiment_mutual_information import mutual_information
from infogan.commands.experiment_quality import quality


@click.group()
def experiment() -> None:
    """The paper's claims, measured: each ends in numbers, a table and figures.

    Runs are shared and kept: the same command once more goes on where it stopped. Results are result.json,
    table.md and pictures in the folder --out.

    \b
    Example: infogan experiment bound
    """


for command in (mutual_information, classifier, labelled, codes, quality, bound, disentanglement):
    experiment.add_command(command)
