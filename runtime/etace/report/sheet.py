"""The page's style sheet."""

SHEET = """
:root { --paper: #fbfbfa; --card: #fff; --ink: #1c2026; --soft: #5d6673; --rule: #d4d8de;
  --band: #f1f3f5; --mark: #d1603d; --mild: #fdf3ee;
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171b; --card: #1b1f25; --ink: #e4e7eb;
  --soft: #99a2ae; --rule: #3a414b; --band: #232830; --mark: #ec8561; --mild: #2d221d; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--font); }
header, main, footer, nav { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { font-size: 27px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; }
header p { margin: 0; color: var(--soft); }
nav { position: sticky; top: 0; z-index: 1; background: var(--paper); padding-top: 14px;
  padding-bottom: 10px; display: flex; flex-wrap: wrap; gap: 4px 18px;
  border-bottom: 1px solid var(--rule); font-size: 13.5px; }
nav a { color: var(--soft); text-decoration: none; }
nav a:hover { color: var(--mark); }
h2 { font-size: 18px; margin: 0 0 14px; }
h3 { font-size: 14px; margin: 18px 0 6px; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 20px 24px; margin: 20px 0; scroll-margin-top: 60px; }
section > p, figcaption { color: var(--soft); font-size: 13px; margin: 10px 0 0; }
.warnings { margin: 20px 0 0; padding: 12px 18px 12px 36px; background: var(--mild);
  border-left: 4px solid var(--mark); border-radius: 6px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin: 20px 0 0; }
.tiles div { background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 12px 16px; }
.tiles b { font-size: 23px; font-variant-numeric: tabular-nums; }
.tiles i { font-style: normal; color: var(--soft); font-size: 13px; }
.tiles span { display: block; color: var(--soft); font-size: 13px; }
.warnings summary { cursor: pointer; }
.warnings details ul { padding-left: 18px; }
.remarks { margin: 10px 0 0; padding-left: 20px; font-size: 13.5px; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.below { margin-top: 14px; }
table { border-collapse: collapse; font-size: 13.5px; font-variant-numeric: tabular-nums; }
.card th { text-align: left; font-weight: 600; color: var(--soft); vertical-align: top;
  padding: 3px 22px 3px 0; white-space: nowrap; }
.card td { padding: 3px 0; overflow-wrap: anywhere; white-space: pre-line; }
.errors { width: 100%; }
.errors th, .errors td { padding: 4px 9px; text-align: right; white-space: nowrap; }
.errors thead th { color: var(--soft); font-weight: 600; text-align: center; font-size: 12.5px; }
.errors thead tr:last-child th { text-align: right; font-weight: 400;
  border-bottom: 1px solid var(--rule); }
.errors thead tr:first-child th:first-child { text-align: left; vertical-align: bottom;
  border-bottom: 1px solid var(--rule); }
.errors tbody th { text-align: left; font-weight: 500; white-space: normal;
  overflow-wrap: anywhere; min-width: 110px; }
.errors tbody tr:nth-child(even) { background: var(--band); }
.errors .mae { color: var(--soft); }
.errors .main { font-weight: 600; }
.errors .total th, .errors .total td { border-top: 1px solid var(--rule); font-weight: 700; }
figure { margin: 0; }
figure div { margin: 0 auto; }
figure svg * { stroke-linejoin: round; stroke-linecap: butt; }
figure svg { display: block; width: 100%; height: auto; }
pre { margin: 0; padding: 14px 16px; background: var(--band); border-radius: 6px; overflow-x: auto;
  font: 12.5px/1.5 var(--mono); }
footer { color: var(--soft); font-size: 12.5px; padding-top: 4px; padding-bottom: 40px; }
@media (max-width: 640px) { header, main, footer, nav { padding-left: 12px; padding-right: 12px; }
  section { padding: 14px 12px; } nav { position: static; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .errors { font-size: 12px; } .errors th, .errors td { padding: 4px 5px; }
  .errors tbody th { min-width: 72px; }
  .card th { white-space: normal; padding-right: 12px; min-width: 84px; }
  figure .wide > div { min-width: 560px; } }
@media print { :root { --paper: #fff; --card: #fff; --ink: #111; --soft: #555; --rule: #ccc;
    --band: #f4f4f4; --mark: #b0482a; --mild: #fff; }
  @page { margin: 14mm; }
  body { font-size: 11px; } nav { display: none; }
  header, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  section { border: 0; padding: 0; margin: 18px 0; }
  table { font-size: 9.5px; } .errors th, .errors td { padding: 2px 4px; }
  .wide { overflow: visible; } figure .wide > div { min-width: 0; } pre { white-space: pre-wrap; font-size: 9px; }
  h2 { break-after: avoid; } figure, .tiles, tr { break-inside: avoid; } }
"""
