# SPDX-License-Identifier: GPL-3.0-or-later
"""How the engine samples a take: as the settings say, or as the take that is made again was sampled."""

from __future__ import annotations

from dataclasses import asdict, dataclass

LARGEST_SEED = 2**31 - 1  # Blender's integers hold no more


@dataclass(frozen=True)
class Sampling:
    """Arguments of the engine's “generate” (docs/reference/protocol.md) that a take is sampled with, beside its seed."""

    steps: int = 20
    guidance: float = 1.0
    speech_guidance: float = 0.0

    @classmethod
    def of(cls, settings) -> Sampling:
        """As settings say that have these names: a scene's, or a command's options."""
        return cls(settings.steps, settings.guidance, settings.speech_guidance)

    @classmethod
    def of_take(cls, provenance: dict, settings) -> Sampling:
        """As a take was sampled, so that its seed makes it again; as the settings say where the take does not tell."""
        if "steps" not in provenance:
            return cls.of(settings)
        values = {
            name: kind(provenance[name])
            for name, kind in (("steps", int), ("guidance", float), ("speech_guidance", float))
            if name in provenance
        }
        return cls(**values)

    @property
    def arguments(self) -> dict:
        return asdict(self)
