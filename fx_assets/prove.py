"""``fx-assets prove``: the contract and honesty suites on the terminal."""

from __future__ import annotations

from rich.console import Console

from fx_assets.testing.proving import named, verdicts_of


def prove_on_terminal(what: str) -> int:
    """Try every plug-in that a name stands for, and say what came of it.

    Returns
    -------
    int
        0, or 1 when a check failed.

    Raises
    ------
    SpecError
        There is no such plug-in, package or folder.
    """
    console = Console(highlight=False, soft_wrap=True)
    failed = 0
    for kind, name in named(what):
        console.print(f"[bold]{kind} {name}[/]")
        verdicts = []
        with console.status(name) as status:
            for verdict in verdicts_of(kind, name):
                status.update(f"{verdict.case}: {verdict.check}")
                verdicts.append(verdict)
        broken = [verdict for verdict in verdicts if not verdict.holds]
        for verdict in broken:
            console.print(f"  [red]FAILED[/] {verdict.case}: {verdict.check}")
            console.print(f"         {verdict.found}", markup=False)
        cases = dict.fromkeys(verdict.case for verdict in verdicts)
        kept = len(verdicts) - len(broken)
        console.print(f"  {kept} of {len(verdicts)} checks hold ({', '.join(cases)})")
        failed += len(broken)
    console.print(
        "Proved: it may be declared and trusted as ours are."
        if not failed
        else f"Not proved: {failed} check{'s' * (failed > 1)} failed. "
        "Each sentence above says what must be true."
    )
    return 1 if failed else 0
