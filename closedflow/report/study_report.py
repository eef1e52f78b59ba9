"""The report of studies: the findings first, then a page for each study."""

from collections.abc import Sequence
from typing import Any

from closedflow.report.document import Document, Grid, Picture, Section, Text, Verdict
from closedflow.report.figures import svg
from closedflow.report.verdict_report import command
from closedflow.studies import HEIGHT, WIDTH, StudyReport, cell, effect


def study_report(studies: Sequence[StudyReport], arguments: Sequence[str]) -> Document:
    """The report of studies that were run.

    Args:
        studies: The studies.
        arguments: The command line.
    """
    first = studies[0].header
    header = {name: first[name] for name in ("scale", "data", "device", "versions")} | {"command": command(arguments)}
    rows = [
        (
            {"text": study.run.study.title, "link": study.run.study.kind},
            finding.says,
            Verdict(finding.verdict, effect(finding)),
        )
        for study in studies
        for finding in study.run.account.findings
    ]
    found = Section(
        "findings", "Findings", [Grid("Every claim, with the size of the effect", ("study", "claim", "verdict"), rows)]
    )
    return Document("closedflow: studies", header, [found, *map(study_section, studies)])


def study_section(study: StudyReport) -> Section:
    """A study's page."""
    account, described = study.run.account, study.run.study
    words = "; ".join(f"{finding.says}: {finding.verdict}, {effect(finding)}" for finding in account.findings)
    blocks: list[Any] = [
        Text(f"Claim: {described.claim} ({described.source})"),
        Text(f"Protocol: {described.protocol}", "note"),
        Picture(svg(study.run.draw, WIDTH, HEIGHT), words, described.title),
        Grid("Findings", ("claim", "verdict"), [(f.says, Verdict(f.verdict, effect(f))) for f in account.findings]),
        Grid("Measured", account.columns, [tuple(map(cell, row)) for row in account.rows]),
        *(Text(note, "note") for note in account.notes),
        Text(study.header["command"], "code"),
    ]
    return Section(described.kind, described.title, blocks)
