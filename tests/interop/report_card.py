#!/usr/bin/env python3
"""Keeps docs/report-card.jsonl, a line of JSON for each cell, and makes docs/report-card.md of it.

Arguments: a file of new cells, which replace those of the same row, scenario and server; the date; the commit. `card` beside
this file calls it.
"""

import json
import re
import sys

CELLS = "docs/report-card.jsonl"
PAGE = "docs/report-card.md"
WIRE = "what_it_sends"
TABLES = {"clients": "Clients", "agents": "Agents and other programs"}
SECTIONS = {"stored": "What is stored", "refused": "What is refused", "trouble": "What goes wrong on the way"}

HEAD = """\
# Report card of real clients and agents

Unmodified programs against `sluice dev` {version}, and the same programs, records and faults against Apache Kafka 3.9.1, the
measure of what can be expected; after an outage Kafka takes some seconds to come back, Sluice a fraction of one. Made by `tests/interop/card`; not to be edited by hand. What the scenarios do is told in
[`tests/interop`](../tests/interop/README.md); the cells are lines of [`report-card.jsonl`](report-card.jsonl), each with its
date and commit.

Last run {date}. {counts}

| mark | means |
| --- | --- |
| = | as it should be, and as on Kafka |
| ✓ | as it should be; Kafka has nothing like it |
| ≠ | as it should be, and otherwise than on Kafka; the note says why |
| – | the program's own ways do not allow it; the note says why |
| ✗ | it failed; the note says how |
| ? | not tried; the note says why |

In CI (`.ci/run`) run on every change: {in_ci}. The others, and Kafka's side, run for this page only.
"""

SHOWN = """
## What a user reads

The program's own words where Sluice refuses, to search for.
"""

LETTERS = """
## What they send

A ApiVersions, H SaslHandshake (*raw*: followed by a bare token), S SaslAuthenticate, M Metadata, I InitProducerId, P Produce, each
with its version; m0, m1, m2: the message format. Seen by a relay between client and gateway, over every codec, with and without
idempotence. A client that logs in by *H0 raw* speaks the older of the two SASL dialects.
"""


def main():
    new, date, commit = sys.argv[1:]
    cells = {key(cell): cell for cell in read(CELLS)}
    for cell in read(new):
        cells[key(cell)] = cell | {"date": date, "commit": commit}
    ordered = sorted(cells.values(), key=lambda cell: (cell["table"], by_version(cell["row"]), cell["place"], cell["on"]))
    with open(CELLS, "w", encoding="utf-8") as file:
        for cell in ordered:
            print(json.dumps(cell, ensure_ascii=False, sort_keys=True), file=file)
    with open(PAGE, "w", encoding="utf-8") as file:
        Page(ordered, file).write()


def read(name):
    try:
        with open(name, encoding="utf-8") as file:
            return [json.loads(line) for line in file]
    except FileNotFoundError:
        return []


def key(cell):
    return cell["table"], cell["row"], cell["scenario"], cell["on"]


def by_version(row):
    name, _, version = row.rpartition("-")
    return name, [int(part) for part in version.split(".")]


