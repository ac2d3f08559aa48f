"""`--format`: Go templates over rows and objects.

Lists (`ps`, `images`, `volume ls`) call `rows`, `inspect` and its kin call `each`. A template is compiled and its
fields are checked before anything is printed: an unknown one is a usage error that names the fields, also
where the list is empty (podman notices it at the first row only).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from wpod.errors import UsageError
from wpod.output import json, tables
from wpod.output.template_syntax import Block, Call, Literal, Node, Operand, Path, Pipe, Print, Text, bad, parse
from wpod.output.template_values import NO_VALUE, GoMap, NilMap, Title, marked, printed, truth


def wants_json(format_: str) -> bool:
    """Whether a list is to be printed as one JSON document: `json`, or `{{json .}}` with any blanks."""
    return format_.strip() == "json" or "".join(format_.split()) in ("{{json.}}",)


def rows(
    format_: str, data: Sequence[Mapping[str, object]], headers: Mapping[str, str], *, heading: bool = True
) -> str:
    """A list command's output; `headers` maps each field to its column's title, and each row has them all.

    With `table ` before the template (or `table` alone never: commands give their own default) the titles
    stand above, and what blanks or tabs separate is aligned. `{{range .}}` goes over the rows by itself.
    Raises UsageError.
    """
    if format_.startswith("{{range"):
        return compile_template(_line(format_)).render(data)
    is_table = format_.startswith("table ")
    if not is_table:
        template = compile_template(_line(format_), headers)
        return "".join([template.render(row) for row in data])
    # As podman: each blank is a tab. Inside of actions that makes no difference but in strings.
    template = compile_template(_line(format_.removeprefix("table ").replace(" ", "\t")), headers)
    lines = [template.render(row) for row in data]
    if heading:
        lines.insert(0, template.render({field: Title(title) for field, title in headers.items()}))
    return tables.align([line.removesuffix("\n").split("\t") for line in lines])


def each(format_: str, objects: Sequence[Mapping[str, object]]) -> str:
    """One line per object. Raises UsageError for a field that an object lacks, before anything is printed."""
    template = compile_template(_line(format_))
    return "".join([template.render(one) for one in objects])


def compile_template(text: str, fields: Collection[str] | None = None) -> Template:
    """Raises UsageError for wrong syntax, and for fields of the top level that aren't among `fields`."""
    nodes = parse(text, frozenset(_FUNCTIONS))
    if fields is not None:
        for name in _top_fields(nodes, at_top=True):
            if name not in fields:
                raise _unknown(name, fields)
    return Template(nodes)


class Template:
    """A compiled template."""

    def __init__(self, nodes: tuple[Node, ...]) -> None:
        self._nodes = nodes

    def render(self, data: Mapping[str, object] | Sequence[Mapping[str, object]]) -> str:
        """The text for one row or object, or for a list of them.

        Raises UsageError for a field that isn't there or a wrong operand.
        """
        try:
            return "".join(_Evaluation(data).nodes(self._nodes, data))
        except RecursionError:
            raise bad("too deep") from None


