"""The public face: few names, all lazy, and functions that stay functions."""

from __future__ import annotations

import inspect
import subprocess
import sys
from types import ModuleType

import pytest

import lorafusion as lf


def test_at_most_fifteen_names_and_all_are_there() -> None:
    assert len([name for name in lf.__all__ if name != "__version__"]) <= 15
    assert len(set(lf.__all__)) == len(lf.__all__)
    for name in lf.__all__:
        assert getattr(lf, name) is not None
        assert name in dir(lf)


def test_public_things_are_documented() -> None:
    for name in lf.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(lf, name)), name


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        lf.paint  # noqa: B018  the access is the test


ORDERS = [
    "import lorafusion.plan, lorafusion.generate",
    "import lorafusion.generate, lorafusion.plan",
    "import lorafusion as lf; lf.plan; lf.generate; import lorafusion.plan, lorafusion.generate",
    "from lorafusion.plan import Plan; from lorafusion.generate import Result",
    "import importlib; [importlib.import_module('lorafusion.' + n) for n in ('plan', 'generate')]",
]


@pytest.mark.parametrize("imports", ORDERS)
def test_functions_are_not_shadowed_by_modules_of_their_name(imports: str) -> None:
    script = f"""
{imports}
import sys, types
import lorafusion as lf
from lorafusion import generate, plan
from lorafusion.plan import Plan
from lorafusion.generate import Result
assert isinstance(lf.plan, types.FunctionType) and lf.plan is plan, lf.plan
assert isinstance(lf.generate, types.FunctionType) and lf.generate is generate, lf.generate
assert Plan is lf.Plan and sys.modules["lorafusion.plan"].Plan is Plan
import pickle
assert pickle.loads(pickle.dumps(Plan)) is Plan
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True)


def test_public_functions_can_be_replaced_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    def fake() -> None: ...

    monkeypatch.setattr(lf, "generate", fake)
    assert lf.generate is fake


def test_modules_among_the_names_are_modules() -> None:
    assert isinstance(lf.errors, ModuleType)
    assert isinstance(lf.pocket, ModuleType)
