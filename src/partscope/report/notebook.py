"""A diagnosis and its parts as a notebook shows them: numbers with intervals, pictures with part locations."""

import base64
import io
from pathlib import Path
from typing import Any, final

import numpy as np
from markupsafe import Markup, escape
from PIL import Image, ImageDraw

from partscope.report import wording
from partscope.report.estimate import Diagnosis, locations, percent, plain, share
from partscope.report.figures import in_words
from partscope.report.reading import Gallery, read_diagnosis, read_gallery
from partscope.report.view import cards

SIDE_PX = 120
WRITE = {"percent": percent, "places": locations}


@final
class Part:
    """One filter with its strongest images; a notebook shows them with the part locations."""

    def __init__(self, facts: dict[str, Any], gallery: Gallery, row: int) -> None:
        self.facts = facts
        self._gallery, self._row = gallery, row

    def __repr__(self) -> str:
        return f"Part(filter={self.facts['filter']}, category={self.facts['category']!r})"

    def picture(self) -> Image.Image:
        """Its images side by side, each with a ring around the place where the filter peaks."""
        gallery = self._gallery
        images = gallery.image_index[self._row].tolist()
        sheet = Image.new("RGB", ((SIDE_PX + 4) * len(images) - 4, SIDE_PX), "white")
        for place, image in enumerate(images):
            height, width = gallery.images.shape[-2:]
            photo = Image.fromarray(np.ascontiguousarray(gallery.images[image].transpose(1, 2, 0)))
            photo = photo.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
            if gallery.raw_maps[self._row, place].max() > 0:
                row, column = gallery.points[self._row, place].tolist()
                x, y = (column + 0.5) * SIDE_PX / width, (row + 0.5) * SIDE_PX / height
                pen = ImageDraw.Draw(photo)
                for radius, color in ((9, "black"), (8, "white"), (7, "white"), (6, "black")):
                    pen.ellipse([x - radius, y - radius, x + radius, y + radius], outline=color)
            sheet.paste(photo, ((SIDE_PX + 4) * place, 0))
        return sheet

    def _repr_html_(self) -> str:
        facts, buffer = self.facts, io.BytesIO()
        self.picture().save(buffer, "PNG", optimize=True)
        pixels = base64.b64encode(buffer.getvalue()).decode("ascii")
        landmark = facts["best_landmark"]
        said = "; ".join(
            in_words(self._gallery, self._row, place, facts["filter"], landmark)
            for place in range(self._gallery.image_index.shape[1])
        )
        of = f", {facts['category']}" if facts["category"] is not None else ""
        best = f"; best landmark {landmark} (R² {plain(facts['best_landmark_r2'])})" if landmark is not None else ""
        shown = Markup(
            '<div><b>Filter {}{}</b>: {} of the score{}<br><img alt="{}" src="data:image/png;base64,{}"></div>'
        )
        return str(shown.format(facts["filter"], of, share(facts["contribution"]), best, said, pixels))


@final
class DiagnosisView(Diagnosis):
    """A checked ``diagnosis.json``; a notebook shows its headline numbers."""

    def __init__(self, document: dict[str, Any], gallery: Gallery) -> None:
        super().__init__(document)
        rows = {facts["filter"]: facts for facts in document["filters"]}
        self.parts = [Part(rows[filter_], gallery, row) for row, filter_ in enumerate(gallery.filters.tolist())]
        """The filters of the gallery, the largest contribution first."""

    def __repr__(self) -> str:
        return f"DiagnosisView({self.get('performer.name')!r}, {self.get('counts.filters')} filters)"

    def _repr_html_(self) -> str:
        lines = []
        for card in cards(self):
            for figure in ([] if card.lead is None else [card.lead]) + card.others:
                write, e = WRITE.get(figure.kind, plain), figure.estimate
                between = f"{write(e.low)} to {write(e.high)}" if e.low is not None and e.high is not None else "–"
                cells = (card.title, figure.label, write(e.value), between, f"{e.n:,}")
                lines.append(
                    Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(c) for c in cells))
                )
        head = Markup("").join(
            Markup("<th>{}</th>").format(name) for name in ("", "measure", "value", "95 % interval", "n")
        )
        shown = Markup("<div><p>{}</p><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>")
        return str(shown.format(escape(wording.summary(self)), head, Markup("").join(lines)))


def open_diagnosis(run_folder: Path | str) -> DiagnosisView:
    """Reads what a run's diagnosis found, for a notebook or a script.

    Args:
        run_folder: the folder of a run with its diagnosis.

    Returns:
        The diagnosis, with ``document``, ``get`` and ``estimate`` for its numbers and ``parts`` for its pictures.

    Raises:
        RunError: diagnosis or gallery is missing, damaged or foreign.
    """
    folder = Path(run_folder)
    diagnosis = read_diagnosis(folder)
    return DiagnosisView(diagnosis.document, read_gallery(folder, diagnosis))