class _Evaluation:
    def __init__(self, root: object) -> None:
        self._scopes: list[dict[str, object]] = [{"": root}]

    def nodes(self, nodes: tuple[Node, ...], dot: object) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, Text):
                yield node.text
            elif isinstance(node, Print):
                value = self._pipe(node.pipe, dot)
                if not node.pipe.declares:
                    yield printed(value)
            else:
                self._scopes.append({})
                yield from self._block(node, dot)
                self._scopes.pop()

    def _block(self, block: Block, dot: object) -> Iterator[str]:
        if block.word == "range":
            yield from self._range(block, dot)
            return
        value = self._pipe(block.pipe, dot)
        chosen = block.body if truth(value) else block.otherwise
        yield from self._inner(chosen, value if block.word == "with" and truth(value) else dot)

    def _range(self, block: Block, dot: object) -> Iterator[str]:
        value = self._pipe(Pipe(block.pipe.stages), dot)
        pairs = list(_items(value))
        names = block.pipe.declares
        for key, one in pairs:
            values = (one,) if len(names) == 1 else (key, one)
            for name, chosen in zip(names, values, strict=False):
                self._set(name, chosen, fresh=block.pipe.fresh)
            yield from self._inner(block.body, one)
        if not pairs:
            yield from self._inner(block.otherwise, dot)

    def _inner(self, nodes: tuple[Node, ...], dot: object) -> Iterator[str]:
        self._scopes.append({})
        yield from self.nodes(nodes, dot)
        self._scopes.pop()

    def _set(self, name: str, value: object, *, fresh: bool) -> None:
        self._scopes[-1 if fresh else self._scope(name)][name] = value

    def _scope(self, name: str) -> int:
        """Where a variable was declared last. Raises UsageError."""
        for number in range(len(self._scopes) - 1, -1, -1):
            if name in self._scopes[number]:
                return number
        raise bad(f"undefined variable ${name}")

    def _pipe(self, pipe: Pipe, dot: object) -> object:
        value: object = None
        for number, stage in enumerate(pipe.stages):
            if number == 0:
                value = self._operand(stage, dot)
            elif isinstance(stage, Call):
                value = self._call(stage, dot, (value,))
            else:
                raise bad("only a function can stand after |")
        for name in pipe.declares:
            self._set(name, value, fresh=pipe.fresh)
        return value

    def _operand(self, operand: Operand, dot: object) -> object:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Call):
            return self._call(operand, dot, ())
        if operand.inner is not None:
            value = self._pipe(operand.inner, dot)
        elif operand.variable is not None:
            value = self._scopes[self._scope(operand.variable)][operand.variable]
        else:
            value = dot
        for name in operand.names:
            value = _field(value, name)
        return value

    def _call(self, call: Call, dot: object, piped: tuple[object, ...]) -> object:
        operands = [self._operand(one, dot) for one in call.operands] + list(piped)
        title = next((one for one in operands if isinstance(one, Title)), None)
        if title is not None:
            return title
        try:
            return _FUNCTIONS[call.function](*operands)
        except (TypeError, IndexError, KeyError, ValueError) as error:
            raise bad(f"{call.function}: {error}") from None


def _field(value: object, name: str) -> object:
    if isinstance(value, Title):
        return value
    if isinstance(value, GoMap):
        return value.get(name, NO_VALUE)
    if value is NO_VALUE:
        return value
    if isinstance(value, Mapping):
        if name not in value:
            raise _unknown(name, list(value))
        return marked(name, value[name])
    raise bad(f"can't take field {name} of {printed(value)!r}")


def _unknown(name: str, fields: Collection[str]) -> UsageError:
    return UsageError(f"template: unknown field {name}", hint=f"known fields: {', '.join(sorted(fields))}")


def _items(value: object) -> Iterator[tuple[object, object]]:
    if isinstance(value, Mapping):
        yield from ((key, value[key]) for key in sorted(value))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield from enumerate(value)
    elif value is not None and value is not NO_VALUE and not isinstance(value, Title):
        raise bad(f"range can't go over {printed(value)!r}")


def _top_fields(nodes: Sequence[Node], *, at_top: bool) -> Iterator[str]:
    """Names that are looked up in the row itself: below range and with, the dot is something else."""
    for node in nodes:
        if isinstance(node, Text):
            continue
        yield from _pipe_fields(node.pipe, at_top=at_top)
        if isinstance(node, Block):
            yield from _top_fields(node.body, at_top=at_top and node.word == "if")
            yield from _top_fields(node.otherwise, at_top=at_top)


def _pipe_fields(pipe: Pipe, *, at_top: bool) -> Iterator[str]:
    for stage in pipe.stages:
        for operand in (stage, *(stage.operands if isinstance(stage, Call) else ())):
            if isinstance(operand, Path):
                if operand.inner is not None:
                    yield from _pipe_fields(operand.inner, at_top=at_top)
                elif operand.names and (operand.variable == "" or (operand.variable is None and at_top)):
                    yield operand.names[0]


