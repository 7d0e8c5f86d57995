#!/usr/bin/env python3
"""Write the reference pages, one per public module, from signatures and docstrings.

    python tools/docs.py [--out docs/site]

The pages are plain HTML without scripts. The hand-written guides in docs/*.md are linked from the index as they are.
"""

import argparse
import html
import importlib
import inspect
import shutil
import sys
import types
import warnings
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
MODULES = """
    torch torch.amp torch.autograd torch.autograd.functional torch.compiler torch.cuda torch.distributions torch.fft
    torch.func torch.futures torch.linalg torch.masked torch.nn torch.nn.functional torch.nn.init torch.nn.utils
    torch.nn.utils.rnn torch.optim torch.optim.lr_scheduler torch.overrides torch.random torch.serialization
    torch.signal.windows torch.special torch.testing torch.utils torch.utils.checkpoint torch.utils.data
""".split()
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
dt { font-family: ui-monospace, monospace; font-weight: 600; margin-top: 1.5rem; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: #f6f6f6; padding: .75rem; }
a { color: #06c; text-decoration: none; }
nav { columns: 4 11rem; font-family: ui-monospace, monospace; font-size: .85rem; }
"""


def public_names(module: types.ModuleType) -> list[str]:
    """Return the names that a module documents: its __all__, else what it defines without a leading underscore."""
    listed = getattr(module, "__all__", None)
    if listed is None:
        listed = [name for name, item in vars(module).items() if not isinstance(item, types.ModuleType)]
    return sorted(name for name in set(listed) if not name.startswith("_"))


def heading(name: str, item) -> str:
    """Return a name with its signature where it can be told."""
    if not callable(item):
        return html.escape(f"{name}: {type(item).__name__}")
    try:
        text = str(inspect.signature(item))
    except (TypeError, ValueError):
        text = "(...)"
    return html.escape(("class " if isinstance(item, type) else "") + name + text)


def entry(name: str, item, anchor: str) -> str:
    documented = callable(item) or isinstance(item, property)
    doc = html.escape(inspect.getdoc(item) or "") if documented else ""
    body = f"<pre>{doc}</pre>" if doc else ""
    return f'<dt id="{anchor}">{heading(name, item)}</dt><dd>{body}{methods(item, anchor)}</dd>'


def methods(item, anchor: str) -> str:
    """Return the public methods that a class itself defines."""
    if not isinstance(item, type):
        return ""
    with warnings.catch_warnings(action="ignore"):
        own = {name: getattr(item, name, None) for name in vars(item) if not name.startswith("_")}
    rows = [entry(name, member, f"{anchor}.{name}") for name, member in sorted(own.items()) if callable(member)]
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def page(title: str, body: str) -> str:
    top = '<p><a href="index.html">Tabula reference</a></p>' if title != "Tabula reference" else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style>{top}<h1>{html.escape(title)}</h1>{body}</html>\n"
    )


def module_page(name: str) -> tuple[str, int, int]:
    """Return the page of a module, and how many names it has and how many of those are documented."""
    module = importlib.import_module(name)
    names = [n for n in public_names(module) if hasattr(module, n)]
    links = "".join(f'<div><a href="#{n}">{n}</a></div>' for n in names)
    entries = "".join(entry(n, getattr(module, n), n) for n in names)
    intro = f"<pre>{html.escape(inspect.getdoc(module) or '')}</pre>"
    documented = sum(bool(inspect.getdoc(getattr(module, n))) for n in names)
    return page(name, f"{intro}<nav>{links}</nav><dl>{entries}</dl>"), len(names), documented


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "docs/site")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in MODULES:
        try:
            text, names, documented = module_page(name)
        except ModuleNotFoundError as missing:
            print(f"{name}: skipped ({missing})")
            continue
        (out / f"{name}.html").write_text(text, encoding="utf-8")
        rows.append(f'<tr><td><a href="{name}.html">{name}</a></td><td>{documented} of {names} documented</td></tr>')
    guides = sorted((ROOT / "docs").glob("*.md"))
    for guide in guides:
        shutil.copy(guide, out)
    items = "".join(f'<li><a href="{guide.name}">{guide.stem}</a></li>' for guide in guides)
    body = f"<p>torch {html.escape(torch.__version__)}</p><table>{''.join(rows)}</table><ul>{items}</ul>"
    (out / "index.html").write_text(page("Tabula reference", body), encoding="utf-8")
    print(f"{out}: {len(rows)} modules, {len(guides)} guides")
    return 0


if __name__ == "__main__":
    sys.exit(main())
