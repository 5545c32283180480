"""What can go wrong and how a program ends then: one line, no traceback.

Every command ends with status 0 when done, 1 when a check failed or training diverged, 2 on bad usage or
input, 130 after Ctrl-C. The classes here carry that number; `infogan.cli.main` prints the line.
"""

from __future__ import annotations

from pathlib import Path

LONGEST = 1000
"""Characters of a message: what is given may be a whole file, and its two ends are enough."""


class InfoganError(Exception):
    """A failure that ends the program with `exit_status` and the one line `message`."""

    exit_status = 1

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        self.message = line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"
        super().__init__(self.message)


class InputError(InfoganError):
    """What was given cannot be used: the line names the file or field, what is wrong, what would be right."""

    exit_status = 2


class Diverged(InfoganError):
    """Training met a number that is not finite at `step`; `checkpoint` is the last good one, or `None`."""

    exit_status = 1

    def __init__(self, operation: str, step: int, checkpoint: Path | None) -> None:
        self.operation, self.step, self.checkpoint = operation, step, checkpoint
        kept = f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint had been written"
        super().__init__(f"training diverged at update {step}: {operation}; {kept}; a lower learning rate may help")


class Interrupted(InfoganError):
    """Ctrl-C, after the checkpoint it asked for was written."""

    exit_status = 130
