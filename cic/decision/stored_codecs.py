"""Contents that codecs of a splitting model are made from, each by its SHA-256, with which the codec's name ends.

Most codecs need none. The numbers of a transform (`cic.codec.transform`) were made for one tensor of one training, so they
go wherever the splitting model goes. Standard library only; read when asked for, which deciding does not.
"""

from __future__ import annotations

from cic.errors import ArtifactError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from cic.decision.cut import Cut
    from cic.decision.cut_table import CutTable
    from cic.decision.stored_graph import StoredGraph


def needed_digest(codec: str) -> str | None:
    """The SHA-256 of the content that a codec with this name is made from; None if it needs none."""
    _, at, digest = codec.partition("@")
    return digest if at else None


def needed_digests(table: CutTable, graph: StoredGraph) -> set[str]:
    """Which contents decisions can ask for, on the table and off it.

    Off it a cut may lose what some cut of the table loses, if an accuracy was asked for, and each transform loses otherwise;
    else every form may be used (`cic.decision.off_table.problem.shown_alternatives`).
    """
    names = {name for cut in table.cuts for name in cut.codecs}
    asked = table.information.codecs
    if asked is None or asked.accuracy_target is None:
        names.update(form.codec for tensor in graph.tensors for form in tensor.forms)
    return {digest for name in names if (digest := needed_digest(name)) is not None}


def stored_document(contents: Mapping[str, bytes]) -> dict[str, str]:
    """Contents as JSON values: base64 by SHA-256."""
    from base64 import b64encode

    return {digest: b64encode(contents[digest]).decode() for digest in sorted(contents)}


def read_stored(document: Any, cuts: Iterable[Cut], where: str) -> dict[str, bytes]:
    """Contents by their SHA-256; each that one of these cuts needs is among them.

    Raises:
        ArtifactError: names the content that is missing, not as it is written, or not the one of its digest.
    """
    from binascii import a2b_base64, b2a_base64
    from hashlib import sha256

    if not isinstance(document, dict) or any(type(text) is not str for text in document.values()):
        raise ArtifactError(f"{where}: the stored codecs are no texts by their SHA-256; compile again")
    contents = {}
    for digest, text in document.items():
        try:
            contents[digest] = a2b_base64(text)
        except ValueError as error:
            raise ArtifactError(f"{where}: the stored codec {digest!a:.80} is no base64: {error}; compile again") from error
        # Python 3.10 cannot be asked to refuse signs that are none of base64, which it leaves out.
        if b2a_base64(contents[digest], newline=False) != text.encode():
            raise ArtifactError(f"{where}: the stored codec {digest!a:.80} is no base64 as it is written; compile again")
        if (found := sha256(contents[digest]).hexdigest()) != digest:
            raise ArtifactError(
                f"{where}: what stands for the stored codec {digest!a:.80} has the SHA-256 {found}; copy the file again or "
                "compile again"
            )
    check_complete(contents, cuts, where)
    return contents


def check_complete(contents: Mapping[str, bytes], cuts: Iterable[Cut], where: str) -> None:
    """Raise ArtifactError, naming cut and digest, unless the content of every codec of these cuts is there."""
    for cut in cuts:
        for name in cut.codecs:
            if (digest := needed_digest(name)) is not None and digest not in contents:
                raise ArtifactError(
                    f"{where}: cut {cut.label} sends a tensor under a codec that is made from the content with the SHA-256 "
                    f"{digest!a:.80}, and no such content is stored; compile again"
                )