class Page:
    def __init__(self, cells, file):
        self.cells = cells
        self.file = file
        self.notes = []
        self.marks = []

    def write(self):
        tables = [(table, section) for table in TABLES for section in SECTIONS]
        bodies = [self.table(table, section) for table, section in tables]
        print(self.head(), file=self.file)
        for (table, section), body in zip(tables, bodies):
            print(f"## {TABLES[table]}: {SECTIONS[section].lower()}\n\n{body}\n", file=self.file)
        print("## Notes\n", file=self.file)
        for at, text in enumerate(self.notes, 1):
            print(f"{at}. {text}", file=self.file)
        print(SHOWN, file=self.file)
        for table in TABLES:
            print(self.shown(table), file=self.file)
        print(LETTERS, file=self.file)
        print(self.wire(), file=self.file)

    def head(self):
        with open("Cargo.toml", encoding="utf-8") as file:
            version = next(line.split('"')[1] for line in file if line.startswith("version ="))
        return HEAD.format(
            version=version, date=max(cell["date"] for cell in self.cells), counts=self.counts(), in_ci=self.in_ci()
        )

    def counts(self):
        rows = {table: len(self.rows(table)) for table in TABLES}
        count = {mark: self.marks.count(mark) for mark in "=✓≠–✗?"}
        return (
            f"{rows['clients']} clients and {rows['agents']} agents, {len(self.marks)} cells: {count['=']} as on Kafka, {count['✓']} "
            f"good without a like on Kafka, {count['≠']} otherwise than on Kafka, {count['–']} not for that program, {count['✗']} failed, "
            f"{count['?']} not tried."
        )

    def in_ci(self):
        of_ci = [cell for cell in self.cells if cell["in_ci"] and cell["on"] == "sluice"]
        thorough = sorted({cell["row"] for cell in self.cells if cell["thorough"]}, key=by_version)
        slow = sorted({cell["row"] for cell in self.cells if cell["slow"]}, key=by_version)
        titles = {(cell["table"], cell["scenario"]): cell["title"] for cell in of_ci if not cell["thorough"]}
        return (
            f"{', '.join(thorough)} in every scenario; all others in {', '.join(f'*{title}*' for title in titles.values())}; but for "
            f"{', '.join(slow) or 'none'}, which take long to build"
        )

    def rows(self, table):
        return sorted({cell["row"] for cell in self.cells if cell["table"] == table}, key=by_version)

    def of(self, table, row, scenario):
        """Both servers' cells, or None."""
        found = {
            cell["on"]: cell for cell in self.cells
            if (cell["table"], cell["row"], cell["scenario"]) == (table, row, scenario)
        }
        return found.get("sluice"), found.get("kafka")

    def titles(self, table, section):
        """Scenario → title, in the order of the scenarios."""
        of_it = [cell for cell in self.cells if (cell["table"], cell["section"]) == (table, section)]
        of_it.sort(key=lambda cell: cell["place"])
        return {cell["scenario"]: cell["title"] for cell in of_it if cell["scenario"] != WIRE}

    def table(self, table, section):
        titles = self.titles(table, section)
        lines = [f"| | {' | '.join(titles.values())} |", f"| --- |{' :---: |' * len(titles)}"]
        for row in self.rows(table):
            marks = [self.mark(*self.of(table, row, scenario)) for scenario in titles]
            lines.append(f"| {row} | {' | '.join(marks)} |")
        return "\n".join(lines)

    def mark(self, sluice, kafka):
        if sluice is None:
            return ""
        mark, note = judged(sluice, kafka)
        self.marks.append(mark)
        if not note:
            return mark
        note = one_line(note)
        if note not in self.notes:
            self.notes.append(note)
        return f"{mark}<sup>{self.notes.index(note) + 1}</sup>"

    def shown(self, table):
        """For each refusal: words, and whose they are."""
        parts = []
        for scenario, title in self.titles(table, "refused").items():
            lines = {}
            for row in self.rows(table):
                cell = self.of(table, row, scenario)[0]
                if cell and cell["outcome"] in ("shown", "good") and cell["text"]:
                    lines.setdefault(alike(cell["text"]), (plain(cell["text"]), []))[1].append(row)
            body = "\n".join(f"| {text} | {', '.join(rows)} |" for text, rows in lines.values())
            parts.append(f"### {title[0].upper()}{title[1:]} ({table})\n\n| words | of |\n| --- | --- |\n{body}\n")
        return "\n".join(parts)

    def wire(self):
        lines = ["| client | library | sends |", "| --- | --- | --- |"]
        for cell in self.cells:
            if cell["scenario"] == WIRE:
                library, _, sends = cell["text"].partition(": ")
                lines.append(f"| {cell['row']} | {one_line(library)} | {one_line(sends).replace('; ', '<br>')} |")
        return "\n".join(lines)


def judged(sluice, kafka):
    """A cell's mark and its note, if there is something to say."""
    outcome, text = sluice["outcome"], plain(sluice["text"])
    if outcome == "other":
        return "–", text
    if outcome == "skipped":
        return "?", text
    if outcome == "bad":
        return "✗", text if sluice["alone"] else f"{text} On Kafka: {on_kafka(kafka)}"
    text = text if outcome == "good" else ""
    if sluice["alone"]:
        return "✓", text
    if kafka is None or kafka["outcome"] in ("skipped", "other"):
        return "?", "not tried on Kafka"
    if kafka["outcome"] == "bad":
        return "≠", f"{text or 'good'}; on Kafka it fails: {plain(kafka['text'])}"
    if alike(sluice["text"]) == alike(kafka["text"]):
        return "=", text
    why = f" Why: {sluice['differs']}." if sluice["differs"] else ""
    return "≠", f"{plain(sluice['text']) or 'nothing to note'}; on Kafka: {plain(kafka['text']) or 'nothing to note'}.{why}"


def on_kafka(kafka):
    if kafka is None:
        return "not tried."
    return f"{plain(kafka['text']) or 'good'}."


def alike(text):
    """Without what differs from run to run: times, ports, names of topics, counts, and whether an answer was lost."""
    if re.fullmatch(r"(some|\d+ of \d+) stored twice(: without idempotence.*)?", text):
        return ""
    text = re.sub(r"topic-\d+|test-logstore-1|no-such-logstore", "TOPIC", text)
    text = re.sub(r"/tmp/[^/]*/", "FOLDER", text)
    # What stands in front is cut where it is long.
    return re.sub(r"\d+", "0", one_line(text))[-100:]


def plain(text):
    return one_line(text)[:300]


def one_line(text):
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


main()
