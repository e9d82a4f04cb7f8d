"""The XML of one Pascal VOC annotation, read element by element.

No tree is built, no document type is accepted, and so no entities are known but XML's own: a file cannot
make the reader open others or grow (CWE-611, CWE-776). Knows lines and texts; `edgecnn.data.voc` knows files.
"""

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from edgecnn.data.annotated import Box, checked_box
from edgecnn.errors import DataError

MAX_BYTES = 16 << 20
"""An annotation is a few kilobytes."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_NUMBER = re.compile("[1-9][0-9]{0,8}")


class Page:
    """An annotation.

    Attributes:
        things: its objects.
        filename: what it calls its image, or "".
    """

    def __init__(self, name: str, data: bytes) -> None:
        """Read one.

        Args:
            name: what to call it in an error.
            data: its content.

        Raises:
            DataError: too large, not XML, no annotation, or with a document type; names the line.
        """
        self.name = name
        self.things: list[Thing] = []
        self.filename = ""
        self._sides: dict[str, str] = {}
        self._root = ""
        self._path: list[str] = []
        self._text: list[str] = []
        self._reader = expat.ParserCreate()
        self._reader.buffer_text = True
        self._reader.StartElementHandler = self._begin
        self._reader.EndElementHandler = self._end
        self._reader.CharacterDataHandler = self._text.append
        self._reader.StartDoctypeDeclHandler = self._refuse
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise DataError(
                f"{self.name}: {len(data)} bytes; an annotation has a few thousand. Remove the file."
            )
        try:
            self._reader.Parse(data, True)
        except expat.ExpatError as error:
            raise DataError(
                f"{self.name}:{error.lineno}: not XML ({expat.errors.messages.get(error.code, error)}). "
                "Fix or remove the file."
            ) from None
        except (LookupError, ValueError) as error:  # an encoding that expat or Python does not know
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.name}: cannot be read ({error}). Save it as UTF-8.") from None
        if self._root != "annotation":
            raise DataError(
                f"{self.name}: its root is <{self._root}>, not <annotation>. Fix or remove the file."
            )

    @property
    def size_wh(self) -> tuple[int, int] | None:
        """As <size> says; None where it says nothing or nonsense: the image's header knows."""
        width, height = (self._sides.get(side, "").strip() for side in ("width", "height"))
        if not (_NUMBER.fullmatch(width) and _NUMBER.fullmatch(height)):
            return None
        return int(width), int(height)

    def _refuse(self, *_: object) -> None:
        raise DataError(
            f"{self.name}:{self._reader.CurrentLineNumber}: declares a document type, which is not "
            "read. Remove it."
        )

    def _begin(self, tag: str, _: dict[str, str]) -> None:
        self._path.append(tag)
        self._text.clear()
        if len(self._path) == 1:
            self._root = tag
        elif len(self._path) == 2 and tag == "object":
            self.things.append(Thing(self._reader.CurrentLineNumber))

    def _end(self, tag: str) -> None:
        path = self._path
        content = "".join(self._text)
        if len(path) == 2 and tag == "filename":
            self.filename = content.strip()
        elif len(path) == 3 and path[1] == "size":
            self._sides[tag] = content
        elif len(path) in (3, 4) and path[1] == "object":  # deeper ones are parts of things
            self.things[-1].texts.setdefault("/".join(path[2:]), content)
        path.pop()
        self._text.clear()


@dataclass(slots=True)
class Thing:
    """An <object>.

    Attributes:
        line: where it begins.
        texts: the text of its elements: `name`, `difficult`, `bndbox/xmin` …
    """

    line: int
    texts: dict[str, str] = field(default_factory=dict)

    def checked(self, name: str) -> tuple[Box, str, bool]:
        """Its box, its label, and whether it is difficult.

        Args:
            name: what to call the file in an error.

        Raises:
            DataError: one of them is missing or malformed; names the line.
        """
        label = self.texts.get("name", "").strip()
        where = f"{name}:{self.line}"
        if not label:
            raise DataError(f"{where}: an object without a name. Add <name> or remove it.")
        numbers = []
        for corner in _CORNERS:
            given = self.texts.get(f"bndbox/{corner}", "").strip()
            try:
                numbers.append(float(given))
            except ValueError:
                raise DataError(
                    f"{where}: <{corner}> of {label!r} is {given!r}, not a number. Fix or remove the box."
                ) from None
        left, top, right, bottom = numbers
        difficult = self.texts.get("difficult", "").strip().lower()
        if difficult not in ("", "0", "1", "false", "true", "unspecified"):
            raise DataError(f"{where}: <difficult> is {difficult!r}; it must be 0 or 1.")
        return checked_box((left, top, right, bottom), where), label, difficult in ("1", "true")