def _line(text: str) -> str:
    """`\\t` and `\\n` typed in a shell's single quotes mean the characters; a template ends with a newline."""
    text = text.replace("\\t", "\t").replace("\\n", "\n")
    return text if text.endswith("\n") else text + "\n"


def _length(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (Mapping, Sequence)):
        return len(value)
    raise TypeError(f"{printed(value)!r} has no length")


def _join(values: object, separator: object) -> str:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise TypeError("the first operand must be a list")
    return str(separator).join(printed(one) for one in values)


def _index(value: object, *keys: object) -> object:
    for key in keys:
        if isinstance(value, Mapping):
            value = value.get(key, "")
        elif isinstance(value, Sequence) and isinstance(key, int) and not isinstance(key, bool):
            if not 0 <= key < len(value):
                raise IndexError(f"index {key} is out of range")
            value = value[key]
        else:
            raise TypeError(f"can't index {printed(value)!r}")
    return value


def _split(text: object, separator: object) -> list[str]:
    return str(text).split(str(separator))


def _equal(first: object, *others: object) -> bool:
    if not others:
        raise TypeError("needs two operands")
    return any(type(first) is type(other) and first == other for other in others)


def _order(first: object, second: object) -> int:
    if isinstance(first, str) and isinstance(second, str):
        return (first > second) - (first < second)
    numbers = (int, float)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return (first > second) - (first < second)
    raise TypeError("incompatible types for comparison")


def _json(value: object) -> str:
    return json.compact(None if value is NO_VALUE or isinstance(value, NilMap) else value)


def _concatenated(*values: object) -> str:
    """As Go's Sprint: blanks stand between operands of which neither is a text."""
    text = ""
    for number, value in enumerate(values):
        apart = number and not isinstance(value, str) and not isinstance(values[number - 1], str)
        text += (" " if apart else "") + printed(value)
    return text


def _first_false(*operands: object) -> object:
    return next((one for one in operands if not truth(one)), operands[-1])


def _first_true(*operands: object) -> object:
    return next((one for one in operands if truth(one)), operands[-1])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{printed(value)} is not text")
    return value


def _formatted(template: object, *operands: object) -> str:
    pieces, rest = [], list(operands)
    before, *verbs = _text(template).replace("%%", "\0").split("%")
    for verb in verbs:
        body = verb.lstrip("-+0123456789.")
        if not rest or body[:1] not in tuple("vsdqtxf"):
            raise ValueError(f"bad format %{verb}")
        value, flags = rest.pop(0), verb[: len(verb) - len(body)]
        shown = json.compact(value) if body[0] == "q" else printed(value)
        kind = body[0] if body[0] in "dxf" else "s"
        pieces.append(f"%{flags}{kind}" % (value if kind != "s" else shown) + body[1:])
    return (before + "".join(pieces)).replace("\0", "%")


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "and": _first_false,
    "eq": _equal,
    "ge": lambda a, b: _order(a, b) >= 0,
    "gt": lambda a, b: _order(a, b) > 0,
    "index": _index,
    "join": _join,
    "json": _json,
    "le": lambda a, b: _order(a, b) <= 0,
    "len": _length,
    "lower": lambda text: _text(text).lower(),
    "lt": lambda a, b: _order(a, b) < 0,
    "ne": lambda a, b: not _equal(a, b),
    "not": lambda value: not truth(value),
    "or": _first_true,
    "pad": lambda text, before, after: " " * before + _text(text) + " " * after if text else "",
    "print": _concatenated,
    "printf": _formatted,
    "println": lambda *values: " ".join(printed(one) for one in values) + "\n",
    "split": _split,
    "title": lambda text: _text(text).title(),
    "truncate": lambda text, length: _text(text)[:length],
    "upper": lambda text: _text(text).upper(),
}
