"""How a page looks: on paper, on a phone, by day and by night."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --card: #f6f7f9; --text: #1c1f24; --soft: #5b6370; --line: #d8dce2;
  --holds: #14743a; --fails: #b3201b; --warns: #8a5a00; --unknown: #6a3fb5; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #14171c; --card: #1e2229; --text: #e8eaee; --soft: #a3abb8; --line: #343a44;
  --holds: #58c883; --fails: #ff8079; --warns: #eab54d; --unknown: #b99bf5; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); overflow-wrap: anywhere;
  font: 1rem/1.45 system-ui, sans-serif; }
header, main { max-width: 90rem; margin: 0 auto; padding: 1rem; }
header { border-left: .5rem solid var(--state); }
header strong { color: var(--state); }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 1.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0; color: var(--state); }
header p, article p { margin: .25rem 0; }
code { font: .85em ui-monospace, monospace; color: var(--soft); }
article { background: var(--card); border-left: .3rem solid var(--state); border-radius: .25rem;
  padding: .6rem .8rem; margin: .6rem 0; }
dl { margin: .4rem 0 0; display: grid; grid-template-columns: max-content 1fr; gap: .15rem .8rem; }
dt { color: var(--soft); } dd { margin: 0; min-width: 0; }
ul { padding-left: 1.2rem; margin: 0; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .25rem; }
table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .3rem .5rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
td { white-space: nowrap; color: var(--state); }
th { font-weight: normal; } thead th { color: var(--soft); vertical-align: bottom; }
th[scope=row] { min-width: 10rem; max-width: 22rem; overflow-wrap: anywhere; }
tr.bad th[scope=row] { font-weight: 600; }
.area { background: var(--card); font-weight: 600; }
span { color: var(--state); margin-right: .8rem; white-space: nowrap; }
.holds { --state: var(--holds); } .fails { --state: var(--fails); }
.warns, .accepted { --state: var(--warns); } .unknown { --state: var(--unknown); }
.none { --state: var(--soft); }
footer { color: var(--soft); margin-top: 1.5rem; }
thead th:first-child, th[scope=row] { position: sticky; left: 0; background: var(--ground); }
@media print { .scroll { overflow: visible; border: 0; } article { break-inside: avoid; } }
"""
