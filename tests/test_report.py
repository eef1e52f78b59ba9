"""The report: complete in itself, readable by machines and people, and shown by a real browser where there is one."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from xml.dom import minidom

import numpy as np
import pytest

import closedflow as cf
from closedflow.report.document import Document, Grid, Section, Text, Verdict
from closedflow.report.mathml import equation, formula
from theory.errors import SettingError
from theory.theorems import library

pytest.importorskip("jinja2", reason="reports are made by jinja2")
pytest.importorskip("matplotlib", reason="reports have figures")
pytest.importorskip("torch", reason="reports train networks")
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def plain(mathml):
    """The formula as text, without the invisible product."""
    return re.sub(r"<[^>]+>", "", mathml).replace("\u2062", "")


@pytest.mark.parametrize(
    ("claim", "shown"),
    [
        ("-c * (W @ X - Y) @ X.T == 0", "−c(WX−Y)X⊤=0"),
        ("A - (B - C) == A - B + C", "A−(B−C)=A−B+C"),
        ("(A + B).T == A.T + B.T", "(A+B)⊤=A⊤+B⊤"),
        ("(A @ B).T @ C == 0", "(AB)⊤C=0"),
        ("pinv(A @ B) == pinv(B) @ pinv(A)", "(AB)+=B+A+"),
        ("-2 * tr(A) * B == mu**2 * Wstar", "−2tr(A)B=μ2W∗"),
        ("A / 2 + W0 == I", "A2+W0=I"),
        ("d(W) == start(W) + limit(W @ X)", "ddtW=W|t=0+limt→∞(WX)"),
        ("A @ (-B) == -(A @ B)", "A(−B)=−AB"),
    ],
)
def test_a_claim_is_written_as_people_write_it(claim, shown):
    assert plain(equation(claim)) == shown


def test_an_exponential_is_a_power_of_e_and_its_integral_has_another_time():
    flow = {"E": "c * X @ X.T + mu * I"}
    assert plain(equation("W0 @ E == integral(E)", flow)) == "W0e−t(cXX⊤+μI)=∫0te−τ(cXX⊤+μI)dτ"


def test_every_claim_of_the_library_is_a_well_formed_formula():
    for theorem in library():
        for claim in (*theorem.claims, theorem.false_twin):
            formulas = getattr(claim, "formulas", None)
            texts = [equation(claim.equation, claim.flow)] if formulas is None else map(formula, formulas)
            for text in texts:
                minidom.parseString(text)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from closedflow.cli import run

    path = tmp_path_factory.mktemp("report") / "out.html"
    assert run(["verify", "T4", "T7", "--device", "cpu", "--report", str(path)]) == 0
    return path


class Reader(HTMLParser):
    """Tags with their attributes, and whether they are closed in their order."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_the_network_for_nothing(page):
    text = page.read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.open == []
    loaded = {"script", "link", "iframe", "img", "object", "embed", "audio", "video"}
    assert not loaded & {tag for tag, _ in reader.tags}
    for _, attributes in reader.tags:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_every_name_is_given_once_and_every_link_leads_somewhere(page):
    reader = Reader(page.read_text(encoding="utf-8"))
    names = [attributes["id"] for _, attributes in reader.tags if attributes.get("id")]
    assert len(names) == len(set(names))
    for tag, attributes in reader.tags:
        if tag in ("a", "use"):
            assert (attributes.get("href") or attributes["xlink:href"])[1:] in names


def test_the_page_can_be_heard_and_walked_by_keyboard(page):
    text = page.read_text(encoding="utf-8")
    reader = Reader(text)
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("h1") == tags.count("main") == 1
    for wanted in ("caption", "th", "nav", "h2", "figcaption", "math"):
        assert wanted in tags
    for tag, attributes in reader.tags:
        if tag == "th":
            assert attributes["scope"] in ("col", "row")
        if attributes.get("role") == "img":
            assert len(attributes["aria-label"]) > 20
    assert '<html lang="en">' in text
    assert tags.index("a") < tags.index("header")  # the skip link comes first


def test_the_page_says_what_was_found_and_how_to_find_it_again(page):
    text = page.read_text(encoding="utf-8")
    for words in (
        "closedflow verify T4 T7 --device cpu --report",
        "proved",
        "agrees",
        "checked again",
        "seed 0",
        "torch",
    ):
        assert words in text
    assert "trained networks" in text  # the histogram of the error
    for theorem in library():
        assert (f'id="{theorem.id}"' in text) == (theorem.id in ("T4", "T7"))


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [390, 1200])
def test_a_browser_shows_the_page_without_a_complaint_or_a_request(page, tmp_path, width):
    picture = tmp_path / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--v=0",
    ]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},2400", f"--screenshot={picture}"]
    shown = subprocess.run([BROWSER, *flags, page.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    assert "CONSOLE" not in shown.stderr
    from matplotlib.image import imread

    pixels = imread(picture)
    assert np.ptp(pixels[..., :3]) > 0.5  # something dark on something light
    assert (pixels[:, -4:, :3].std(axis=(0, 1)) < 0.02).all()  # nothing is cut off at the right edge


def test_a_setting_of_ones_own_has_a_report_too(tmp_path):
    from closedflow.cli import run

    setting = cf.Setting(cf.Conv(3), cf.HeavyBall(0.01, 0.9), start=cf.Gaussian(0.1))
    (tmp_path / "mine.toml").write_text(setting.to_toml())
    path = tmp_path / "mine.html"
    assert run(["verify", "--setting", str(tmp_path / "mine.toml"), "--device", "cpu", "--report", str(path)]) == 0
    text = path.read_text(encoding="utf-8")
    assert "kernel_size = 3" in text
    assert text.count("<svg") >= 4  # course, pictures, kernel, law


def test_text_is_never_taken_for_markup():
    document = Document(
        "<b>",
        {"a": "<i>"},
        [Section("x", "<u>", [Text("<script>"), Grid("<p>", ["<q>"], [["<s>"], [Verdict("<em>")]])])],
    )
    text = document.to_html()
    assert not {"<script>", "<i>", "<u>", "<q>", "<s>", "<em>"} & set(re.findall(r"<\w+>", text))


def test_a_report_that_cannot_be_written_is_refused_before_any_work(tmp_path, capsys):
    from closedflow.cli import run

    assert run(["verify", "T4", "--report", str(tmp_path / "no" / "out.html")]) == 2
    assert "the output must be a file that can be written" in capsys.readouterr().err


def test_without_jinja2_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(SettingError, match=r"pip install 'closedflow\[report\]'"):
        Document("", {}, []).to_html()


def test_the_histogram_is_of_the_problem_of_the_law():
    """With decay, which the networks must have too: by Kolmogorov and Smirnov at level 1e-3."""
    from scipy import stats

    from closedflow.report import verdict_report
    from empirical.data import digits

    seen = []
    x = digits().values.reshape(-1, 64)
    setting = cf.Setting(cf.Linear(), cf.HeavyBall(0.01, 0.9), weight_decay=5.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verdict_report, "law", lambda errors, cdf: seen.append(stats.kstest(errors, cdf).pvalue) or "")
        verdict_report.law_picture(setting, x[:2], x[5:6], "cpu", 0)
    assert len(seen) == 1
    assert seen[0] > 1e-3
