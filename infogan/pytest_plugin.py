"""Fixtures for a user's own pytest files: `gradcheck`, `gradgradcheck` and `check_vjp`, as in `minigrad`.

def test_my_operation(gradcheck):
    gradcheck(my_operation, mg.tensor(np.linspace(-1, 1, 5), requires_grad=True))

pytest imports this file in every session of every project beside which the distribution is installed. So it
stands here, under a package whose `__init__` imports nothing: `minigrad` loads NumPy, 0.4 s that only a test
which takes a fixture should pay.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from minigrad.gradcheck import Report


@pytest.fixture(scope="session")
def gradcheck() -> Callable[..., Report]:
    """minigrad.gradcheck(func, inputs): the gradient of a function of tensors, or a Module, entry by entry."""
    import minigrad as mg

    return _failing_at_the_test(mg.gradcheck)


@pytest.fixture(scope="session")
def gradgradcheck() -> Callable[..., Report]:
    """minigrad.gradgradcheck(func, inputs): its second derivatives."""
    import minigrad as mg

    return _failing_at_the_test(mg.gradgradcheck)


@pytest.fixture(scope="session")
def check_vjp() -> Callable[..., Report]:
    """minigrad.check_vjp(f, vjp, args): a forward and a backward function on plain arrays, whoever wrote them."""
    import minigrad as mg

    return _failing_at_the_test(mg.check_vjp)


def _failing_at_the_test(checker: Callable[..., Report]) -> Callable[..., Report]:
    """The checker, its failure shown at the test's own line and not inside the engine."""

    @wraps(checker)
    def check(*args: Any, raise_exception: bool = True, **options: Any) -> Report:
        __tracebackhide__ = True
        from minigrad.gradcheck import GradcheckError

        report = checker(*args, raise_exception=False, **options)
        if raise_exception and not report:
            raise GradcheckError(str(report))
        return report

    return check
