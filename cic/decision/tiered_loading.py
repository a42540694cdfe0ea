"""`load_tiers`: a tiered model from its file, every field checked before its use. Standard library only."""

from __future__ import annotations

from cic.decision.graph_document import read_call
from cic.decision.tiered_cut import TieredCut
from cic.decision.tiered_file import read_tiered, tiered_document
from cic.decision.tiered_model import TieredModel
from cic.errors import ArtifactError, CicError
from codegen.checked_json import Fields, as_number
from codegen.errors import CodegenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import PathLike
    from typing import Any


def load_tiers(path: str | PathLike[str]) -> TieredModel:
    """Read the file of a tiered model.

    Raises:
        ArtifactError: missing, damaged, foreign or of another version; says which.
    """
    return _checked(*read_tiered(path))


def loads_tiers(content: bytes, where: str = "tiered model") -> TieredModel:
    """A tiered model from the content of its file; `where` names it in errors. Raises ArtifactError as `load_tiers`."""
    return _checked(tiered_document(content, where), where)


def _checked(document: Any, where: str) -> TieredModel:
    try:
        return _model(Fields(document))
    except (TypeError, ValueError, CicError, CodegenError) as error:
        raise ArtifactError(f"{where} is not as CIC writes it: {error}; compile again") from error


def _model(fields: Fields) -> TieredModel:
    return TieredModel(
        name=fields.text("name"),
        machines=fields.texts("machines"),
        op_names=fields.texts("op_names"),
        cuts=tuple(_cut(each) for each in fields.objects("cuts")),
        uplinks_bps=tuple(_pair(value, fields) for value in fields.items("uplinks_bps")),
        downlink_ratios=fields.numbers("downlink_ratios"),
        rtts_s=fields.numbers("rtts_s"),
        any_downlink=fields.truth("any_downlink"),
        gap=fields.maybe(lambda name: fields.number(name, 0), "gap"),
        graph_digest=fields.text("graph_digest"),
        weights_digest=fields.text("weights_digest"),
        inputs=read_call(fields.object("inputs")),
    )


def _cut(fields: Fields) -> TieredCut:
    cut_id = fields.text("id")
    if not cut_id.isascii() or not cut_id.replace("-", "").isalnum():  # it names a directory
        raise fields.unfit("id", cut_id, "letters, digits and '-'")
    return TieredCut(
        id=cut_id,
        tier_of=fields.text("tier_of"),
        tier_ns=fields.counts("tier_ns", 2**62),
        upload_bytes=fields.counts("upload_bytes", 2**62),
        download_bytes=fields.counts("download_bytes", 2**62),
    )


def _pair(value: Any, fields: Fields) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise fields.unfit("uplinks_bps", value, "pairs of a slowest and a fastest bandwidth")
    return as_number(value[0], fields, "uplinks_bps"), as_number(value[1], fields, "uplinks_bps")
