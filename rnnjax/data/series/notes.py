"""What was assumed about a file, and done with it."""

import reprlib


class Notes:
    """Assumptions about a file, each said once, with the names that it concerns. If `strict`, they are errors."""

    def __init__(self, where: str, strict: bool):
        self.where, self.strict = where, strict
        self._names: dict[tuple[str, str], list[str]] = {}
        self._said: list[str] = []

    def add(self, assumed: str, option: str, *names: str) -> None:
        """Notes an assumption, and the option that settles it. Raises ValueError if `strict`."""
        if self.strict:
            of = "".join(f", {name!r}" for name in names)
            raise ValueError(f"{self.where}{of}: expected nothing to assume (--strict), got {assumed}; {option}")
        self._names.setdefault((assumed, option), []).extend(names)

    def say(self, done: str) -> None:
        """Notes what was done because an option says so: no assumption."""
        if done not in self._said:
            self._said.append(done)

    def lines(self) -> tuple[str, ...]:
        """One line for each assumption."""
        assumed = (
            f"{self.where}{f', {reprlib.repr(names)[1:-1]}' if names else ''}: {words} ({option})"
            for (words, option), names in self._names.items()
        )
        return (*assumed, *(f"{self.where}: {done}" for done in self._said))
