"""The page in a real browser, offline: it shows without a complaint and does what its controls say."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect
from synthetic_run import EVIL_CLASS, EVIL_FILE, LANDMARKS, make_diagnosis, make_gallery, write_run

from partscope.report import write_comparison, write_report

Make = Callable[..., tuple[Path, dict[str, Any]]]
Open = Callable[..., Any]

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("variant", [{}, {"landmarks": False, "labels": False}], ids=["landmarks", "bare"])
def test_page_shows_without_a_complaint(
    make_run: Make, open_page: Callable[..., Any], width: int, variant: dict[str, bool]
) -> None:
    folder, _ = make_run(**variant)
    page = open_page(write_report(folder), width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_selector("html[data-drawn=all]")
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    assert page.evaluate(
        "[...document.querySelectorAll('canvas')].every((each) => each.width > 100 && each.offsetWidth > 0)"
    )
    shot = page.screenshot(full_page=True)
    assert shot.startswith(b"\x89PNG")
    assert len(shot) > 50_000
    assert page.locator("h1").inner_text() == "Object parts in alexnet"


def test_table_sorts_by_mouse_and_keyboard(make_run: Make, open_page: Callable[..., Any]) -> None:
    folder, diagnosis = make_run()
    page = open_page(write_report(folder), 1200)
    shares = [row["contribution"] for row in diagnosis["filters"]]

    def column(place: int) -> list[str]:
        return page.locator(f"table.sortable tbody tr > :nth-child({place})").evaluate_all(
            "cells => cells.map(c => c.dataset.sort)"
        )

    head = page.locator("table.sortable th", has_text="Contribution")
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(value) for value in column(3)] == sorted(shares, reverse=True)
    head.locator("button").focus()
    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(value) for value in column(3)] == sorted(shares)
    page.locator("table.sortable button", has_text="R²").click()
    assert head.get_attribute("aria-sort") is None
    explained = column(9)
    assert explained[-1] == ""
    known = [float(value) for value in explained[:-1]]
    assert known == sorted(known, reverse=True)
    page.locator("table.sortable button", has_text="R²").click()
    assert column(9) == [*explained[-2::-1], ""]
    page.locator("table.sortable button", has_text="Best landmark").click()
    assert column(8)[:-1] == sorted(column(8)[:-1])


@pytest.fixture
def zoo(tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """A run of two categories, with a part that contributes nothing known and one that takes from the score."""
    diagnosis = make_diagnosis()
    for index, row in enumerate(diagnosis["filters"][:-1]):
        row["category"] = EVIL_CLASS if index % 2 else "Zebra"
    diagnosis["filters"][0]["contribution"] = 0.9
    diagnosis["filters"][1]["contribution"] = 0.8
    diagnosis["filters"][2].update(contribution=0.7, instability=None)
    gallery = make_gallery(diagnosis, rows=8, images=3)
    shown = gallery["filters"].tolist()
    rows = {row["filter"]: row for row in diagnosis["filters"]}
    rows[shown[3]]["contribution"] = None
    rows[shown[4]]["contribution"] = -0.3
    return write_run(tmp_path / "zoo", diagnosis, gallery), {"shown": [rows[f] for f in shown], **diagnosis}


def order_of(page: Any) -> list[int]:
    cards = page.locator("#parts > .part:not([hidden])")
    return [int(name) for name in cards.evaluate_all("cards => cards.map((card) => card.dataset.filter)")]


def picture(page: Any, selector: str) -> str:
    page.wait_for_selector("html[data-drawn=all]")
    return str(page.locator(selector).first.evaluate("canvas => canvas.toDataURL()"))


def test_parts_are_sorted_as_the_choice_says(zoo: tuple[Path, dict[str, Any]], open_page: Open) -> None:
    page = open_page(write_report(zoo[0]), 1200)
    rows = zoo[1]["shown"]

    def by(key: Callable[[dict[str, Any]], Any]) -> list[int]:
        return [row["filter"] for row in sorted(rows, key=key)]

    def share(row: dict[str, Any]) -> float:
        return float("inf") if row["contribution"] is None else -row["contribution"]

    assert order_of(page) == by(share)
    sort = page.locator("select[name=sort]")
    sort.select_option("instability")
    unknown = [row["instability"] is None for row in rows]
    assert any(unknown) and not all(unknown)
    assert order_of(page) == by(lambda row: (row["instability"] is None, row["instability"] or 0, share(row)))
    sort.select_option("category")
    assert order_of(page) == by(lambda row: (row["category"] is None, (row["category"] or "").lower(), share(row)))
    sort.select_option("landmark")
    assert order_of(page) == by(lambda row: (row["best_landmark"] is None, row["best_landmark"] or "", share(row)))
    sort.select_option("filter")
    assert order_of(page) == sorted(row["filter"] for row in rows)
    page.get_by_role("button", name="Start over").click()
    page.wait_for_function(
        "wanted => [...document.querySelectorAll('#parts > .part:not([hidden])')]"
        ".map((card) => Number(card.dataset.filter)).join() === wanted.join()",
        arg=by(share),
    )
    assert sort.input_value() == "contribution"


def test_parts_are_filtered_as_the_choices_say(zoo: tuple[Path, dict[str, Any]], open_page: Open) -> None:
    page = open_page(write_report(zoo[0]), 1200)
    rows, count = zoo[1]["shown"], page.locator("#part-count")

    def expected(**wanted: Any) -> set[int]:
        return {row["filter"] for row in rows if all(row[key] == value for key, value in wanted.items())}

    gallery = page.locator("#gallery")
    for landmark in LANDMARKS:
        gallery.locator("select[name=landmark]").select_option(label=landmark)
        assert set(order_of(page)) == expected(best_landmark=landmark)
        assert count.inner_text() == f"{len(expected(best_landmark=landmark))} of 8 parts shown"
    gallery.locator("select[name=category]").select_option(label=EVIL_CLASS)
    assert set(order_of(page)) == expected(best_landmark=LANDMARKS[-1], category=EVIL_CLASS)
    gallery.locator("select[name=landmark]").select_option(label="all")
    gallery.locator("select[name=category]").select_option(label="all")
    for least in (0, 0.05):
        gallery.locator("select[name=share]").select_option(f"{least}")
        known = {row["filter"] for row in rows if row["contribution"] is not None and row["contribution"] >= least}
        assert set(order_of(page)) == known and len(known) < 8
    page.evaluate("document.querySelectorAll('#parts > .part').forEach((part) => { part.dataset.contribution = '0'; })")
    gallery.locator("select[name=share]").select_option("0.01")
    expect(page.get_by_text("No part fits these choices.")).to_be_visible()
    assert count.inner_text() == "0 of 8 parts shown"


def test_map_and_marks_can_be_changed(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 1200)
    choice, tile = page.locator("select[name=overlay]"), ".part:not(:first-child) canvas"
    seen = {"masked": picture(page, tile)}
    for look in ("raw", "off"):
        choice.select_option(look)
        seen[look] = picture(page, tile)
    assert len(set(seen.values())) == 3
    page.get_by_label("show marks").uncheck()
    assert picture(page, tile) not in seen.values()
    page.get_by_label("show marks").check()
    choice.select_option("masked")
    assert picture(page, tile) == seen["masked"]


def test_a_part_opens_with_all_its_images(make_run: Make, open_page: Open) -> None:
    folder, diagnosis = make_run(rows=5, images=6)
    page = open_page(write_report(folder), 1200)
    order = order_of(page)
    page.locator("#parts .open").nth(1).click()
    view = page.locator("#part-view")
    assert view.locator("h2").inner_text() == f"Filter {order[1]}, {EVIL_CLASS}"
    expect(view.locator("figure")).to_have_count(6)
    words = view.locator("canvas").evaluate_all("all => all.map((each) => each.getAttribute('aria-label'))")
    assert len(words) == 18
    assert all(word.startswith(f"Filter {order[1]} on ") for word in words)
    assert [word.rsplit(": ", 1)[-1] for word in words[1::3]] == ["map after the mask"] * 6
    assert [word.rsplit(": ", 1)[-1] for word in words[2::3]] == ["map before the mask"] * 6
    page.wait_for_function("[...document.querySelectorAll('#part-view canvas')].every((each) => each.height === 300)")
    three = [view.locator("canvas").nth(k).evaluate("canvas => canvas.toDataURL()") for k in range(3)]
    assert len(set(three)) == 3
    row = next(row for row in diagnosis["filters"] if row["filter"] == order[1])
    place = diagnosis["filters"].index(row)
    shown = view.locator(f"[data-field='filters.{place}.contribution']")
    assert json.loads(str(shown.get_attribute("data-value"))) == row["contribution"]
    moved = view.locator(".moved").all_inner_texts()
    assert len(moved) == 6 and all(f"to the score of “{EVIL_CLASS}”" in text for text in moved)
    page.keyboard.press("ArrowRight")
    expect(view.locator("h2")).to_have_text(re.compile("^" + re.escape(f"Filter {order[2]}")))
    page.keyboard.press("ArrowLeft")
    view.get_by_role("link", name="previous part").click()
    expect(view.locator("h2")).to_have_text(re.compile("^" + re.escape(f"Filter {order[0]}")))
    expect(view.get_by_role("link", name="previous part")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(view).to_be_hidden()
    page.wait_for_url("**/report.html#")  # the address follows the view a moment later


def test_a_part_is_drawn_with_what_it_sees(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run(rows=5, images=3)
    page = open_page(write_report(folder), 1200)
    yellow = """canvas => { const { data } = canvas.getContext("2d").getImageData(0, 0, 300, 300);
      let count = 0; for (let k = 0; k < data.length; k += 4)
        count += data[k] === 255 && data[k + 1] === 224 && data[k + 2] === 138; return count; }"""
    for card, (side, many) in enumerate(((None, False), (41, True), (58, True))):
        page.evaluate("location.hash = ''")
        page.locator("#parts .open").nth(card).click()
        page.wait_for_function(
            "[...document.querySelectorAll('#part-view canvas')].every((each) => each.height === 300)"
        )
        view = page.locator("#part-view")
        sees = f"{side} px; theoretical 99 px" if side else "not measured; theoretical 99 px"
        expect(view.locator(".facts .more", has_text="sees about")).to_contain_text(sees)
        note = view.locator(".note").inner_text()
        assert ("yellow line: the mean of its 3 strongest images" in note) == many
        assert ("was not measured for this filter" in note) != many
        assert "all that its layers let it see (dashed box)" in note
        counts = [view.locator("canvas").nth(k).evaluate(yellow) for k in range(3)]
        assert (counts[0] > 50) == many and counts[1:] == [0, 0], counts
        page.keyboard.press("Escape")


def test_everything_works_by_keyboard(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 1200)
    opener = page.locator("#parts .open").nth(2)
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#part-view")).to_be_visible()
    inside = "document.activeElement.closest('dialog') !== null"
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate(f"{inside} || document.activeElement === document.body")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('href')") == opener.get_attribute("href")
    thumb = page.locator("#thumbs a").nth(1)
    thumb.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#image-view")).to_be_visible()
    page.keyboard.press("Shift+Tab")
    page.locator("#image-view button.close").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#image-view")).to_be_hidden()
    assert page.evaluate("document.activeElement.getAttribute('href')") == thumb.get_attribute("href")


def test_an_image_opens_with_its_parts(make_run: Make, open_page: Open) -> None:
    folder, diagnosis = make_run(rows=5, images=6)
    from safetensors.numpy import load_file

    arrays = load_file(folder / "gallery.safetensors")
    page = open_page(write_report(folder), 1200)
    used = sorted(set(arrays["image_index"].ravel().tolist()))
    assert page.locator("#image-count").inner_text() == f"{len(used)} of {len(used)} images shown"
    image = used[3]
    page.locator(f"#thumbs a[href='#image-{image}']").click()
    view = page.locator("#image-view")
    moved, active = arrays["image_contributions"][image], arrays["image_peaks"][image] > 0
    ids = [row["filter"] for row in diagnosis["filters"]]
    strongest = sorted((f for f in range(len(ids)) if active[f]), key=lambda f: -abs(moved[f]))[:12]
    names = view.locator("tbody th").all_inner_texts()
    assert names == [f"Filter {ids[f]}" for f in strongest]
    texts = view.locator("tbody td.n:last-child").all_inner_texts()
    read = [float(text.replace("−", "-")) for text in texts]
    assert read == pytest.approx([float(moved[f]) for f in strongest], abs=6e-4)
    assert all(text.startswith("+" if moved[f] > 0 else "−") for text, f in zip(texts, strongest, strict=True))
    kinds = view.locator("tbody .badge").evaluate_all("all => all.map((each) => each.className)")
    assert kinds == ["badge up" if moved[f] > 0 else "badge down" for f in strongest]
    sums = [float(text.replace("−", "-")) for text in view.locator("tfoot td.n").all_inner_texts()]
    whole = float(moved[active].sum())
    assert sums == pytest.approx([whole - sum(float(moved[f]) for f in strongest), whole], abs=2e-3)
    assert view.locator("tfoot th").first.inner_text() == f"{int(active.sum()) - 12} other parts"
    scores = arrays["image_scores"][image]
    assert (
        f"is {scores[0]:.3f}; from the explainer’s features it is {scores[1]:.3f}" in view.locator(".note").inner_text()
    )
    plain = view.locator("canvas").evaluate("canvas => canvas.toDataURL()")
    view.locator("tbody tr").nth(1).hover()
    page.wait_for_function("old => document.querySelector('#image-view canvas').toDataURL() !== old", arg=plain)
    known = view.locator("tbody a").first
    known.click()
    expect(page.locator("#part-view")).to_be_visible()
    expect(view).to_be_hidden()
    page.go_back()
    page.wait_for_selector("#image-view[open]")
    expect(page.locator("#part-view")).to_be_hidden()


def test_more_images_are_shown_on_demand(tmp_path: Path, open_page: Open) -> None:
    diagnosis = make_diagnosis()
    page = open_page(write_report(write_run(tmp_path, diagnosis, make_gallery(diagnosis, rows=20, images=30))), 1200)
    more, thumbs = page.get_by_role("button", name="Show more images"), page.locator("#thumbs img")
    total = int(page.locator("#image-count").inner_text().split()[2])
    assert 60 < total <= 120 and thumbs.count() == 60
    more.click()
    assert thumbs.count() == total and not more.is_visible()
    assert page.evaluate("document.activeElement.closest('#thumbs') !== null")


def test_names_with_tags_stay_text_in_every_view(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 1200)
    names = json.loads(page.locator("script.atlas").text_content())["names"]
    page.evaluate(f"location.hash = '#image-{names.index(EVIL_FILE)}'")
    page.wait_for_selector("#image-view[open]")
    assert page.locator("#image-view h2").inner_text() == EVIL_FILE
    expect(page.locator("#image-view script, #image-view b, #part-view script, #part-view b")).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator("#parts .open").nth(1).click()
    expect(page.locator("#part-view h2")).to_contain_text(EVIL_CLASS)
    expect(page.locator("#part-view script, #part-view b")).to_have_count(0)
    expect(page.locator("#parts")).to_contain_text(EVIL_CLASS)


def test_a_link_to_a_part_opens_it_and_to_nothing_does_not(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    path = write_report(folder)
    page = open_page(path, 1200)
    first = order_of(page)[0]
    for end, shown in ((f"#part-{first}", True), ("#part-9999", False), ("#image-999", False), ("#part-x", False)):
        page.goto("about:blank")
        page.goto(path.as_uri() + end)
        page.wait_for_selector("html[data-drawn=all]")
        expect(page.locator("dialog[open]")).to_have_count(int(shown))


def test_every_number_on_the_page_is_the_diagnosis_after_all_scripts_ran(make_run: Make, open_page: Open) -> None:
    folder, diagnosis = make_run()
    page = open_page(write_report(folder), 1200)
    page.locator("select[name=sort]").select_option("category")
    page.locator("table.sortable button", has_text="R²").click()
    page.locator("#parts .open").first.click()
    shown = page.locator("[data-field]").evaluate_all(
        "all => all.map((each) => [each.dataset.field, each.dataset.value])"
    )
    assert len(shown) > 300
    for field, value in shown:
        truth: Any = diagnosis
        for key in field.split("."):
            truth = truth[int(key)] if isinstance(truth, list) else truth[key]
        assert json.loads(value) == (truth["value"] if isinstance(truth, dict) else truth), field


def test_an_old_gallery_shows_its_parts(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run(whole=False)
    page = open_page(write_report(folder), 1200)
    page.locator("#parts .open").first.click()
    expect(page.locator("#part-view figure")).to_have_count(3)
    expect(page.locator("#part-view .moved")).to_have_count(0)


@pytest.mark.parametrize("width", [1200, 360])
def test_comparison_shows_without_a_complaint(make_run: Make, open_page: Open, width: int) -> None:
    one, _ = make_run(name="one")
    other, _ = make_run(name="other", seed=3)
    page = open_page(write_comparison(one, other), width)
    page.wait_for_selector("html[data-drawn=all]")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.locator("canvas")).to_have_count(2 * 3 * 3)
    assert page.evaluate("[...document.querySelectorAll('canvas')].every((each) => each.width === 240)")


def test_printed_page_shows_numbers_that_are_folded_on_screen(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 1200)
    page.emulate_media(media="print")
    expect(page.locator("#gallery form")).to_be_hidden()
    expect(page.locator("#gallery canvas").first).to_be_visible()
    assert page.locator("#location details table").evaluate("table => table.getBoundingClientRect().height") > 50


def test_the_printed_page_fits_an_a4_sheet_and_cuts_no_card(make_run: Make, open_page: Open) -> None:
    folder, _ = make_run()
    page = open_page(write_report(folder), 702)  # 210 mm less margins of 12 mm, in px of 1/96 inch
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") == 702, "a wider page is printed smaller"
    style = "node => { const style = getComputedStyle(node); return [style.display, style.breakInside]; }"
    for block in (".card", "#parts .part", "figure"):
        assert page.locator(block).first.evaluate(style)[1] == "avoid", block
    assert page.locator(".card").first.evaluate(style)[0] == "block", "flexible boxes are cut in spite of it"
    assert page.locator("#gallery").evaluate("node => getComputedStyle(node).breakBefore") == "page"
    # a button in a table's head is not painted again on the table's next pages; bare text is
    assert page.locator(".sortable thead button").first.evaluate(style)[0] == "contents"
    assert page.locator("summary").first.evaluate("node => getComputedStyle(node).listStyleType") == "none"
    for gone in ("nav", "#gallery form", "#images", "#part-count"):
        expect(page.locator(gone).first).to_be_hidden()
