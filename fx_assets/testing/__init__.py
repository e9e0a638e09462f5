"""What a plug-in must do, as suites that anybody can run on their own.

``fx-assets prove NAME`` runs them from the command line, :func:`prove` from Python or a test.
"""

from __future__ import annotations

from fx_assets.testing.proving import Verdict, prove, verdicts_of
from fx_assets.testing.require import ContractError

__all__ = ["ContractError", "Verdict", "prove", "verdicts_of"]
