"""The words by which reports of chest X-rays name findings: one table, read by zoo.evaluation.generated.findings.

All patterns are regular expressions over lower-case text; HEART, BIG, EDGE and GAP are parts of patterns.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Value(IntEnum):
    """What a report says of a finding. Of several mentions the one with the highest number stands."""

    UNMENTIONED = -1
    NEGATIVE = 0
    UNCERTAIN = 1
    POSITIVE = 2


@dataclass(frozen=True)
class Rule:
    """One way to mention a finding.

    Attributes:
        finding: one of FINDINGS, or OTHER.
        pattern: regular expression of a mention. Where it has a group ``key``, negation and doubt before that group
            count, those within the mention included.
        value: of a mention that is neither negated nor in doubt. A pattern of NEGATIVE value is a statement that all
            is well, such as that of a normal heart, which cues around it do not change.
        unless: regular expression of longer phrases that are no mention, such as a pericardial effusion.
    """

    finding: str
    pattern: str
    value: Value = Value.POSITIVE
    unless: str = ""


FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Opacity",
    "Lesion",
    "Pneumonia",
    "Pneumothorax",
    "Granuloma",
    "Emphysema",
    "Device",
    "Normal",
)
NORMAL, OTHER = "Normal", "Other"
"""Normal follows from all others; OTHER is any further abnormality, which no report that has one is normal with."""
IMPLIES = {"Consolidation": "Opacity"}
"""A positive finding -> one that is then positive as well."""

HEART = r"(?:heart|cardiac|cardio-?mediastinal|cardiopericardial)(?: (?:size|silhouette|shadow|contours?))*"
BIG = r"(?:enlarged|enlargement|large|prominent|increased in size|dilated)"
EDGE = r"(?:borderline|(?:upper|top|high) limits? (?:of )?normal|(?:top|high|upper)[- ]normal)"
GAP = r"(?:[ ,]+(?!but\b|however\b|with\b|without\b)[\w'/-]+){0,%d}?[ ,]+"
"""Up to so many words between two parts of a pattern."""

RULES = (
    Rule("Atelectasis", r"\batelecta\w+"),
    Rule("Atelectasis", r"\bvolume loss\b|\bloss of volume\b|\b(?:lobe|lobar|lung) collapse\b"),
    Rule("Atelectasis", r"\bcollapse of (?:the )?(?:\w+ ){0,2}(?:lobe|lung)\b"),
    Rule("Cardiomegaly", r"\bcardiomegaly\b|\bcardiac enlargement\b|\bincreased? (?:in )?(?:heart|cardiac) size\b"),
    Rule("Cardiomegaly", rf"\b{HEART}{GAP % 6}(?P<key>{BIG})\b"),
    Rule("Cardiomegaly", rf"\b{BIG} (?:of )?(?:the )?(?:{HEART})\b"),
    Rule("Cardiomegaly", rf"\b{HEART}{GAP % 6}(?P<key>{EDGE})\b|\b{EDGE} (?:{HEART})\b", Value.UNCERTAIN),
    Rule(
        "Cardiomegaly",
        rf"\b{HEART}{GAP % 10}(?P<key>normal|unremarkable)\b",
        Value.NEGATIVE,
        unless=rf"{EDGE}|\bnot (?:\w+ )?normal",
    ),
    Rule("Cardiomegaly", rf"\bnormal (?:{HEART})\b", Value.NEGATIVE, unless=EDGE),
    Rule("Consolidation", r"\bconsolidat\w+"),
    Rule("Edema", r"\bo?edema\b", unless=r"\b(?:soft tissue|subcutaneous|peripheral|leg) o?edema"),
    Rule("Edema", r"\bcongestion\b|\bengorge\w+", unless=rf"\b(?:congestion|engorge\w+){GAP % 4}normal"),
    Rule("Edema", r"\bheart failure\b|\bchf\b|\bcongestive (?:failure|changes?)\b|\bkerley\b"),
    Rule("Edema", r"\b(?:fluid|volume) overload\b|\bcephali[sz]ation\b"),
    Rule("Edema", r"\bvascul\w+ prominence\b|\bprominent (?:\w+ ){0,2}vascul\w+", Value.UNCERTAIN),
    Rule("Edema", r"\bprominence of (?:the )?(?:\w+ ){0,2}vascul\w+", Value.UNCERTAIN),
    Rule("Effusion", r"\beffusions?\b", unless=r"\b(?:pericardial|joint) effusions?"),
    Rule("Effusion", r"\bpleural fluid\b|\bhydro(?:pneumo)?thorax\b"),
    Rule("Effusion", rf"\bblunt\w*{GAP % 5}(?:costophrenic|angles?|sulc\w+)\b", Value.UNCERTAIN),
    Rule("Effusion", rf"\b(?:costophrenic|angles?|sulc\w+){GAP % 4}(?P<key>blunt\w*)\b", Value.UNCERTAIN),
    Rule("Opacity", r"\bopacit\w+|\bopacifi\w+|\bopaque\b|\binfiltrat\w+|\bground[- ]glass\b"),
    Rule("Opacity", r"\b(?:air ?-?space|alveolar) disease\b"),
    Rule("Lesion", r"\bnodules?\b", unless=r"\bthyroid nodul\w+"),
    Rule("Lesion", r"\bnodular\w*|\bnodularit\w+", Value.UNCERTAIN),
    Rule("Lesion", r"\bmass(?:es)?\b|\bneoplas\w+\b|\btumou?rs?\b|\bmetasta\w+", unless=r"\bmass effect|\bbody mass"),
    Rule("Lesion", r"\b(?:lung|pulmonary|coin|cavitary|parenchymal) lesions?\b"),
    Rule("Pneumonia", r"\b(?:broncho)?pneumonias?\b|\bpneumonic\b"),
    Rule("Pneumonia", r"\binfecti\w+|\bpneumonitis\b", Value.UNCERTAIN, unless=r"\bgranulomatous infect\w+"),
    Rule("Pneumothorax", r"\b(?:hydro)?pneumothora\w+|\bpleural air\b"),
    Rule("Granuloma", r"\bgranuloma\w*"),
    Rule("Granuloma", r"(?<!non)(?<!non[- ])calcified (?:\w+ ){0,2}nodul\w+|\bhistoplasmosis\b", Value.UNCERTAIN),
    Rule("Emphysema", r"\bemphysema\w*", unless=r"\b(?:subcutaneous|soft tissue|mediastinal) emphysema"),
    Rule("Emphysema", r"\bcopd\b|\bchronic obstructive\b|\bbull(?:ae?|ous)\b|\bhyperlucen\w+"),
    Rule("Emphysema", r"\bhyper-?(?:inflat|expan|aerat|disten)\w+|\bair[- ]trapping\b", Value.UNCERTAIN),
    Rule("Emphysema", rf"\bflatten\w*{GAP % 4}(?:hemi)?diaphragms?\b", Value.UNCERTAIN),
    Rule("Emphysema", rf"\b(?:hemi)?diaphragms?{GAP % 3}(?P<key>flatten\w*)\b", Value.UNCERTAIN),
    Rule("Device", r"\bcatheters?\b|\bpicc\b|\bport-?a-?cath\w*|\bmediport\b|\bporta?caths?\b|\bchest port\b"),
    Rule(
        "Device",
        r"\b(?:endotracheal|nasogastric|enteric|feeding|ng|et|chest|thoracostomy|gastr\w+)(?: \w+)? tubes?\b",
    ),
    Rule("Device", r"\btracheostomy\b|\bpace-?makers?\b|\bpacers?\b|\baicd\b|\bicd\b|\bdefibrillator\b|\bleads?\b"),
    Rule(
        "Device",
        r"\b(?:central|venous|jugular|subclavian|ij)(?: \w+)? lines?\b|\bstents?\b|\bprosthe\w+|\bhardware\b",
    ),
    Rule(
        "Device", r"\bclips?\b|\b(?:neuro)?stimulator\b|\bgenerator\b|\bvalve (?:replacement|repair)\b|\bdevices?\b"
    ),
    Rule("Device", r"\bcoils?\b|\bivc filter\b|\boccluder\b|\bfixation\b|\banchors?\b|\btips?\b"),
    Rule(OTHER, r"\bdegenerat\w+|\bspondyl\w+|\b(?:osteo|syndesmo)phyt\w+|\bspur\w*|\barthr\w+|\bendplate\b"),
    Rule(OTHER, r"\bscolio\w+|\bkypho\w+|\bosteop[eo]\w+|\bcurvature\b|\blytic\b|\bsclero\w+|\bexpansile\b"),
    Rule(OTHER, r"\bfractur\w+|\bdeformit\w+|\bcompress\w+|\bwedg\w+|\bdislocat\w+"),
    Rule(OTHER, r"\btortuo\w+|\becta\w+|\baneurysm\w*|\batheroscl\w+|\bcalcifi\w+|\buncoil\w+|\bunfold\w+"),
    Rule(OTHER, r"\bscar\w*|\bfibro\w+|\bthicken\w+|\bbronchiect\w+|\binterstitial\b|\badhesion\w*|\bplaques?\b"),
    Rule(OTHER, r"\bhernia\w*|\beventrat\w+|\belevat\w+|\blymphaden\w+|\badenopathy\b|\bcavit\w+|\bcyst\w*"),
    Rule(
        OTHER,
        r"\bsternotomy\b|\bcabg\b|\b(?:post-?)?surgical\b|\bpostoperative\b|\b\w+ectomy\b|\bresect\w+|\bimplants?\b",
    ),
    Rule(
        OTHER,
        r"\blow (?:lung )?volumes?\b|\bhypo(?:inflat|ventilat|expan)\w+|\b(?:poor|shallow) inspir\w+|\bcrowding\b",
    ),
    Rule(OTHER, r"\bdensit\w+|\bprominen\w+|\bforeign bod\w+|\bstreaky\b|\bshift\w*|\bdeviat\w+|\bwiden\w*|\bhaz\w+"),
)
"""Every mention that the labeler reads."""
