"""Following: the user's words go with a file's content when it is renamed, moved or copied.

`library set` stores beside the words what the file's tensors look like (`Reading.sample`: names, shapes,
size and three blocks). Where the name is gone, or now is another file's, the words are those of
the files with that content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lorafusion.library.settings import Said
from lorafusion.library.survey import Item


def followed(said: Mapping[str, Said], items: Sequence[Item]) -> tuple[dict[str, str], list[str]]:
    """Whose words are whose.

    Args:
        said: name in the settings -> what they say.
        items: of the folder.

    Returns:
        name of a file -> the name in the settings whose words it has; and the names in the settings that
        no file has, by name or by content, sorted.
    """
    if not said:
        return {}, []
    contents = {item.name: item.reading.sample for item in items}
    # A file that the settings name has words of its own, unless these are another content's.
    owners = {name: name for name in contents if name in said}
    strays = []
    for name, words in said.items():
        alike = [file for file in _alike(words.content, contents) if file not in said]
        if contents.get(name) == words.content or not alike:
            strays += [name] * (name not in contents)
            continue
        owners.pop(name, None)
        owners |= dict.fromkeys(alike, name)
    return owners, sorted(strays)


def _alike(content: str, contents: Mapping[str, str]) -> Iterable[str]:
    return (name for name, own in contents.items() if content and own == content)
