"""Which weights a splitting model goes with. Standard library only.

Times and sizes do not depend on weights, so a table serves every training of its model. Codecs do: what they take on the wire
and what they keep of the accuracy was measured on the tensors of one training.
"""

from __future__ import annotations

from cic.decision.splitting_model import SplittingModel


def other_weights(model: SplittingModel, digest: str) -> str | None:
    """What to say if halves with weights of this digest must not be used with `model`; None if they may."""
    compiled = model.information.weights_digest
    if digest == compiled or not any(cut.codecs for cut in model.cuts):
        return None
    return (
        f"the codecs of the splitting model {model.name} were measured with weights of the digest {compiled[:12]}, these have"
        f" {digest[:12]}; compile this training, or take the one that was compiled"
    )
